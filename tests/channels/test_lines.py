"""The one line in each chat that says what goes on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed
from channels.lines import DONE, Lines
from tests.channels.showing import Stage, noted, running


def new_lines(stage: Stage, path: Path | None = None, *, first_after_s: float = 0.0) -> Lines[int]:
    return Lines(stage, noted(path), first_after_s=first_after_s, every_s=lambda place: 0.01)


async def test_one_line_is_edited_and_goes(tmp_path: Path) -> None:
    """What goes on is one message, which is noted while it stands and goes at the end."""
    stage, path = Stage(), tmp_path / "lines"
    lines = new_lines(stage, path)
    async with running(lines.run):
        lines.want(1, "shell")
        await stage.until(lambda: stage.seen(1) == ["shell"])
        lines.want(1, "read_file")
        await stage.until(lambda: stage.seen(1) == ["read_file"])
        assert json.loads(path.read_text()) == [["1", "1"]]
        lines.end(1)
        await stage.until(lambda: stage.seen(1) == [])
        lines.want(2, "x")
        await stage.until(lambda: stage.seen(2) == ["x"])
    assert [kind for kind, place, _ in stage.calls if place == 1] == ["send", "edit", "delete"]


async def test_work_that_is_quickly_done_shows_none() -> None:
    """A line that would only flicker is not sent."""
    stage = Stage()
    lines = new_lines(stage, first_after_s=600.0)
    quick = new_lines(stage)
    async with running(lines.run), running(quick.run):
        lines.want(1, "shell")
        quick.want(2, "shell")
        lines.end(1)
        await stage.until(lambda: stage.seen(2) == ["shell"])
    assert not stage.count("send", 1)


async def test_a_line_that_ends_while_it_is_sent_goes() -> None:
    """Work that ends while its line is on the way leaves none behind."""
    stage = Stage()
    stage.held[1] = asyncio.Event()
    lines = new_lines(stage)
    async with running(lines.run):
        lines.want(1, "shell")
        await stage.until(lambda: stage.count("send", 1) == 1)
        lines.end(1)
        stage.held.pop(1).set()
        await stage.until(lambda: stage.count("delete", 1) == 1 and stage.seen(1) == [])


async def test_the_next_work_takes_over_a_line_on_its_way() -> None:
    """A line that is sent for work that has ended is used by the next work, not doubled."""
    stage = Stage()
    stage.held[1] = asyncio.Event()
    lines = new_lines(stage)
    async with running(lines.run):
        lines.want(1, "old")
        await stage.until(lambda: stage.count("send", 1) == 1)
        lines.end(1)
        lines.want(1, "new")
        stage.held.pop(1).set()
        await stage.until(lambda: stage.seen(1) == ["new"])
    assert stage.count("send", 1) == 1


async def test_a_pause_of_one_chat_is_no_other_ones() -> None:
    """A chat whose platform asks for a pause is edited later, with the newest text alone; others go on meanwhile."""
    stage = Stage()
    lines = new_lines(stage)
    async with running(lines.run):
        lines.want(1, "one")
        await stage.until(lambda: stage.seen(1) == ["one"])
        stage.refusals[1] = [DeliveryFailed("slow down", retry_after_s=0.2)]
        for number in range(20):
            lines.want(1, f"step {number}")
        lines.want(2, "shell")
        await stage.until(lambda: stage.seen(2) == ["shell"])
        await stage.until(lambda: stage.seen(1) == ["step 19"])
    assert stage.count("edit", 1) <= 3


@pytest.mark.parametrize("deletes", [True, False])
async def test_a_line_of_a_dead_host_goes(tmp_path: Path, *, deletes: bool) -> None:
    """The next start takes away what the last one was showing, or has it say that it is over."""
    stage, path = Stage(), tmp_path / "lines"
    first = new_lines(stage, path)
    async with running(first.run):
        first.want(1, "shell")
        await stage.until(lambda: path.exists() and "1" in path.read_text())
    if not deletes:
        stage.refusals[1] = [DeliveryFailed("too old", permanent=True)]
    second = new_lines(stage, path)
    async with running(second.run):
        await stage.until(lambda: stage.seen(1) == ([] if deletes else [DONE]))
