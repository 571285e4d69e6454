"""What of a conversation's past a model can be shown: its own thoughts, files that it can see. Pure."""

from __future__ import annotations

from protocol.task import ModelRoute
from protocol.transcript import Entry, SeenFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.providers.shape import JsonObject


def thoughts_by_place(entry: Entry, route: ModelRoute) -> dict[int, list[JsonObject]]:
    """Return the blocks that this very model thought, by `Thought.place`; none of another model's."""
    places: dict[int, list[JsonObject]] = {}
    if entry.thinker == route.full_name:
        for thought in entry.thoughts:
            if isinstance(thought.block, dict):
                places.setdefault(min(thought.place, len(entry.calls)), []).append(thought.block)
    return places


def can_see(file: SeenFile, route: ModelRoute) -> bool:
    return ("image" if file.is_image else "pdf") in route.sees


def not_shown(file: SeenFile, route: ModelRoute) -> str:
    """Return what the model reads in place of a file."""
    kind = "image" if file.is_image else "PDF"
    why = (
        "it has changed or is gone, or the service rejected it"
        if can_see(file, route)
        else f"model {route.model} cannot see it"
    )
    return f"[{kind} {file.path} is not shown: {why}]"
