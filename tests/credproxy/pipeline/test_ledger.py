"""`credproxy/pipeline/ledger.py`: limits and purses hold, however many calls run at once."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from credproxy.audit.prices import Price
from credproxy.audit.task_use import TaskUse
from credproxy.pipeline.estimate import MOST_OUTPUT_TOKENS, most_of
from credproxy.pipeline.ledger import Ledger, Reserved
from protocol.ids import AttemptId, CallId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits, Purse

DAY = "2026-11-21"
PRICES = {"known": Price(input=1.0, output=10.0, cache_write=2.0, cache_read=0.1)}


def lease(task: str, *purses: Purse, limits: Limits | None = None) -> Lease:
    return Lease(
        task_id=TaskId(task),
        attempt_id=AttemptId(f"{task}_1"),
        group_id=GroupId("main"),
        effects=Effects.LIVE,
        limits=limits or Limits(),
        routes=("r",),
        purses=purses,
    )


def opened(*leases: Lease) -> Ledger:
    ledger = Ledger()
    for each in leases:
        ledger.open(each.task_id, TaskUse())
        for purse in each.purses:
            ledger.open_purse(DAY, purse, TaskUse())
    return ledger


def reserved(cost_usd: float) -> Reserved:
    return Reserved(input_tokens=1, output_tokens=1, cost_usd=cost_usd)


def spend(ledger: Ledger, by: Lease, cost_usd: float | None, day: str = DAY) -> None:
    ledger.reserve(by, day, CallId("call"), reserved(0.0))
    ledger.settle(by, day, calls=0, input_tokens=100, output_tokens=50, cost_usd=cost_usd)
    ledger.release(CallId("call"))


def test_a_purse_is_shared() -> None:
    """What one task has used of a purse, another that pays from it has no more."""
    purse = Purse(name="machine", cost_usd=1.0)
    one, other = lease("task_a", purse), lease("task_b", purse)
    ledger = opened(one, other)
    spend(ledger, one, 1.0)
    found = ledger.find_limit(other, DAY)
    assert found is not None and found[0] == "limit_day_cost" and "machine" in found[1]
    assert ledger.find_limit(lease("task_a"), DAY) is None


def test_each_measure_of_a_purse_counts() -> None:
    """Calls and tokens hold where a model has no price."""
    for purse, code in (
        (Purse(name="p", model_calls=1), "limit_day_calls"),
        (Purse(name="p", tokens=150), "limit_day_tokens"),
    ):
        one = lease("task_a", purse)
        ledger = opened(one)
        assert ledger.find_limit(one, DAY) is None
        spend(ledger, one, None)
        found = ledger.find_limit(one, DAY)
        assert found is not None and found[0] == code


def test_a_purse_begins_again_with_the_day() -> None:
    """At midnight a purse is full, for a task that works on too."""
    one = lease("task_a", Purse(name="p", cost_usd=1.0))
    ledger = opened(one)
    spend(ledger, one, 5.0)
    assert ledger.find_limit(one, DAY) is not None
    assert ledger.find_limit(one, "2026-11-22") is None


def test_the_newest_lease_says_what_a_purse_allows() -> None:
    """A raised budget counts at once for all who pay from it."""
    one = lease("task_a", Purse(name="p", cost_usd=1.0))
    ledger = opened(one)
    spend(ledger, one, 1.0)
    ledger.open_purse(DAY, Purse(name="p", cost_usd=2.0), TaskUse())
    assert ledger.find_limit(one, DAY) is None


def test_near_a_limit_calls_wait_for_each_other() -> None:
    """While what is under way may use up the rest, another call waits; when it has ended the real use counts."""
    one = lease("task_a", Purse(name="p", cost_usd=1.0))
    ledger = opened(one)
    ledger.reserve(one, DAY, CallId("first"), reserved(1.5))
    assert ledger.must_wait(one, DAY) and ledger.find_limit(one, DAY) is None
    ledger.settle(one, DAY, calls=0, input_tokens=1, output_tokens=1, cost_usd=0.2)
    ledger.release(CallId("first"))
    assert not ledger.must_wait(one, DAY)


def test_the_most_that_a_call_can_use() -> None:
    """Bytes bound tokens; an unknown model is taken for the dearest, one without a price costs nothing."""
    most = most_of(model="known", asked_output=100, request_bytes=1_000, prices=PRICES)
    assert most == Reserved(input_tokens=1_000, output_tokens=100, cost_usd=(1_000 * 2.0 + 100 * 10.0) / 1e6)
    assert most_of(model="", asked_output=100, request_bytes=1_000, prices=PRICES).cost_usd == most.cost_usd
    assert most_of(model="free", asked_output=None, request_bytes=9, prices=PRICES) == Reserved(
        input_tokens=9, output_tokens=MOST_OUTPUT_TOKENS, cost_usd=0.0
    )
    assert most_of(model="", asked_output=1, request_bytes=None, prices={}).cost_usd == 0.0


class Spending(RuleBasedStateMachine):
    """Tasks of two groups call at once; purses of the groups, of background work and of the machine stand over them."""

    LIMITS: ClassVar = {"machine": 3.0, "group:a": 2.0, "group:b": 2.5, "background:a": 0.5}

    def __init__(self) -> None:
        super().__init__()
        purses = {name: Purse(name=name, cost_usd=limit) for name, limit in self.LIMITS.items()}
        self.leases = [
            lease("task_a", purses["machine"], purses["group:a"], limits=Limits(cost_usd=1.5)),
            lease("task_b", purses["machine"], purses["group:a"], purses["background:a"]),
            lease("task_c", purses["machine"], purses["group:b"]),
        ]
        self.ledger = opened(*self.leases)
        self.under_way: dict[CallId, tuple[Lease, float]] = {}
        self.used = dict.fromkeys((*self.LIMITS, "task_a"), 0.0)
        self.largest = 0.0
        self.calls = 0

    @rule(which=st.integers(0, 2), most=st.floats(0.001, 1.0))
    def begin(self, which: int, most: float) -> None:
        by = self.leases[which]
        if self.ledger.find_limit(by, DAY) is not None or self.ledger.must_wait(by, DAY):
            return
        self.calls += 1
        call = CallId(f"call_{self.calls}")
        self.ledger.reserve(by, DAY, call, reserved(most))
        self.under_way[call] = (by, most)
        self.largest = max(self.largest, most)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), part=st.floats(0.0, 1.0))
    def end(self, data: st.DataObject, part: float) -> None:
        call = data.draw(st.sampled_from(sorted(self.under_way)))
        by, most = self.under_way.pop(call)
        cost = most * part
        self.ledger.settle(by, DAY, calls=0, input_tokens=1, output_tokens=1, cost_usd=cost)
        self.ledger.release(call)
        for name in (*(purse.name for purse in by.purses), by.task_id):
            if name in self.used:
                self.used[name] += cost

    @invariant()
    def never_over_by_more_than_one_call(self) -> None:
        for name, used in self.used.items():
            allowed = self.LIMITS.get(name, 1.5)
            assert used <= allowed + self.largest + 1e-9, name

    @invariant()
    def nothing_is_leaked(self) -> None:
        """With nothing under way nobody waits, and sums are what was settled."""
        if self.under_way:
            return
        for each in self.leases:
            assert not self.ledger.must_wait(each, DAY)
        use = self.ledger.find(TaskId("task_a"))
        assert use is not None and abs(use.cost_usd - self.used["task_a"]) < 1e-9


Spending.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestSpending = Spending.TestCase
