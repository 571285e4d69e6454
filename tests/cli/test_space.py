"""`space`: made, granted and shown from the command line, and group.yaml is left as its owner wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.space_edit import CannotEdit, with_space
from tests.cli.conftest import Run
from tests.scripted_house import House

EDITS = [
    ("", "rw", "spaces:\n  notes: rw\n"),
    ("model: a/b  # mine\n", "ro", "model: a/b  # mine\n\nspaces:\n  notes: ro\n"),
    ("spaces:\nmodel: a/b\n", "ro", "spaces:\n  notes: ro\nmodel: a/b\n"),
    (
        "spaces:\n    docs: ro  # x\nmodel: a/b\n",
        "rw",
        "spaces:\n    docs: ro  # x\n    notes: rw\nmodel: a/b\n",
    ),
    ("spaces:\n  notes: ro  # why\n", "rw", "spaces:\n  notes: rw  # why\n"),
    ("spaces: {docs: ro}\n", "rw", "spaces: {docs: ro, notes: rw}\n"),
    ("spaces: {notes: ro, docs: ro}\n", None, "spaces: {docs: ro}\n"),
    ("spaces:\n  docs: ro\n  notes: ro\nmodel: a/b\n", None, "spaces:\n  docs: ro\nmodel: a/b\n"),
    ("model: a/b\nspaces:\n  notes: ro\n", None, "model: a/b\n"),
    ("model: a/b\n", None, "model: a/b\n"),
]


@pytest.mark.parametrize(("text", "access", "edited"), EDITS)
def test_only_the_grant_is_written(text: str, access: str | None, edited: str) -> None:
    """Comments, order and indents stay."""
    assert with_space(text, "notes", access) == edited


@pytest.mark.parametrize("text", ["[a]", "spaces: [notes]", "a: b: c", "spaces: &x\n  docs: ro\nother: *x\nmodel: {\n"])
def test_what_cannot_be_edited_is_left_alone(text: str) -> None:
    """Its owner changes it by hand."""
    with pytest.raises(CannotEdit):
        with_space(text, "notes", "rw")


async def test_a_space_from_its_making_to_its_end(nightyard: Run, house: House, tmp_path: Path) -> None:
    """Made, given to an agent, shown with what is in it and who wrote it, taken away, removed with its files."""
    assert (await nightyard("space", "list")).out.startswith("No spaces.")
    made = await nightyard("space", "add", "notes", "--description", "what we found", "--quota-mb", "5")
    assert made.code == 0, made.err
    assert (await nightyard("space", "add", "notes")).err.startswith("nightyard: there is a space 'notes' already")
    granted = await nightyard("space", "grant", "notes", "main", "rw")
    assert granted.out.startswith("main may read and write in /spaces/notes, from its next task on.\n"), granted.err
    folder = house.home.space("notes")
    folder.mkdir(parents=True)
    (folder / "a.md").write_text("mine")
    shown = await nightyard("space", "show", "notes")
    assert "main rw" in shown.out
    assert "1 file, 0.0 of 5 MB" in shown.out
    log = await nightyard("space", "log", "notes")
    assert log.out.split(" UTC  ")[1] == "created  a.md  on this machine, by hand\n"
    assert "may hold 7 MB" in (await nightyard("space", "quota", "notes", "7")).out
    assert "main has the space notes" in (await nightyard("space", "remove", "notes", "--files", "--yes")).err
    assert (await nightyard("space", "revoke", "notes", "main")).code == 0
    assert (await nightyard("space", "revoke", "notes", "main")).out == "main did not have the space notes.\n"
    removed = await nightyard("space", "remove", "notes", "--files", "--yes")
    assert removed.out.startswith("Removed notes and its files.\n"), removed.err
    assert not folder.exists()
    assert not (tmp_path / "fork" / "spaces" / "notes").exists()


async def test_what_is_wrong_is_said(nightyard: Run, house: House) -> None:
    """A name that is none, a space and an agent that are not there, a quota that cannot be."""
    assert "a space's name should be 1-32" in (await nightyard("space", "add", "../x")).err
    assert "there is no space 'nots' (known: none)" in (await nightyard("space", "show", "nots")).err
    await nightyard("space", "add", "notes")
    wrong = await nightyard("space", "add", "big", "--max-files", "999999")
    assert wrong.err.startswith("nightyard: space big: max_files: should be at most 100000"), wrong.err
    assert "there is no agent 'nobody' (known: " in (await nightyard("space", "grant", "notes", "nobody", "ro")).err
    assert "quota_mb: should be at least 1" in (await nightyard("space", "quota", "notes", "0")).err
    assert house.home.path.is_dir()
