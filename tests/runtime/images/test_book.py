"""What is remembered of images over restarts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.images.book import Wish, open_book
from runtime.images.builds import USUAL_REFRESH_DAYS, Failure


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Failures, wishes, days."""
    book = open_book(tmp_path / "images.json")
    book.failures["x"] = Failure(count=2, at=datetime(2026, 1, 2, tzinfo=UTC), why="w", mend="m")
    book.wishes.append(Wish(group="main", manager="pip", packages=("a", "b"), task="t", call="c", by="cli"))
    book.refresh_days = 3
    book.save()
    assert open_book(tmp_path / "images.json") == book


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"refresh_days": "x"}', '{"refresh_days": 1, "failures": []}', "\x00"]
)
def test_a_broken_file_is_an_empty_one(tmp_path: Path, text: str) -> None:
    """Nothing in it is worth a host that does not start."""
    (tmp_path / "images.json").write_text(text, "utf-8")
    book = open_book(tmp_path / "images.json")
    assert (book.failures, book.wishes, book.refresh_days) == ({}, [], USUAL_REFRESH_DAYS)
