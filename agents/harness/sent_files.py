"""The images and PDFs that people sent along with a task, for a harness's model that sees."""

from __future__ import annotations

from agents.places import Places
from protocol.link import Assignment
from protocol.task import ModelRoute
from protocol.transcript import Entry


def images_of(assignment: Assignment, model: ModelRoute, places: Places) -> tuple[tuple[str, str], ...]:
    """Return media type and base64 of each that there is and the model sees."""
    if not assignment.task.files or not model.sees:
        return ()
    from agents.seen_files import find_seen, load_files  # late: few tasks come with files

    found = find_seen(places, assignment.task.files)
    seen = tuple(file for file in found if ("image" if file.is_image else "pdf") in model.sees)
    data = load_files([Entry(role="user", files=seen)], places)
    return tuple((file.media_type, data[file.sha256]) for file in seen if file.sha256 in data)
