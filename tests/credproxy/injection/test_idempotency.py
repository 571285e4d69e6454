"""Idempotency keys: the same call of a step has the same key, whichever attempt makes it; another has another."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.injection.idempotency import MAX_ATTEMPTS, MAX_CALLS, IdempotencyKeys, SentKey, keys_over
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits

TASK = TaskId("task_1")
URL = "https://api.example.org/emails"


def key(
    keys: IdempotencyKeys,
    attempt: str = "a1",
    body: bytes = b"x",
    *,
    task: str = TASK,
    url: str = URL,
    own: bytes = b"",
) -> str:
    return keys.key_for(TaskId(task), AttemptId(attempt), "POST", url, body, own=own).key


def test_a_later_attempt_makes_the_same_keys() -> None:
    """After a death, with another process of the proxy: first, second and third time each have their key again."""
    first, second = IdempotencyKeys(), IdempotencyKeys()
    calls = [b"x", b"y", b"x", b"x"]
    made = [key(first, "a1", body) for body in calls]
    assert [key(second, "a2", body) for body in calls] == made
    assert [key(first, "a3", body) for body in calls] == made
    assert len(set(made)) == 4
    assert str(uuid.UUID(made[0])) == made[0]


@given(st.lists(st.sampled_from((b"x", b"y", b"z")), max_size=20))
def test_the_order_of_different_calls_does_not_matter(calls: list[bytes]) -> None:
    """An attempt that does things in another order has the same keys for them."""
    keys, other = IdempotencyKeys(), IdempotencyKeys()
    shuffled = sorted(calls)
    assert sorted(key(keys, "a1", body) for body in calls) == sorted(key(other, "a2", body) for body in shuffled)


def test_another_task_address_or_body_has_another_key() -> None:
    """Whatever differs in what is asked."""
    keys = IdempotencyKeys()
    made = {
        key(keys),
        key(keys, body=b"y"),
        key(keys, url=URL + "?a"),
        key(keys, "b1", task="task_2"),
    }
    assert len(made) == 4


def test_the_agents_own_key_sent_again_is_the_same_call() -> None:
    """A client that tries again after a time-out means the same call; one with a new key means another."""
    keys = IdempotencyKeys()
    first = key(keys, own=b"k1")
    assert key(keys, own=b"k1") == first
    assert key(keys, own=b"k2") != first
    assert key(keys, own=b"k1") == first
    assert key(keys, "a2", own=b"fresh") == first


def test_a_proxy_that_started_later_takes_no_second_call_for_the_first() -> None:
    """What the attempt called before the start is counted: its next call is new."""
    before, after = IdempotencyKeys(), IdempotencyKeys()
    made = {key(before), key(before)}
    assert not after.knows(AttemptId("a1"))
    after.take_up(AttemptId("a1"), made)
    assert after.knows(AttemptId("a1"))
    assert key(after) not in made


def test_the_agents_own_key_is_known_again_after_a_start_and_by_a_later_attempt() -> None:
    """A client that was cut off with the proxy tries again and means the same call, though its first time is over; what
    it asks with another key never has that key, in whichever order they come."""
    before = IdempotencyKeys()
    made = before.key_for(TASK, AttemptId("a1"), "POST", URL, b"x", own=b"k1")
    rows = [SentKey(AttemptId("a1"), "2026-01-31T09:00:01+00:00", *made)]
    for attempt in ("a1", "a2"):
        for over in ((made.key,), ()):
            after = IdempotencyKeys()
            after.take_up(AttemptId(attempt), over, rows)
            assert key(after, attempt, own=b"k1") == made.key
            assert key(after, attempt, own=b"k1") == made.key
            assert key(after, attempt, own=b"k2") != made.key
            assert key(after, attempt) != made.key
    after = IdempotencyKeys()
    after.take_up(AttemptId("a2"), (), rows)
    assert key(after, "a2", own=b"fresh") == made.key
    assert key(after, "a2", own=b"k1") != made.key


def sent(attempt: str, at: str, name: str) -> SentKey:
    return SentKey(AttemptId(attempt), f"2026-01-31T09:00:{at}+00:00", name)


@pytest.mark.parametrize(
    ("since", "over"),
    [
        ("2026-01-31T09:00:05.000Z", {"k1", "own"}),
        ("2026-01-31T09:00:01.000Z", {"own"}),
        ("2026-01-31T09:00:09.000Z", {"k1", "k2", "k3", "own"}),
        ("", {"own"}),
        ("yesterday", {"own"}),
        ("2026-01-31T09:00:09", {"own"}),
    ],
)
def test_what_is_over_is_what_no_open_step_can_have_called(since: str, over: set[str]) -> None:
    """Calls of steps that are done, and the attempt's own; not what was called in a step that is open still, were it
    for the second time. Where nobody says since when, only the attempt's own."""
    rows = [
        *(sent("a1", "02.500", "k1"), sent("a1", "04.999", "k2"), sent("a1", "06.000", "k3")),
        *(sent("a2", "05.000", "k2"), sent("a3", "08.000", "own")),
    ]
    lease = Lease(
        task_id=TASK,
        attempt_id=AttemptId("a3"),
        group_id=GroupId("main"),
        effects=Effects.LIVE,
        limits=Limits(),
        routes=(),
        unsettled_since=since,
    )
    assert keys_over(rows, lease) == over


def test_a_later_step_makes_the_same_call_anew_and_an_open_one_does_not() -> None:
    """Two of three equal calls were in steps that are done: the next attempt's first is the third again."""
    first, second = IdempotencyKeys(), IdempotencyKeys()
    made = [key(first), key(first), key(first)]
    second.take_up(AttemptId("a2"), made[:2])
    assert key(second, "a2") == made[2]
    assert key(second, "a2") not in made


def test_memory_is_bounded_and_no_two_calls_share_a_key() -> None:
    """Beyond the limit each call has a key of its own."""
    keys = IdempotencyKeys()
    made = [key(keys, body=b"%d" % (number % 3000)) for number in range(MAX_CALLS + 200)]
    assert len(set(made)) == len(made)
    for number in range(MAX_ATTEMPTS + 10):
        key(keys, f"attempt-{number}")
    assert not keys.knows(AttemptId("a1"))


def test_an_attempt_that_ended_is_forgotten() -> None:
    """Its counts are needed no more."""
    keys = IdempotencyKeys()
    key(keys)
    keys.forget(AttemptId("a1"))
    assert not keys.knows(AttemptId("a1"))
