"""Whether a placeholder stands in a request where it does not belong. Pure. The callers say what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from credproxy.injection.placeholders import Tripped
from credproxy.pipeline.call import Call
from credproxy.policy.rules import GroupRules
from credproxy.policy.secret_uses import is_used_at


def find_tripped(call: Call, texts: Sequence[bytes]) -> Tripped | None:
    """Return a placeholder that an admitted call must not carry."""
    placeholders, lease = call.proxy.placeholders, call.lease
    if not placeholders.may_be_in(texts):
        return None
    return placeholders.find_misplaced(texts, lease.group_id, call.allow.secret, belongs=partial(_belongs, call))


def _belongs(call: Call, secret: str) -> bool:
    """A model route puts its own key in place of whatever a tool sends as one. Elsewhere a tool sends its key with
    every request to a host, to the paths too that are granted without it, and in a task that talks to twins only. A
    client that a tool has registered shows its secret where it asks for tokens."""
    if call.ask.route is not None or (call.token_ask is not None and call.token_ask.client_name == secret):
        return True
    group = call.proxy.policy.groups.get(call.lease.group_id, GroupRules())
    return is_used_at(call.ask.target.host, secret, group)
