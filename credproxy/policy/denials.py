"""Every no that policy says, in a form that teaches: a code, a plain sentence, the command that would allow it. Pure.

The agent asked for what is shown here: `grant_with` is quoted for a shell, and says nothing where a path holds a star,
which in a grant would stand for more than was asked.
"""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Sequence

from credproxy.policy.rules import Rule
from credproxy.policy.verdict import Allow, Ask, Deny, Quota
from credproxy.wire.addresses import METADATA, Address, reach_of
from credproxy.wire.target import DEFAULT_PORTS, Scheme
from protocol.ids import GroupId

MAX_PATH_CHARS = 200
"""Longer paths are not proposed: nobody reads them before granting."""

GRANTABLE = frozenset(
    ("host_not_granted", "method_not_granted", "path_not_granted", "path_ambiguous", "grant_expired", "url_too_long")
)
"""What a grant would change, and a dry run lets pass."""

NO_LEASE = Deny(code="no_lease", sentence="No task runs in this container now, so nothing may go out.")
SHADOW = Deny(code="shadow", sentence="This task runs in shadow: the call was recorded and not sent.")
PATH_AMBIGUOUS = Deny(
    code="path_ambiguous",
    sentence="Servers may read this path in two ways (an encoded slash, `;` or `//`); "
    "it fits only a grant without `paths`.",
)


def method_refused(method: str) -> Deny:
    return Deny(code="method_refused", sentence=f"The method {method[:20]} is never forwarded.")


def grants_broken(problem: str) -> Deny:
    return Deny(
        code="grants_broken",
        sentence=f"The grants of this group do not count: {problem}",
        grant_with="nightyard config check",
    )


def host_not_granted(scheme: Scheme, host: str, port: int, method: str | None, group_id: GroupId) -> Deny:
    """`method`: None where only a tunnel was asked for."""
    place = host if port == DEFAULT_PORTS[scheme] else f"{host} port {port}"
    return Deny(
        code="host_not_granted",
        sentence=f"The group {group_id} has no grant for {scheme} to {place}.",
        grant_with=_allow_host(group_id, scheme, host, port, method),
    )


def grant_expired(rule: Rule, group_id: GroupId) -> Deny:
    until = datetime.datetime.fromtimestamp(rule.allow.expires_at or 0.0, datetime.UTC)
    return Deny(
        code="grant_expired",
        sentence=f"The grant {rule.name} of the group {group_id} ended at {until:%Y-%m-%d %H:%M} UTC.",
        grant_with=f"edit groups/{group_id}/grants.yaml: expires",
    )


def method_not_granted(ask: Ask, nearest: Rule, group_id: GroupId) -> Deny:
    return Deny(
        code="method_not_granted",
        sentence=f"{ask.method} to {ask.target.host} is not granted to the group {group_id}.",
        grant_with=_widen(ask, nearest, group_id),
    )


def path_not_granted(ask: Ask, nearest: Rule, group_id: GroupId) -> Deny:
    return Deny(
        code="path_not_granted",
        sentence=f"{ask.method} {ask.target.path[:100]} on {ask.target.host} is not granted to the group {group_id}.",
        grant_with=_widen(ask, nearest, group_id),
    )


def constraint_denied(ask: Ask, rule_id: str) -> Deny:
    return Deny(
        code="constraint_denied",
        sentence=f"{ask.method} to {ask.target.host} is ruled out by a constraint of the owner's ({rule_id}), "
        "whatever is granted.",
        grant_with="nightyard constraint list",
    )


def url_too_long(web_read: Rule) -> Deny:
    return Deny(
        code="url_too_long",
        sentence=f"Addresses of pages that are merely read may have {web_read.max_url_chars} characters, "
        "host and query included: longer ones could carry data out.",
    )


def address_refused(ask: Ask, allow: Allow, address: Address, group_id: GroupId) -> Deny:
    """`allow`: what the request was allowed by, but for the address that its host stands for."""
    target = ask.target
    subject = f"{address} is" if target.host == str(address) else f"{target.host} stands for {address}, which is"
    if address in METADATA:
        sentence, grant_with = f"{subject} where clouds hand out credentials: it is never reached.", ""
    elif reach_of(address) == "never":
        sentence, grant_with = f"{subject} no address that a server can have.", ""
    elif allow.route is not None:
        sentence = f"{subject} not this machine, and a key never goes over plain http elsewhere."
        grant_with = "edit nightyard.yaml: routes"
    else:
        sentence = f"{subject} no public address, or this machine's own: a grant must name it."
        grant_with = _allow_address(ask, allow, address, group_id)
    return Deny(code="address_refused", sentence=sentence, grant_with=grant_with)


def no_twin(ask: Ask, group_id: GroupId) -> Deny:
    target = ask.target
    twin = " --twin http://127.0.0.1:PORT"
    return Deny(
        code="twin",
        sentence=f"This task talks to twins only, and none stands for {target.host}.",
        grant_with=_allow_host(group_id, target.scheme, target.host, target.port, ask.method) + twin,
    )


def rate_reached(quota: Quota, wait_s: float) -> Deny:
    return Deny(
        code="rate_reached",
        sentence=f"The grant for this allows {_rate_text(quota)}; the next request may go in {_wait_text(wait_s)}.",
        retry_after_s=wait_s,
    )


def daily_reached(what: str, limit: int, wait_s: float) -> Deny:
    return Deny(
        code="daily_reached",
        sentence=f"The grant for this allows {limit} {what} a day (UTC), and they are used up.",
        retry_after_s=wait_s,
    )


def route_unknown(name: str, known: Sequence[str]) -> Deny:
    return Deny(
        code="route_unknown",
        sentence=f"There is no model route named {name[:40]!r}; known: {', '.join(sorted(known)) or 'none'}.",
        grant_with="edit nightyard.yaml: routes",
    )


def route_not_leased(name: str, group_id: GroupId) -> Deny:
    return Deny(
        code="route_not_leased",
        sentence=f"This task may not use the model route {name!r}.",
        grant_with=f"edit groups/{group_id}/group.yaml: model",
    )


def route_moved(name: str) -> Deny:
    return Deny(
        code="route_moved",
        sentence=f"The model route {name!r} leads elsewhere since this was asked. Ask again.",
        retry_after_s=0.0,
    )


def route_path(ask: Ask, api: str) -> Deny:
    return Deny(
        code="route_path", sentence=f"{ask.method} {ask.target.path[:100]} is not a model call of the {api} API."
    )


def _allow_host(group_id: GroupId, scheme: Scheme, host: str, port: int, method: str | None) -> str:
    words = ["nightyard", "allow", "host", group_id, _as_typed(host), *_place_options(scheme, port)]
    return shlex.join(words if method is None else [*words, "--method", method])


def _allow_address(ask: Ask, allow: Allow, address: Address, group_id: GroupId) -> str:
    """A grant of the file that lets the host be asked stands before one that would be added: that is to be mended."""
    if allow.web_read is None and allow.would_deny is None:
        return f"edit groups/{group_id}/grants.yaml: addresses: [{address}], in the grant {allow.rule}"
    target = ask.target
    command = _allow_host(group_id, target.scheme, target.host, target.port, ask.method)
    return command if target.host == str(address) else f"{command} --address {address}"


def _widen(ask: Ask, nearest: Rule, group_id: GroupId) -> str:
    """Return the command for exactly this method and path, with the key of the grant that comes nearest."""
    target = ask.target
    words = ["nightyard", "allow", "host", group_id, _as_typed(target.host)]
    if nearest.secret is not None:
        words = ["nightyard", "secret", "grant", nearest.secret, group_id, _as_typed(target.host)]
    words += [*_place_options(target.scheme, target.port), "--method", ask.method]
    if nearest.paths is None:
        return shlex.join(words)
    if "*" in target.path or len(target.path) > MAX_PATH_CHARS or target.is_ambiguous:
        return f"edit groups/{group_id}/grants.yaml: paths"
    return shlex.join([*words, "--path", target.path])


def _as_typed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _place_options(scheme: Scheme, port: int) -> list[str]:
    return [
        *(["--scheme", scheme] if scheme != "https" else []),
        *(["--port", str(port)] if port != DEFAULT_PORTS[scheme] else []),
    ]


def _rate_text(quota: Quota) -> str:
    per_s = quota.per_s or 0.0
    for seconds, unit in ((1, "second"), (60, "minute"), (3600, "hour"), (86400, "day")):
        if per_s * seconds >= 1:
            return f"{per_s * seconds:g} requests a {unit}"
    return f"{per_s * 86400:g} requests a day"


def _wait_text(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else "less than a second"
