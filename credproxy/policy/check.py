"""A file of grants judged by a list of addresses: what each would be answered, and whether that was meant. Pure.

A line of the list is `[allow|deny] [METHOD] URL`; what comes first is what its writer expects. `#` begins a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from credproxy.policy.explain import Explanation, explain, parse_url
from credproxy.policy.grants import parse_grants
from credproxy.policy.rules import Policy
from credproxy.policy.verdict import METHODS, Ask
from credproxy.policy.yaml_nodes import FileProblem
from credproxy.wire.target import TargetRefused
from protocol.ids import GroupId

EXPECTATIONS = ("allow", "deny")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One address, and what was made of it."""

    explanation: Explanation
    expected: str = ""
    """`allow`, `deny`, or empty: nothing was expected."""

    @property
    def is_as_expected(self) -> bool:
        return not self.expected or (self.expected == "allow") == self.explanation.is_allowed


def check_urls(
    text: str, file: str, group_id: GroupId, lines: Sequence[str], now: float
) -> tuple[Checked, ...] | list[FileProblem]:
    """Return what each line of the list would be answered, or what is wrong with the file of grants."""
    rules = parse_grants(text, group_id, file)
    if isinstance(rules, list):
        return rules
    return tuple(_check_all(lines, group_id, Policy(groups={group_id: rules}), now))


def judge_url(
    text: str, file: str, group_id: GroupId, method: str, url: str, now: float
) -> Explanation | list[FileProblem]:
    """Return what one request would be answered by a file of grants, or what is wrong with the file."""
    rules = parse_grants(text, group_id, file)
    if isinstance(rules, list):
        return rules
    return _judge(method, url, group_id, Policy(groups={group_id: rules}), now)


def _check_all(lines: Sequence[str], group_id: GroupId, policy: Policy, now: float) -> Iterator[Checked]:
    for line in lines:
        words = [] if line.lstrip().startswith("#") else line.partition(" #")[0].split()
        if not words:
            continue
        expected = words.pop(0) if words[0] in EXPECTATIONS else ""
        method = words.pop(0).upper() if len(words) > 1 and words[0].upper() in METHODS else "GET"
        yield Checked(explanation=_judge(method, " ".join(words), group_id, policy, now), expected=expected)


def _judge(method: str, url: str, group_id: GroupId, policy: Policy, now: float) -> Explanation:
    try:
        target = parse_url(url)
    except TargetRefused as refusal:
        return Explanation(
            method=method, target=url, is_allowed=False, code="bad_request", sentence=f"Never sent: {refusal.reason}."
        )
    return explain(Ask(method=method, target=target), group_id, policy, now)[0]
