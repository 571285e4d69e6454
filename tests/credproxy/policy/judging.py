"""What the tests of policy share: a group, a lease, a moment, and a file of grants to judge by."""

from __future__ import annotations

from dataclasses import replace

from credproxy.policy.decide import decide
from credproxy.policy.explain import parse_url
from credproxy.policy.grants import parse_grants
from credproxy.policy.rules import GroupRules, Policy
from credproxy.policy.verdict import Allow, Ask, Deny
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits

MAIN = GroupId("main")
NOW = 1_800_000_000.0
"""2027-01-15 08:00 UTC."""
LEASE = Lease(
    task_id=TaskId("t"), attempt_id=AttemptId("a"), group_id=MAIN, effects=Effects.LIVE, limits=Limits(), routes=()
)


def rules_of(text: str) -> GroupRules:
    rules = parse_grants(text, MAIN, "g.yaml")
    assert isinstance(rules, GroupRules), [str(problem) for problem in rules]
    return rules


def problems_of(text: str) -> str:
    problems = parse_grants(text, MAIN, "g.yaml")
    assert isinstance(problems, list), "the file was taken"
    return "\n".join(map(str, problems))


def judge(
    grants: str,
    url: str,
    method: str = "GET",
    *,
    effects: Effects = Effects.LIVE,
    now: float = NOW,
    dry_until: float = 0.0,
) -> Allow | Deny:
    policy = Policy(groups={MAIN: rules_of(grants)}, dry_until={MAIN: dry_until} if dry_until else {})
    return decide(Ask(method=method, target=parse_url(url)), replace(LEASE, effects=effects), policy, now)


def allowed(verdict: Allow | Deny) -> Allow:
    assert isinstance(verdict, Allow), verdict
    return verdict


def denied(verdict: Allow | Deny, code: str) -> Deny:
    assert isinstance(verdict, Deny), verdict
    assert verdict.code == code
    return verdict
