"""Which secrets the grants of a policy put into requests, and so which placeholders there are. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from credproxy.injection.environment import names_of
from credproxy.injection.kinds import Injection
from credproxy.injection.placeholders import PlaceholderName
from credproxy.policy.rules import GroupRules, Policy


def secrets_of(group: GroupRules) -> Iterator[tuple[str, Injection]]:
    """Yield the secret and the injection of each grant that has both, in the file's order."""
    for rule in group.rules:
        if rule.secret is not None and rule.injection is not None:
            yield rule.secret, rule.injection


def placeholders_of(policy: Policy) -> Iterator[PlaceholderName]:
    """Yield what each placeholder that a container may have been given stands for."""
    for group_id, group in policy.groups.items():
        yield from names_of(group_id, secrets_of(group))
