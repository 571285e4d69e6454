"""What a step shows, and how a failure reads."""

from __future__ import annotations

import io
import threading

import pytest

from cli.up_progress import QUICK_S, SetupFailed, step


def test_a_quick_step_is_silent() -> None:
    """Nobody reads ten lines of what was there already."""
    out = io.StringIO()
    with step("looking", out) as progress:
        progress("all there")
    assert out.getvalue() == ""


def test_a_failure_says_what_why_and_what_mends_it() -> None:
    """Three lines, the command on the last."""
    lines = SetupFailed("it broke", "no space\nleft", "df -h").text().strip().splitlines()
    assert lines == ["nightyard: it broke", "  why:  no space", "        left", "  mend: df -h"]


def test_ctrl_c_is_not_called_a_failure() -> None:
    """Somebody who interrupts a step is told that they did."""
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt), step("taking long", out):
        threading.Event().wait(QUICK_S + 0.1)
        raise KeyboardInterrupt
    assert "taking long: interrupted after" in out.getvalue()


def test_a_failure_passes_through_its_step() -> None:
    """The step does not hide why it failed."""
    with pytest.raises(SetupFailed), step("failing", io.StringIO()):
        raise SetupFailed("a", "b", "c")
