"""Reads the notes that an agent is shown in each of its tasks. The folder is the agent's: no link in it is followed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from protocol.ids import ChatKey
from runtime.history.tree import opened_folder, read_beginning
from runtime.instructions import MAX_NOTES_CHARS, build_notes, name_notes

_MAX_BYTES = 4 * MAX_NOTES_CHARS + 4
"""UTF-8 takes four bytes for a character at most; one more character shows that the file goes on."""


def read_notes(memory: Path, chat: ChatKey | None) -> str:
    """Return the layer of notes for a task of a chat. What cannot be read counts as not there: the agent sees that it
    is shown nothing of it."""
    found = dict.fromkeys(name_notes(chat), "")
    with suppress(OSError), opened_folder(memory) as root:
        for name in found:
            with suppress(OSError):
                found[name] = read_beginning(root, name, _MAX_BYTES).decode("utf-8", "replace")
    return build_notes(found)
