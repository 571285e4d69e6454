"""What Slack's words about calls and sockets mean."""

from __future__ import annotations

import pytest

from channels.channel import DeliveryFailed, NotYet
from channels.slack.failures import Refused, SocketsOff, TokenRefused, Unanswered, is_for_people, problem_of
from channels.slack.told import MAX_SIGNAL_CHARS, read_refusal, read_signal


@pytest.mark.parametrize(
    ("status", "told", "headers", "wait_s"),
    [
        (429, None, {"Retry-After": "7"}, 7.0),
        (200, {"error": "ratelimited"}, {"retry-after": "2"}, 2.0),
        (429, {}, {"Retry-After": "0"}, 1.0),
        (429, {}, {"Retry-After": "soon"}, 30.0),
        (429, {}, {}, 30.0),
    ],
)
def test_a_pause_is_as_long_as_slack_says(status: int, told: object, headers: dict[str, str], wait_s: float) -> None:
    """By status or by word; at least a second, and half a minute where nothing can be read."""
    refusal = read_refusal("chat.postMessage", status, told, headers)
    assert isinstance(refusal, NotYet)
    assert refusal.retry_after_s == wait_s


def test_a_refusal_is_told_from_no_answer() -> None:
    """Slack's word is a refusal, with what it needs; a page in its place may have done it."""
    refusal = read_refusal("chat.postMessage", 200, {"error": "missing_scope", "needed": "chat:write"}, {})
    assert isinstance(refusal, Refused)
    assert "lacks the scope `chat:write`" in refusal.reason
    for told in (b"<html>", None, {}, {"error": ""}):
        answer = read_refusal("chat.postMessage", 503, told, {})
        assert isinstance(answer, Unanswered)
        assert answer.reason == "Slack's answer to chat.postMessage was none (HTTP 503)"


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ('{"type": "hello"}', ("hello", "")),
        ('{"type": "disconnect", "reason": "warning"}', ("disconnect", "warning")),
        ('{"type": "disconnect"}', ("disconnect", "disconnect")),
        ('{"type": "events_api", "payload": "hello"}', ("", "")),
        ('"hello"', ("", "")),
        ('{"hello"', ("", "")),
        ('{"type": "hello", "x": "' + "x" * MAX_SIGNAL_CHARS + '"}', ("", "")),
    ],
)
def test_signals_are_told_from_envelopes(text: str, signal: tuple[str, str]) -> None:
    """A hello and a goodbye are known; envelopes and what is broken are neither."""
    assert read_signal(text) == signal


def test_what_only_people_can_mend_is_told_from_the_rest() -> None:
    """A refused token and Socket Mode that is off wait for somebody; anything else is tried again soon."""
    for failed in (TokenRefused(), Refused("auth.test", "invalid_auth")):
        assert is_for_people(failed)
        assert problem_of(failed) == "token refused"
    assert is_for_people(SocketsOff())
    assert "switch it on" in problem_of(SocketsOff())
    assert not is_for_people(Refused("auth.test", "internal_error"))
    assert not is_for_people(DeliveryFailed("away"))
    assert problem_of(DeliveryFailed("away")) == "away"
