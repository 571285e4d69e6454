"""Groups whose agents crash again and again are held back for longer and longer, until one works."""

from __future__ import annotations

from protocol.ids import GroupId
from runtime.crash_loops import CRASHES, FIRST_HOLD_S, LONGEST_HOLD_S, WITHIN_S, CrashLoops

A, B = GroupId("a"), GroupId("b")


def crash(loops: CrashLoops, times: int, now: float) -> list[float | None]:
    """Return the hold after each crash."""
    holds = [loops.crashed(A, now) for _ in range(times)]
    return [None if hold is None else hold.for_s for hold in holds]


def test_a_few_crashes_are_no_loop() -> None:
    """Fewer than a loop's, or with a task that worked between them, hold nothing back."""
    loops = CrashLoops()
    assert crash(loops, CRASHES - 1, 0.0) == [None] * (CRASHES - 1)
    loops.forget(A)
    assert crash(loops, CRASHES - 1, 1.0) == [None] * (CRASHES - 1)
    assert loops.held_until(A, 1.0) is None


def test_a_loop_holds_its_group_and_no_other() -> None:
    """Said once when it begins; those that end while it is held change nothing."""
    loops = CrashLoops()
    assert crash(loops, CRASHES, 0.0)[-1] == FIRST_HOLD_S
    assert loops.crashed(A, 1.0) is None
    assert (loops.held_until(A, 1.0), loops.held_until(B, 1.0)) == (FIRST_HOLD_S, None)
    assert loops.next_release(1.0) == FIRST_HOLD_S
    assert loops.held_until(A, FIRST_HOLD_S) is None


def test_each_next_crash_holds_it_longer() -> None:
    """One try after each hold; the hold has an end."""
    loops, now, holds = CrashLoops(), 0.0, []
    crash(loops, CRASHES, now)
    for _ in range(8):
        now = loops.held_until(A, now) or now
        hold = loops.crashed(A, now)
        assert hold is not None
        holds.append(hold)
    assert [hold.for_s for hold in holds[:3]] == [120.0, 240.0, 480.0]
    assert [hold.number for hold in holds[:3]] == [2, 3, 4]
    assert max(hold.for_s for hold in holds) == LONGEST_HOLD_S


def test_crashes_far_apart_are_no_loop() -> None:
    """What happened long ago is forgotten, and so is how long it was held."""
    loops = CrashLoops()
    crash(loops, CRASHES, 0.0)
    later = FIRST_HOLD_S + WITHIN_S + 1
    assert crash(loops, CRASHES - 1, later) == [None] * (CRASHES - 1)
    assert crash(loops, 1, later) == [FIRST_HOLD_S]


def test_one_that_works_ends_the_loop() -> None:
    """Nothing is held any more, at once."""
    loops = CrashLoops()
    crash(loops, CRASHES, 0.0)
    loops.forget(A)
    assert loops.held_until(A, 1.0) is None
    assert loops.next_release(1.0) is None


def test_a_hold_that_is_taken_up_is_the_shortest_and_the_next_one_longer() -> None:
    """A new host tries soon; if that crashes as well, it is the same loop."""
    loops = CrashLoops()
    loops.take_up(A, 100.0)
    assert loops.held_until(A, 100.0) == 100.0 + FIRST_HOLD_S
    assert crash(loops, 1, 100.0 + FIRST_HOLD_S) == [2 * FIRST_HOLD_S]
