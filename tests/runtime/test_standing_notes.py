"""Reading the notes that each task is shown, out of a folder that the agent fills."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from protocol.ids import ChatKey
from runtime.instructions import MAX_NOTES_CHARS
from runtime.standing_notes import read_notes

CHAT = ChatKey("telegram:42")


def test_a_task_is_shown_the_notes_of_the_group_and_of_its_chat(tmp_path: Path) -> None:
    """MEMORY.md is shown in every chat, a chat's own file in that chat alone."""
    (tmp_path / "chats").mkdir()
    (tmp_path / "MEMORY.md").write_text("Ann likes tea.")
    (tmp_path / "chats" / "telegram_42.md").write_text("Speak Dutch here.")
    assert "Ann likes tea." in read_notes(tmp_path, CHAT)
    assert "Speak Dutch here." in read_notes(tmp_path, CHAT)
    assert "Ann likes tea." in read_notes(tmp_path, ChatKey("telegram:43"))
    assert "Speak Dutch here." not in read_notes(tmp_path, ChatKey("telegram:43"))


def test_where_nothing_is_noted_the_agent_reads_where_it_could(tmp_path: Path) -> None:
    """An empty folder, or none yet, gives the places alone."""
    for folder in (tmp_path, tmp_path / "none"):
        assert "/memory/MEMORY.md and /memory/chats/telegram_42.md" in read_notes(folder, CHAT)


@pytest.mark.parametrize("kind", ["link", "link to the folder", "pipe", "folder"])
def test_nothing_of_the_machine_is_read_through_the_folder(tmp_path: Path, kind: str) -> None:
    """What an agent puts in a note's place shows it nothing that is not in its folder, and keeps nobody waiting."""
    secret = tmp_path / "outside" / "MEMORY.md"
    secret.parent.mkdir()
    secret.write_text("a secret of the machine")
    memory = tmp_path / "memory"
    memory.mkdir()
    match kind:
        case "link":
            (memory / "MEMORY.md").symlink_to(secret)
        case "link to the folder":
            (memory / "chats").symlink_to(secret.parent)
            secret.rename(secret.parent / "telegram_42.md")
        case "pipe":
            os.mkfifo(memory / "MEMORY.md")
        case _:
            (memory / "MEMORY.md").mkdir()
    assert "a secret" not in read_notes(memory, CHAT)


def test_a_huge_file_is_read_to_what_is_shown(tmp_path: Path) -> None:
    """Of a file of a gigabyte its beginning is read; broken characters are marked."""
    with (tmp_path / "MEMORY.md").open("wb") as file:
        file.write(b"\xff" + b"x" * (5 * MAX_NOTES_CHARS))
        file.truncate(1 << 30)
    text = read_notes(tmp_path, CHAT)
    assert "\ufffd" in text and len(text) < MAX_NOTES_CHARS + 1_000


def test_a_thousand_chats_cost_no_more_than_one(tmp_path: Path) -> None:
    """Of all chats' files a task is shown its own."""
    (tmp_path / "chats").mkdir()
    for number in range(1_000):
        (tmp_path / "chats" / f"telegram_{number}.md").write_text(f"in chat {number}")
    text = read_notes(tmp_path, CHAT)
    assert text.count("in chat ") == 1 and "in chat 42" in text
