"""May this request go out, and with which secret? Pure, deny by default: the one function that every entry form asks.

Rules come from `grants.py`, routes from the owner's settings (`routes.py`); what is asked and answered is `verdict.py`,
how a no is said so that it teaches is `denials.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from credproxy.policy import denials
from credproxy.policy.constraints import constrain
from credproxy.policy.rules import GroupRules, Place, Policy, Rule
from credproxy.policy.verdict import METHODS, READING_METHODS, Allow, Ask, Deny, Route
from credproxy.wire.target import DEFAULT_PORTS, Authority, Scheme
from protocol.task import Effects, Lease

NO_RULES = GroupRules()
_SCHEMES: tuple[Scheme, ...] = ("https", "http")

_MODEL_CALLS = {
    "anthropic": frozenset(("/v1/messages",)),
    "openai": frozenset(
        (
            "/v1/chat/completions",
            "/v1/responses",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/audio/transcriptions",
        )
    ),
}
_FREE_CALLS = {
    "anthropic": frozenset((("POST", "/v1/messages/count_tokens"), ("GET", "/v1/models"))),
    "openai": frozenset((("GET", "/v1/models"),)),
}
"""A model route is for model calls: the same key could also store files or run batches, which nobody granted."""


def decide(ask: Ask, lease: Lease | None, policy: Policy, now: float) -> Allow | Deny:
    """Decide one request. `now`: epoch seconds."""
    if lease is None:
        return denials.NO_LEASE
    if ask.method not in METHODS:
        return denials.method_refused(ask.method)
    if ask.route is not None:
        return _decide_route(ask, ask.route, lease, policy)
    group = policy.groups.get(lease.group_id, NO_RULES)
    if group.problem:
        return denials.grants_broken(group.problem)
    verdict = _decide_grants(ask, group, lease, now)
    if isinstance(verdict, Deny):
        verdict = _let_pass_dry(ask, verdict, lease, policy, now)
    if lease.constraints and isinstance(verdict, Allow):
        return constrain(ask, verdict, lease)
    return verdict


def decide_tunnel(authority: Authority, lease: Lease | None, policy: Policy, now: float) -> tuple[Scheme, ...] | Deny:
    """Decide whether a tunnel may be opened at all. Return what may be spoken in it, at least one: each request in it
    is decided by itself."""
    if lease is None:
        return denials.NO_LEASE
    group = policy.groups.get(lease.group_id, NO_RULES)
    if group.problem:
        return denials.grants_broken(group.problem)
    if _is_dry(lease, policy, now):
        return _SCHEMES
    speakable = tuple(scheme for scheme in _SCHEMES if _is_open(scheme, authority, group, now))
    if speakable:
        return speakable
    expired = [rule for scheme in _SCHEMES for rule in _rules_at(scheme, authority, group)]
    if expired:
        return denials.grant_expired(expired[0], lease.group_id)
    usual: Scheme = "http" if authority.port == DEFAULT_PORTS["http"] else "https"
    return denials.host_not_granted(usual, authority.host, authority.port, None, lease.group_id)


def route_path(route: Route, path: str) -> str:
    """Return the upstream path of an API's own path; a prefix that ends in the version does not say it twice."""
    if route.prefix.endswith("/v1") and path.startswith("/v1/"):
        return route.prefix + path[3:]
    return route.prefix + path


def _is_open(scheme: Scheme, authority: Authority, group: GroupRules, now: float) -> bool:
    return any(not rule.has_expired(now) for rule in _rules_at(scheme, authority, group))


def _rules_at(scheme: Scheme, authority: Authority, group: GroupRules) -> Iterator[Rule]:
    for place in group.places(scheme, authority.host, authority.port):
        yield from place.rules
    if group.web_read is not None and authority.port == DEFAULT_PORTS[scheme]:
        yield group.web_read


def _decide_grants(ask: Ask, group: GroupRules, lease: Lease, now: float) -> Allow | Deny:
    target = ask.target
    for place in group.places(target.scheme, target.host, target.port):
        for rule in place.candidates(target.path):
            if ask.method in rule.methods and not rule.has_expired(now) and rule.covers(target):
                return _within_effects(ask, rule, lease)
    web_read = group.web_read
    if web_read is not None and _is_open_web(ask) and not web_read.has_expired(now):
        if len(target.host) + len(target.wire) > (web_read.max_url_chars or 0):
            return denials.url_too_long(web_read)
        return _within_effects(ask, web_read, lease)
    return _explain(ask, tuple(group.places(target.scheme, target.host, target.port)), lease, now)


def _is_open_web(ask: Ask) -> bool:
    return ask.method in READING_METHODS and ask.target.port == DEFAULT_PORTS[ask.target.scheme]


def _within_effects(ask: Ask, rule: Rule, lease: Lease) -> Allow | Deny:
    if lease.effects is Effects.LIVE:
        return rule.allow
    if lease.effects is Effects.TWIN:
        return rule.twin or denials.no_twin(ask, lease.group_id)
    if rule.secret is not None or ask.method not in READING_METHODS:
        return denials.SHADOW
    return rule.allow


def _is_dry(lease: Lease, policy: Policy, now: float) -> bool:
    return bool(policy.dry_until) and policy.dry_until.get(lease.group_id, 0.0) > now


def _let_pass_dry(ask: Ask, deny: Deny, lease: Lease, policy: Policy, now: float) -> Allow | Deny:
    """Return an Allow to public addresses, without a key, for what a dry run only takes down. What a task's effects
    keep in stays in."""
    if not _is_dry(lease, policy, now) or deny.code not in denials.GRANTABLE:
        return deny
    if lease.effects is Effects.TWIN or (lease.effects is Effects.SHADOW and ask.method not in READING_METHODS):
        return deny
    return Allow(rule="dry-run", secret=None, injection=None, would_deny=deny)


def _explain(ask: Ask, places: tuple[Place, ...], lease: Lease, now: float) -> Deny:
    """Say why no grant fits."""
    rules = [rule for place in places for rule in place.rules]
    valid = [rule for rule in rules if not rule.has_expired(now)]
    target = ask.target
    if not valid:
        fitting = (rule for rule in rules if ask.method in rule.methods and rule.covers(target))
        expired = next(fitting, rules[0] if rules else None)
        if expired is not None:
            return denials.grant_expired(expired, lease.group_id)
        return denials.host_not_granted(target.scheme, target.host, target.port, ask.method, lease.group_id)
    with_method = [rule for rule in valid if ask.method in rule.methods]
    if not with_method:
        nearest = next((rule for rule in valid if rule.covers(target)), valid[0])
        return denials.method_not_granted(ask, nearest, lease.group_id)
    if target.is_ambiguous:
        return denials.PATH_AMBIGUOUS
    return denials.path_not_granted(ask, with_method[0], lease.group_id)


def _decide_route(ask: Ask, name: str, lease: Lease, policy: Policy) -> Allow | Deny:
    route = policy.routes.get(name)
    if route is None:
        return denials.route_unknown(name, tuple(policy.routes))
    if name not in lease.routes:
        return denials.route_not_leased(name, lease.group_id)
    target = ask.target
    if (target.scheme, target.host, target.port) != (route.scheme, route.host, route.port):
        return denials.route_moved(name)  # asked under an earlier policy: its place must not get this one's key
    for path in _MODEL_CALLS[route.api]:
        if target.path == route_path(route, path) and ask.method == "POST":
            return _allow_route(route, is_model_call=True)
    for method, path in _FREE_CALLS[route.api]:
        if target.path == route_path(route, path) and ask.method == method:
            return _allow_route(route, is_model_call=False)
    return denials.route_path(ask, route.api)


@functools.lru_cache(maxsize=256)
def _allow_route(route: Route, *, is_model_call: bool) -> Allow:
    return Allow(
        rule=f"route:{route.name}",
        secret=route.secret,
        injection=route.injection,
        route=route,
        is_model_call=is_model_call,
    )
