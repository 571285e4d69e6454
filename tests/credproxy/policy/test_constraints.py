"""Constraints on requests out: they narrow what grants allow, the strictest counts, and nothing widens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.policy.constraints import constrain
from credproxy.policy.decide import decide
from credproxy.policy.grants import parse_grants
from credproxy.policy.rules import GroupRules, Policy
from credproxy.policy.verdict import Allow, Approval, Ask, Deny, Dial
from credproxy.wire.target import Target
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.task import Effects, EgressRule, Lease, Limits

MAIN = GroupId("main")
ALLOWED = Allow(rule="main:1", secret=None, injection=None)


def ask(host: str = "mail.example.org", method: str = "POST") -> Ask:
    return Ask(method=method, target=Target(scheme="https", host=host, port=443, path="/send"))


def lease(*rules: EgressRule) -> Lease:
    return Lease(
        task_id=TaskId("task_1"),
        attempt_id=AttemptId("attempt_1"),
        group_id=MAIN,
        effects=Effects.LIVE,
        limits=Limits(),
        routes=(),
        constraints=rules,
    )


ASK_MAIL = EgressRule(rule_id="group.yaml:1", then="ask", host="mail.example.org", methods=("POST",), deadline_s=600)
NEVER = EgressRule(rule_id="group.yaml:2", then="deny", host="*.example.org")


@pytest.mark.parametrize(
    ("rule", "host", "method", "fits"),
    [
        (ASK_MAIL, "mail.example.org", "POST", True),
        (ASK_MAIL, "mail.example.org", "GET", False),
        (ASK_MAIL, "example.org", "POST", False),
        (ASK_MAIL, "evil-mail.example.org", "POST", False),
        (NEVER, "mail.example.org", "GET", True),
        (NEVER, "example.org", "GET", False),
        (NEVER, "badexample.org", "GET", False),
        (EgressRule(rule_id="x", then="ask", host="*"), "anything.test", "GET", True),
    ],
)
def test_what_a_constraint_is_about(rule: EgressRule, host: str, method: str, fits: bool) -> None:
    """A host, all below one, or all; every method, or some."""
    verdict = constrain(ask(host, method), ALLOWED, lease(rule))
    assert (verdict != ALLOWED) is fits


def test_no_counts_before_a_question_and_both_before_nothing() -> None:
    """Whatever stands first in the list."""
    for rules in ((ASK_MAIL, NEVER), (NEVER, ASK_MAIL)):
        verdict = constrain(ask(), ALLOWED, lease(*rules))
        assert isinstance(verdict, Deny)
        assert verdict.code == "constraint_denied"


def test_constraint_adds_to_what_a_grant_asks() -> None:
    """The grant's own persons stay, the shorter deadline counts, and the constraint is named."""
    own = Approval(deadline_s=60, hold_s=5, who=("telegram:1",))
    verdict = constrain(ask(), Allow(rule="main:1", secret=None, injection=None, approval=own), lease(ASK_MAIL))
    assert isinstance(verdict, Allow)
    assert verdict.approval == Approval(deadline_s=60, hold_s=5, who=("telegram:1",), constraint="group.yaml:1")


def test_twins_are_not_asked_about() -> None:
    """What a twin answers has no effect outside."""
    twin = Allow(rule="main:1", secret=None, injection=None, dial=Dial(scheme="http", host="127.0.0.1", port=1))
    assert constrain(ask(), twin, lease(NEVER)) == twin


@given(st.lists(st.sampled_from((ASK_MAIL, NEVER)), max_size=4), st.sampled_from(("mail.example.org", "other.test")))
def test_constraints_never_widen(rules: list[EgressRule], host: str) -> None:
    """What no grant allows is denied with them as without."""
    parsed = parse_grants("- {host: mail.example.org, methods: [GET]}", MAIN, "grants.yaml")
    assert isinstance(parsed, GroupRules)
    policy = Policy(groups={MAIN: parsed})
    for method in ("GET", "POST"):
        plain = decide(ask(host, method), lease(), policy, 0.0)
        ruled = decide(ask(host, method), lease(*rules), policy, 0.0)
        if isinstance(plain, Deny):
            assert ruled == plain
        elif isinstance(ruled, Allow):
            assert ruled.rule == plain.rule
