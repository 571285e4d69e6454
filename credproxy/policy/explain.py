"""A decision told to a person: which rule, which secret, what would be put in and where, and what else holds. Pure.

`nightyard secret why` asks the proxy, which knows the vault; `nightyard policy check` asks this of a file alone.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from credproxy.injection.kinds import (
    Basic,
    Bearer,
    ByPrefix,
    Cookie,
    HmacSigning,
    Injection,
    JsonField,
    ListHeader,
    PathHole,
    Query,
    Recipe,
    RemoveHeader,
    RemoveQuery,
    ReplaceHeader,
    SetHeader,
    SigV4,
)
from credproxy.policy.decide import decide
from credproxy.policy.denials import address_refused
from credproxy.policy.rules import Policy
from credproxy.policy.verdict import Allow, Ask, Deny, Quota
from credproxy.wire.addresses import may_dial
from credproxy.wire.target import DEFAULT_PORTS, Scheme, Target, TargetRefused, make_target, parse_authority, parse_path
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What would become of one request."""

    method: str
    target: str
    is_allowed: bool
    code: str = ""
    """Why not; of a dry run too, which lets it out all the same."""
    sentence: str = ""
    grant_with: str = ""
    rule: str = ""
    secret: str = ""
    injected: tuple[str, ...] = ()
    """One line for each thing that is put in, changed or taken out; never a value."""
    conditions: tuple[str, ...] = ()
    """One line for each thing that must hold besides."""


def parse_url(text: str) -> Target:
    """Return the target of an address as a person writes it; raises TargetRefused."""
    scheme_text, separator, rest = text.partition("://")
    scheme: Scheme = "http" if scheme_text == "http" else "https"
    if separator and scheme_text not in ("http", "https"):
        raise TargetRefused(
            "an address begins with https:// or http://, a WebSocket's too: it needs GET and POST there"
        )
    rest = (rest if separator else text).partition("#")[0]
    cut = min((index for index in (rest.find("/"), rest.find("?")) if index >= 0), default=len(rest))
    authority, tail = rest[:cut], rest[cut:]
    path = parse_path(tail if tail.startswith("/") else f"/{tail}")
    return make_target(scheme, parse_authority(authority, default_port=DEFAULT_PORTS[scheme]), path)


def explain(
    ask: Ask, group_id: GroupId, policy: Policy, now: float, *, effects: Effects = Effects.LIVE
) -> tuple[Explanation, Allow | Deny]:
    """Decide what a task of the group would be answered, and say it."""
    lease = Lease(
        task_id=TaskId(""),
        attempt_id=AttemptId(""),
        group_id=group_id,
        effects=effects,
        limits=Limits(),
        routes=tuple(policy.routes),
    )
    verdict = decide(ask, lease, policy, now)
    if isinstance(verdict, Allow):
        verdict = _refuse_address(ask, group_id, verdict) or verdict
    if isinstance(verdict, Deny):
        told = Explanation(
            method=ask.method,
            target=str(ask.target),
            is_allowed=False,
            code=verdict.code,
            sentence=verdict.sentence,
            grant_with=verdict.grant_with,
        )
        return told, verdict
    deny = verdict.would_deny
    told = Explanation(
        method=ask.method,
        target=str(ask.target),
        is_allowed=True,
        code="" if deny is None else deny.code,
        sentence="" if deny is None else f"Only because a dry run is on. {deny.sentence}",
        grant_with="" if deny is None else deny.grant_with,
        rule=verdict.rule,
        secret=verdict.secret or "",
        injected=() if verdict.injection is None else describe_injection(verdict.injection),
        conditions=describe_conditions(verdict),
    )
    return told, verdict


def _refuse_address(ask: Ask, group_id: GroupId, allow: Allow) -> Deny | None:
    """Refuse what the way out would: a host that is an address tells already where it leads."""
    if allow.route is not None or allow.dial is not None:
        return None
    try:
        address = ipaddress.ip_address(ask.target.host)
    except ValueError:
        return None
    return None if may_dial(address, allow.networks) else address_refused(ask, allow, address, group_id)


def describe_conditions(allow: Allow) -> tuple[str, ...]:
    """Return what must hold besides, a line each."""
    lines = []
    if allow.must_carry:
        lines.append(f"the request carries the group's placeholder of {allow.secret}")
    if allow.quota is not None:
        lines += describe_quota(allow.quota)
    if allow.approval is not None:
        who = ", ".join(allow.approval.who) or "whoever may operate the host"
        lines.append(f"{who} approves each request within {allow.approval.deadline_s:g} s")
    if allow.body_bytes is not None:
        lines.append("it has no body" if allow.body_bytes == 0 else f"its body has at most {allow.body_bytes} bytes")
    if allow.expires_at is not None:
        until = datetime.datetime.fromtimestamp(allow.expires_at, datetime.UTC)
        lines.append(f"it is before {until:%Y-%m-%d %H:%M} UTC")
    if allow.web_read is not None:
        lines.append(f"the open web: few headers go out, at most {allow.web_read.max_answer_bytes >> 20} MB come back")
    if allow.dial is not None:
        lines.append(f"sent to the twin at {allow.dial.scheme}://{allow.dial.host}:{allow.dial.port}")
    if allow.networks:
        lines.append(f"the name may stand for {', '.join(map(str, allow.networks))}, or public addresses")
    return tuple(lines)


def describe_quota(quota: Quota) -> list[str]:
    lines = []
    if quota.per_s is not None:
        lines.append(f"at most {quota.burst} at once, then one every {1 / quota.per_s:g} s")
    if quota.daily is not None:
        lines.append(f"at most {quota.daily} requests a day")
    if quota.daily_bytes is not None:
        lines.append(f"at most {quota.daily_bytes >> 20} MB of answers a day")
    if quota.daily_url_chars is not None:
        lines.append(f"at most {quota.daily_url_chars} characters of addresses a day")
    return lines


def describe_injection(injection: Injection) -> tuple[str, ...]:
    """Return what is put into a request and where, a line each; `…` stands for the value."""
    if isinstance(injection, Recipe):
        return tuple(line for step in injection.steps for line in describe_injection(step))
    if isinstance(injection, ByPrefix):
        cases = [f"a value that begins with {prefix}: {_one_line(case)}" for prefix, case in injection.cases]
        return (*cases, f"any other value: {_one_line(injection.otherwise)}")
    return (_describe_step(injection),)


def _one_line(injection: Injection) -> str:
    return ", ".join(describe_injection(injection))


def _describe_step(step: Injection) -> str:
    match step:
        case Bearer():
            return "header authorization: Bearer …"
        case Basic():
            return "header authorization: Basic …"
        case SetHeader():
            return f"header {step.name}: {step.template.replace('{}', '…')}"
        case ReplaceHeader():
            return f"header {step.name}: {step.template.replace('{}', '…')}, if the request has one"
        case RemoveHeader():
            return f"header {step.name} is taken out"
        case RemoveQuery():
            return f"query parameter {step.name} is taken out"
        case ListHeader():
            return f"header {step.name} also says {step.item}"
        case Query():
            return f"query parameter {step.name}=…"
        case PathHole():
            return f"path {' or '.join(template.replace('{}', '…') for template in step.templates)}"
        case Cookie():
            return f"cookie {step.name}=…"
        case JsonField():
            return f"JSON body, at {step.pointer}"
        case HmacSigning():
            return f"header {step.header}: a signature ({step.algorithm})"
        case SigV4():
            return "header authorization: an AWS signature (version 4)"
        case _:
            return "several things"
