"""May this request go out, and with which secret? Pure, deny by default: the one function that every entry form asks.

Rules come from `grants.py`, routes from the owner's settings (`routes.py`). A `Policy` is immutable: each request
keeps the one it was decided with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from credproxy.wire.addresses import Network
from credproxy.wire.target import Authority, Scheme, Target
from protocol.ids import GroupId
from protocol.task import Effects, Lease

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""TRACE shows the request's headers to whoever asks; others are for no API that we know of."""
READING_METHODS = frozenset(("GET", "HEAD"))
UNSAFE_METHODS = frozenset(("POST", "PUT", "PATCH", "DELETE"))
"""Those that may change the world and are reported to the host when begun and when ended."""


@dataclass(frozen=True, slots=True)
class InjectBearer:
    """`Authorization: Bearer SECRET`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectHeader:
    """`NAME: SECRET`."""

    name: str
    """Lower case."""


Injection = InjectBearer | InjectHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One grant of one group."""

    name: str
    """`group:line`, for audit and people."""
    scheme: Scheme
    host: str
    """For a wildcard what follows `*.`."""
    is_wildcard: bool
    port: int
    methods: frozenset[str]
    paths: tuple[re.Pattern[str], ...] | None
    """None: the whole host."""
    secret: str | None
    injection: Injection | None
    networks: tuple[Network, ...]
    """Private or loopback addresses that the grant names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model service that the owner named: scheme, host, port, path prefix and key are the proxy's."""

    name: str
    api: Literal["anthropic", "openai"]
    scheme: Scheme
    host: str
    port: int
    prefix: str
    """What comes before the API's own path, without a slash at its end."""
    secret: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRules:
    rules: tuple[Rule, ...] = ()
    problem: str = ""
    """Why the group's grants do not count: then nothing is granted."""
    by_place: Mapping[tuple[str, int, str], tuple[Rule, ...]] = field(default_factory=dict)
    """(scheme, port, host) to rules in file order; wildcards stand under `*.` and their base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All rules at one moment."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    groups: Mapping[GroupId, GroupRules] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a container wants."""

    method: str
    target: Target
    route: str | None = None
    """The model route that was called; None for all else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    rule: str
    """The grant's or the route's name."""
    secret: str | None
    injection: Injection | None
    networks: tuple[Network, ...] = ()
    route: Route | None = None
    is_model_call: bool = False
    """It costs tokens: counted and limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    code: str
    sentence: str
    grant_with: str = ""
    """What the owner would do to allow it."""


NO_LEASE = Deny(code="no_lease", sentence="No task runs in this container now, so nothing may go out.")

_MODEL_CALLS = {
    "anthropic": frozenset(("/v1/messages",)),
    "openai": frozenset(("/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings")),
}
_FREE_CALLS = {
    "anthropic": frozenset((("POST", "/v1/messages/count_tokens"), ("GET", "/v1/models"))),
    "openai": frozenset((("GET", "/v1/models"),)),
}
"""A model route is for model calls: the same key could also store files or run batches, which nobody granted."""


def index_rules(rules: Iterable[Rule]) -> GroupRules:
    """Return the rules with their index, so that ten thousand cost what ten do."""
    by_place: dict[tuple[str, int, str], list[Rule]] = {}
    kept = tuple(rules)
    for rule in kept:
        place = (rule.scheme, rule.port, f"*.{rule.host}" if rule.is_wildcard else rule.host)
        by_place.setdefault(place, []).append(rule)
    return GroupRules(rules=kept, by_place={place: tuple(found) for place, found in by_place.items()})


def decide(ask: Ask, lease: Lease | None, policy: Policy) -> Allow | Deny:
    """Decide one request."""
    if lease is None:
        return NO_LEASE
    if ask.method not in METHODS:
        return Deny(code="method_refused", sentence=f"The method {ask.method[:20]} is never forwarded.")
    if ask.route is not None:
        return _decide_route(ask, ask.route, lease, policy)
    rules = _rules_at(ask.target.scheme, ask.target.host, ask.target.port, lease, policy)
    if isinstance(rules, Deny):
        return rules
    for rule in rules:
        if ask.method in rule.methods and _covers(rule, ask.target):
            return _within_effects(ask, rule, lease)
    return _explain(ask, rules, lease)


def decide_tunnel(authority: Authority, lease: Lease | None, policy: Policy) -> Deny | None:
    """Decide whether a tunnel may be opened at all; None: it may, and each request in it is decided by itself."""
    if lease is None:
        return NO_LEASE
    rules = _rules_at("https", authority.host, authority.port, lease, policy)
    return rules if isinstance(rules, Deny) else None


def users_of_secret(name: str, policy: Policy) -> tuple[str, ...]:
    """Return who names a secret: `route anthropic`, `grant main:3`."""
    routes = [f"route {route.name}" for route in policy.routes.values() if route.secret == name]
    grants = [f"grant {rule.name}" for group in policy.groups.values() for rule in group.rules if rule.secret == name]
    return (*routes, *grants)


def route_path(route: Route, path: str) -> str:
    """Return the upstream path of an API's own path; a prefix that ends in the version does not say it twice."""
    if route.prefix.endswith("/v1") and path.startswith("/v1/"):
        return route.prefix + path[3:]
    return route.prefix + path


def _decide_route(ask: Ask, name: str, lease: Lease, policy: Policy) -> Allow | Deny:
    route = policy.routes.get(name)
    if route is None:
        known = ", ".join(sorted(policy.routes)) or "none"
        return Deny(
            code="route_unknown",
            sentence=f"There is no model route named {name[:40]!r}; known: {known}.",
            grant_with="edit nightyard.yaml: routes",
        )
    if name not in lease.routes:
        return Deny(
            code="route_not_leased",
            sentence=f"This task may not use the model route {name!r}.",
            grant_with=f"edit groups/{lease.group_id}/group.yaml: model",
        )
    for path in _MODEL_CALLS[route.api]:
        if ask.target.path == route_path(route, path) and ask.method == "POST":
            return _allow_route(route, is_model_call=True)
    for method, path in _FREE_CALLS[route.api]:
        if ask.target.path == route_path(route, path) and ask.method == method:
            return _allow_route(route, is_model_call=False)
    return Deny(
        code="route_path",
        sentence=f"{ask.method} {ask.target.path[:100]} is not a model call of the {route.api} API.",
    )


def _allow_route(route: Route, *, is_model_call: bool) -> Allow:
    injection: Injection | None = None
    if route.secret is not None:
        injection = InjectHeader(name="x-api-key") if route.api == "anthropic" else InjectBearer()
    return Allow(
        rule=f"route:{route.name}", secret=route.secret, injection=injection, route=route, is_model_call=is_model_call
    )


def _rules_at(scheme: Scheme, host: str, port: int, lease: Lease, policy: Policy) -> tuple[Rule, ...] | Deny:
    """Return the group's rules for a place, at least one, or why there are none."""
    group = policy.groups.get(lease.group_id, GroupRules())
    if group.problem:
        return Deny(code="grants_broken", sentence=f"The grants of this group do not count: {group.problem}")
    rules = group.by_place.get((scheme, port, host), ())
    labels = host.split(".")
    for index in range(1, len(labels) - 1):
        rules += group.by_place.get((scheme, port, "*." + ".".join(labels[index:])), ())
    if rules:
        return rules
    usual = {"https": 443, "http": 80}[scheme]
    place = host if port == usual else f"{host} port {port}"
    extra = ("" if scheme == "https" else ", scheme: http") + ("" if port == usual else f", port: {port}")
    return Deny(
        code="host_not_granted",
        sentence=f"The group {lease.group_id} has no grant for {scheme} to {place}.",
        grant_with=f"add to groups/{lease.group_id}/grants.yaml: - {{host: {host}{extra}}}",
    )


def _covers(rule: Rule, target: Target) -> bool:
    if rule.paths is None:
        return True
    return not target.is_ambiguous and any(pattern.fullmatch(target.path) for pattern in rule.paths)


def _within_effects(ask: Ask, rule: Rule, lease: Lease) -> Allow | Deny:
    if lease.effects is Effects.SHADOW and (rule.secret is not None or ask.method not in READING_METHODS):
        return Deny(code="shadow", sentence="This task runs in shadow: the call was recorded and not sent.")
    if lease.effects is Effects.TWIN:
        return Deny(code="twin", sentence="This task talks to twins only, and none stands for this host.")
    return Allow(rule=rule.name, secret=rule.secret, injection=rule.injection, networks=rule.networks)


def _explain(ask: Ask, rules: tuple[Rule, ...], lease: Lease) -> Deny:
    file = f"groups/{lease.group_id}/grants.yaml"
    if not any(ask.method in rule.methods for rule in rules):
        return Deny(
            code="method_not_granted",
            sentence=f"{ask.method} to {ask.target.host} is not granted.",
            grant_with=f"add {ask.method} to `methods` of {rules[0].name} in {file}",
        )
    if ask.target.is_ambiguous:
        return Deny(
            code="path_ambiguous",
            sentence="Servers may read this path in two ways (an encoded slash, `;` or `//`); "
            "it fits only a grant without `paths`.",
        )
    return Deny(
        code="path_not_granted",
        sentence=f"{ask.method} {ask.target.path[:100]} on {ask.target.host} is not granted.",
        grant_with=f"add {ask.target.path[:100]} to `paths` of {rules[0].name} in {file}",
    )
