"""Prepared faults hit what they name, as often as they say."""

from __future__ import annotations

import pytest

from twins.faults import MEANINGS, Fault, Faults


def test_a_fault_hits_its_method_so_many_times() -> None:
    """Names are compared in any case, and a spent fault is gone."""
    faults = Faults(MEANINGS)
    faults.add({"kind": "error", "method": "sendMessage", "count": 2})
    assert faults.take("getMe") is None
    assert faults.take("SENDMESSAGE") == Fault(kind="error", method="sendmessage", count=1)
    assert faults.take("sendMessage") is not None
    assert faults.take("sendMessage") is None


def test_a_pattern_hits_a_family_until_it_is_cleared() -> None:
    """A count below zero does not end by itself."""
    faults = Faults(MEANINGS)
    faults.add({"kind": "flood", "method": "chat.*", "count": -1})
    assert [faults.take(method) is not None for method in ("chat.postMessage", "chat.update", "auth.test")] == [
        True,
        True,
        False,
    ]
    faults.clear()
    assert faults.take("chat.update") is None


def test_the_oldest_of_the_wanted_kinds_hits() -> None:
    """Who asks for some kinds leaves the others prepared; looking does not count."""
    faults = Faults(MEANINGS)
    faults.add({"kind": "duplicate"})
    faults.add({"kind": "delay", "delay_s": 2})
    assert faults.as_json() == {"prepared": ["duplicate", "delay"], "struck": {}}
    assert faults.look("message", ("delay",)) == Fault(kind="delay", delay_s=2)
    assert faults.take("message", ("delay",)) == Fault(kind="delay", delay_s=2, count=0)
    assert faults.take("message", ("delay",)) is None
    assert faults.take("message") is not None
    assert faults.as_json() == {"prepared": [], "struck": {"delay": 1, "duplicate": 1}}


def test_what_is_no_fault_is_refused() -> None:
    """A kind that the twin cannot do is named, with those that it can."""
    faults = Faults(("error", "reset"))
    with pytest.raises(ValueError, match="no fault hold here; there is error, reset"):
        faults.add({"kind": "hold"})
    with pytest.raises(TypeError, match="colour"):
        faults.add({"kind": "error", "colour": "red"})
    with pytest.raises(ValueError, match="at least once"):
        faults.add({"kind": "error", "count": 0})
    with pytest.raises(ValueError, match="meaning"):
        Faults(("witchcraft",))
