"""Which secrets the grants of a policy put into requests, and so which placeholders there are. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from credproxy.injection.environment import SecretUse, names_of, use_of
from credproxy.injection.placeholders import PlaceholderName
from credproxy.policy.rules import GroupRules, Policy


def secrets_of(group: GroupRules) -> Iterator[SecretUse]:
    """Yield what each grant with a secret makes of it, in the file's order."""
    for rule in group.rules:
        if rule.secret is not None and rule.injection is not None:
            yield use_of(rule.secret, rule.injection, rule.host)


def placeholders_of(policy: Policy) -> Iterator[PlaceholderName]:
    """Yield what each placeholder that a container may have been given stands for."""
    for group_id, group in policy.groups.items():
        yield from names_of(group_id, secrets_of(group))


def is_used_at(host: str, secret: str, group: GroupRules) -> bool:
    """Whether any grant of the group sends the secret to the host."""
    return any(rule.secret == secret and rule.host == host and not rule.is_wildcard for rule in group.rules)
