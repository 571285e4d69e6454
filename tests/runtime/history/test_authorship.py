"""Whose words a file holds, told from what the folders held between tasks."""

from __future__ import annotations

import pytest

from runtime.history.authorship import Moment, Whose, Window, Written, left_by, whose
from runtime.history.manifest import Entry, Manifest


def folders(**files: str) -> Manifest:
    """Return what folders hold, by the contents of their files; `d` is a folder in all of them."""
    return {
        "d": Entry("folder", 0o755),
        **{path: Entry("file", 0o644, text, len(text)) for path, text in files.items()},
    }


def windows(*held: tuple[Whose, Manifest]) -> list[Window]:
    """Return the windows between an empty folder and each of these in turn; a window ends with its number."""
    manifests = [folders(), *(manifest for _, manifest in held)]
    return [
        Window(before=manifests[number], after=after, whose=who, ended_at=str(number))
        for number, (who, after) in enumerate(held)
    ]


@pytest.mark.parametrize(
    ("held", "alone", "mixed"),
    [
        pytest.param([("theirs", folders(a="1"))], {"a": ""}, set(), id="made by them"),
        pytest.param([("others", folders(a="1"))], {}, set(), id="made by others"),
        pytest.param([("both", folders(a="1"))], {}, {"a"}, id="made while both were at work"),
        pytest.param(
            [("others", folders(a="1")), ("theirs", folders(a="2")), ("theirs", folders(a="3"))],
            {"a": "1"},
            set(),
            id="others' file, changed twice by them",
        ),
        pytest.param(
            [("theirs", folders(a="1")), ("others", folders(a="2")), ("theirs", folders(a="3"))],
            {},
            {"a"},
            id="others wrote on",
        ),
        pytest.param(
            [("theirs", folders(a="1")), ("others", folders()), ("others", folders(a="2"))],
            {},
            set(),
            id="others removed it and began anew",
        ),
        pytest.param(
            [("theirs", folders(a="1")), ("others", folders(a="1", b="2"))],
            {"a": ""},
            set(),
            id="others wrote elsewhere",
        ),
        pytest.param([("theirs", {"d": Entry("folder", 0o700)})], {}, set(), id="a folder's mode"),
    ],
)
def test_a_file_is_theirs_until_somebody_else_writes_into_it(
    held: list[tuple[Whose, Manifest]], alone: dict[str, str], mixed: set[str]
) -> None:
    """What a file held before them is known as long as only they have written it since; then it is mixed."""
    found, shared = left_by(windows(*held))
    assert {path: each.before.content if each.before else "" for path, each in found.items()} == alone
    assert shared == mixed


def test_the_last_of_their_tasks_counts() -> None:
    """A file written by several of their tasks is theirs up to the end of the last of these."""
    found, _ = left_by(
        windows(("theirs", folders(a="1")), ("theirs", folders(a="2")), ("others", folders(a="2", b="1")))
    )
    assert found == {"a": Written(before=None, until="1")}


@pytest.mark.parametrize(
    ("first", "expected"),
    [(0, ("theirs", "5")), (1, ("both", "5")), (2, ("others", "")), (3, ("theirs", ""))],
)
def test_a_task_that_goes_on_counts_in_the_next_window_too(first: int, expected: tuple[Whose, str]) -> None:
    """Who is at work from a moment on: its own task, and those before it that had not ended."""
    moments = [
        Moment(reference="anna_1", manifest="m", taken_at="1", ended_at="5"),
        Moment(reference="bob_1", manifest="m", taken_at="3", ended_at="4"),
        Moment(reference="bob_2", manifest="m", taken_at="6", ended_at="7"),
        Moment(reference="anna_2", manifest="m", taken_at="8", ended_at=None),
    ]
    assert whose(moments, first, first + 1, frozenset({"anna_1", "anna_2"})) == expected
