"""The notes on each poll: what is kept of it, what the SDK sees, what health says, when polling is dead."""

from __future__ import annotations

import json

import pytest

from channels.telegram.poll_notes import PollNotes


def answer(**content: object) -> bytes:
    return json.dumps(content).encode()


def test_the_sdk_sees_numbers_and_the_updates_are_kept() -> None:
    """Each update is kept as it came; the SDK is given its number alone."""
    notes = PollNotes(90, 1000, now=0)
    updates = [{"update_id": 7, "message": {"text": "x"}}, {"update_id": 8, "new": [1]}]
    seen = notes.note_answer(200, answer(ok=True, result=updates), now=1)
    assert json.loads(seen) == {"ok": True, "result": [{"update_id": 7}, {"update_id": 8}]}
    assert notes.raw_updates == {7: updates[0], 8: updates[1]}


def test_updates_without_a_number_are_counted_and_left_out() -> None:
    """What has no number can be neither stored nor confirmed, and must not hide the others."""
    notes = PollNotes(90, 1000, now=0)
    seen = notes.note_answer(200, answer(ok=True, result=[None, {"update_id": "7"}, {"update_id": 8}]), now=1)
    assert json.loads(seen)["result"] == [{"update_id": 8}]
    assert notes.left_out == 2


@pytest.mark.parametrize(
    ("status", "payload", "problem"),
    [
        (409, answer(description="Conflict: terminated by…"), "another program receives with this bot's token"),
        (502, answer(description="Bad Gateway"), "502 Bad Gateway"),
        (502, b"<html>", "502, and the answer is not Telegram's"),
        (200, b"[]", "200, and the answer is not Telegram's"),
        (200, answer(ok=True, result=5), "200, and the answer is not Telegram's"),
        (400, answer(description="no 1234567:" + "x" * 35), "400 no [token]"),
    ],
)
def test_a_problem_is_named_until_a_poll_is_well(status: int, payload: bytes, problem: str) -> None:
    """What a poll met is told in a few words, without a token, and forgotten after a good one."""
    notes = PollNotes(90, 1000, now=0)
    assert notes.note_answer(status, payload, now=1) == payload
    assert notes.problem == problem
    notes.note_answer(200, answer(ok=True, result=[]), now=2)
    assert notes.problem == ""


def test_silence_is_counted_from_the_last_sign_of_life() -> None:
    """Each begun, failed or answered poll gives it more time, and a pause that Telegram asked for is added."""
    notes = PollNotes(90, 1000, now=0)
    assert notes.alive_until == 90
    notes.note_begun(now=10)
    assert notes.alive_until == 100
    notes.note_failed("broken", now=20)
    assert (notes.alive_until, notes.problem) == (110, "broken")
    notes.note_answer(429, answer(description="Too Many Requests", parameters={"retry_after": 600}), now=30)
    assert notes.alive_until == 720


def test_nothing_but_failures_is_as_good_as_dead() -> None:
    """Polls that fail for long enough have the client built anew; a good one begins the count again, and a pause that
    Telegram asked for is no failure of ours."""
    notes = PollNotes(90, 200, now=0)
    for now in range(0, 190, 10):
        notes.note_failed("broken", now=now)
    assert notes.alive_until == 200
    assert notes.why_dead(200) == "nothing but failures: broken"
    notes.note_answer(200, answer(ok=True, result=[]), now=190)
    assert notes.alive_until == 280
    assert notes.why_dead(280) == "polling fell silent"
    notes.note_answer(429, answer(description="Too Many Requests", parameters={"retry_after": 600}), now=200)
    assert notes.alive_until == 200 + 600 + 90
