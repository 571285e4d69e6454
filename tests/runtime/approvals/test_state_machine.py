"""Approvals under any order of words, clocks and restarts: nothing is decided twice, by the wrong one, or too late."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from protocol.ids import PersonKey
from runtime.approvals.records import CLI, Approval, NewApproval, Scope, Until, Who
from runtime.approvals.rules import digest_of
from runtime.refusal import OperationRefused
from runtime.store.approval_rows import take_due
from tests.runtime.approvals.support import ADA, GUS, MAX, OLGA, OTTO, PUSH, STRANGER, Room, room
from tests.runtime.store.support import MAIN

VOTERS: tuple[str, ...] = (OLGA, CLI, OLGA, MAX, OTTO, ADA, GUS, STRANGER)
"""The first more often: who speaks twice is the case to find."""
RIGHTS: dict[Any, set[str]] = {
    "owner": {OLGA, OTTO, CLI},
    "admin": {OLGA, OTTO, ADA, CLI},
    "member": {OLGA, OTTO, ADA, MAX, CLI},
}


MOST_QUESTIONS = 6
"""More of them would leave no steps for deciding."""


@dataclass
class Model:
    """What must be so of one question."""

    approval_id: str
    new: NewApproval
    deadline_s: float
    yes: set[str]
    end: str = ""


class ApprovalMachine(RuleBasedStateMachine):
    """Drives a real store; the model is a dozen lines."""

    questions = Bundle("questions")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="approvals-")
        self.context = room(Path(self.folder.name))
        self.room: Room = self.loop.run_until_complete(self.context.__aenter__())
        self.now_s = 0.0
        self.models: dict[str, Model] = {}
        self.denied_until: dict[str, float] = {}
        self.allowed_until: dict[str, float] = {}

    def teardown(self) -> None:
        self.loop.run_until_complete(self.context.__aexit__(None, None, None))
        self.loop.close()
        self.folder.cleanup()

    def do(self, waiting: Any) -> Any:
        return self.loop.run_until_complete(waiting)

    @precondition(lambda self: len(self.models) < MOST_QUESTIONS)
    @rule(
        target=questions,
        number=st.integers(0, 2),
        who=st.sampled_from(("owner", "admin", "member", (MAX,), (OLGA, MAX))),
        quorum=st.sampled_from((2, 1)),
        deadline_s=st.sampled_from((60.0, 600.0, 7200.0)),
    )
    def ask(self, number: int, who: Who, quorum: int, deadline_s: float) -> str:
        """What is asked waits, unless the same was decided for longer, waits already, or was approved and not used."""
        if isinstance(who, tuple):
            quorum = min(quorum, len(who))
        new = replace(PUSH, payload={"number": number}, who=who, quorum=quorum, deadline_s=deadline_s, scope_offers=())
        digest = digest_of(new.kind, new.group_id, new.payload)
        asked: Approval = self.do(self.room.approvals.ask(new))
        assert asked.digest == digest
        live = next((each for each in self.models.values() if self.is_live(each, digest)), None)
        if live is not None:
            assert asked.approval_id == live.approval_id
            if live.end == "approved":
                live.end = "used"
            return live.approval_id
        if self.denied_until.get(digest, 0) > self.now_s:
            assert asked.state == "denied"
        elif self.allowed_until.get(digest, 0) > self.now_s:
            assert asked.state == "approved"
        else:
            assert asked.is_open
        end = "" if asked.is_open else "used" if asked.is_approved else "denied"
        self.models[asked.approval_id] = Model(asked.approval_id, new, self.now_s + deadline_s, set(), end)
        return asked.approval_id

    def is_live(self, model: Model, digest: str) -> bool:
        if digest_of("tool", MAIN, model.new.payload) != digest or model.deadline_s <= self.now_s:
            return False
        return model.end in ("", "approved")

    @rule(
        question=questions,
        by=st.sampled_from(VOTERS),
        is_yes=st.sampled_from((True, True, False)),
        until=st.sampled_from((None, "once", "hour", "day")),
    )
    def decide(self, question: str, by: str, is_yes: bool, until: Until | None) -> None:
        """A word counts exactly if its speaker may, the question is open, in time, and they have not said so yet."""
        model = self.models[question]
        rights = set(model.new.who) | {CLI} if isinstance(model.new.who, tuple) else RIGHTS[model.new.who]
        refusal = (
            "approval_not_theirs" if by not in rights
            else "approval_decided" if model.end
            else "approval_expired" if model.deadline_s <= self.now_s
            else "approval_voted" if is_yes and by in model.yes
            else "scope_unknown" if is_yes and model.new.quorum > 1 and until not in (None, "once")
            else ""
        )  # fmt: skip
        remember = Scope(until=until) if until is not None else None
        try:
            decision = self.do(self.room.approvals.decide(question, by, is_yes=is_yes, remember=remember))
        except OperationRefused as refused:
            assert refused.code == refusal
            return
        assert refusal == ""
        if is_yes:
            model.yes.add(by)
        is_final = not is_yes or len(model.yes) >= model.new.quorum
        assert decision.is_final is is_final
        if is_final:
            model.end = "approved" if is_yes else "denied"
            seconds = {"once": 0.0, "hour": 3600.0, "day": 86_400.0}[until or ("once" if is_yes else "day")]
            digest = digest_of("tool", MAIN, model.new.payload)
            if seconds:
                self.denied_until[digest] = 0 if is_yes else self.now_s + seconds
                self.allowed_until[digest] = self.now_s + seconds if is_yes else 0

    @rule(question=questions, by=st.sampled_from((OLGA, CLI)))
    def agree_twice(self, question: str, by: str) -> None:
        """The likeliest mistake of a person in a hurry."""
        self.decide(question, by, True, None)
        self.decide(question, by, True, None)

    @rule(question=questions)
    def decide_too_late(self, question: str) -> None:
        """A yes after the deadline, with no host to have noticed."""
        self.pass_time(86_400.0, has_host=False)
        self.decide(question, CLI, True, None)

    @rule(question=questions)
    def use(self, question: str) -> None:
        """What was approved is let go once."""
        model = self.models[question]
        assert self.do(self.room.approvals.use(question)) is (model.end == "approved")
        if model.end == "approved":
            model.end = "used"

    @rule(question=questions)
    def withdraw(self, question: str) -> None:
        """Only what waits can be withdrawn."""
        model = self.models[question]
        assert self.do(self.room.approvals.withdraw(question, "not wanted")) is (model.end == "")
        model.end = model.end or "withdrawn"

    @rule(seconds=st.sampled_from((1.0, 59.0, 600.0, 3600.0, 86_400.0)), has_host=st.booleans())
    def pass_time(self, seconds: float, has_host: bool) -> None:
        """The clock goes on, and the host looks at it, if it runs."""
        self.room.clock.pass_s(seconds)
        self.now_s += seconds
        if not has_host:
            return
        self.do(self.room.store.write(take_due, "UTC"))
        for model in self.models.values():
            if not model.end and model.deadline_s <= self.now_s:
                model.end = "expired"

    @rule()
    def restart(self) -> None:
        """Everything is in the store."""
        self.room.approvals = self.room.restarted()

    @invariant()
    def store_says_what_the_model_says(self) -> None:
        """State, votes and use are those of the model; the list of what waits is complete."""
        waiting = {approval.approval_id for approval in self.do(self.room.approvals.waiting())}
        assert waiting == {model.approval_id for model in self.models.values() if not model.end}
        for model in self.models.values():
            found = self.do(self.room.approvals.find(model.approval_id))
            assert found.state == {"": "waiting", "used": "approved"}.get(model.end, model.end)
            assert (found.used_at is not None) is (model.end == "used")
            said_yes = {PersonKey(vote.by) for vote in found.votes if vote.is_yes}
            assert model.end in ("denied", "used", "approved") or said_yes == model.yes


TestApprovals = ApprovalMachine.TestCase
TestApprovals.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestApprovals.__doc__ = "Any order of asking, deciding, using, withdrawing, waiting and restarting keeps the rules."
