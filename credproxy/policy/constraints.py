"""What the host's constraints do to a request that a grant allows: nothing, a person is asked first, or a no. Pure.

They come with the lease, and narrow only: what no grant allows stays denied whatever they say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from credproxy.policy.denials import constraint_denied
from credproxy.policy.verdict import Allow, Approval, Ask, Deny
from protocol.task import EgressRule, Lease


def constrain(ask: Ask, allow: Allow, lease: Lease) -> Allow | Deny:
    """Return what holds when a lease's constraints are laid over an Allow."""
    if allow.dial is not None:
        return allow  # a twin stands for it: nothing happens out there
    rule = _strictest(each for each in lease.constraints if _fits(each, ask))
    if rule is None:
        return allow
    if rule.then == "deny":
        return constraint_denied(ask, rule.rule_id)
    own = allow.approval
    if own is None:
        return replace(allow, approval=Approval(deadline_s=rule.deadline_s, constraint=rule.rule_id))
    deadline_s = min(own.deadline_s, rule.deadline_s)
    return replace(allow, approval=replace(own, deadline_s=deadline_s, constraint=rule.rule_id))


def _strictest(rules: Iterable[EgressRule]) -> EgressRule | None:
    """A no before a question; of several questions the host's first, which knows who must agree."""
    return min(rules, key=lambda rule: rule.then != "deny", default=None)


def _fits(rule: EgressRule, ask: Ask) -> bool:
    if rule.methods and ask.method not in rule.methods:
        return False
    host = ask.target.host
    if rule.host.startswith("*."):
        return host.endswith(rule.host[1:])
    return rule.host in ("*", host)
