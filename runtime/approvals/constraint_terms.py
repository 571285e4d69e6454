"""Constraints as people write them, in group.yaml or in a chat, and as the host goes by them. Pure.

A constraint names one thing (a tool, a command's words, a host, a destination) and says that somebody is asked before
it, or that it is never done. It is policy: it stands outside what a model reads, so nothing said to the model lifts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from protocol.ids import PersonKey
from protocol.task import EgressRule
from protocol.tool_rules import ANY, ToolRule
from runtime.approvals.records import Who
from runtime.approvals.rules import LEAST_DEADLINE_S, MAX_QUORUM, MOST_DEADLINE_S
from runtime.refusal import OperationRefused
from runtime.yaml_record import key

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_PATTERN_CHARS = 200
MAX_CONSTRAINTS = 100
"""Of one group."""
ROLES_ASKED = ("owner", "admin", "member")
_TOOL = re.compile(r"[a-z][A-Za-z0-9_-]{0,63}\*?|\*")
_HOST = re.compile(r"(\*\.)?[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?|\*")
_DESTINATION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?|\*")
_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

What = Literal["tool", "command", "host", "destination"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintSettings:
    """One item of `constraints` in group.yaml. Exactly one of the first four is given."""

    tool: str = ""
    """A tool's name, or its beginning and a `*`; `*`: every tool."""
    command: str = ""
    """Words of a shell command, such as `git push`; `*` stands for any words between."""
    host: str = ""
    """A host, or `*.example.org` for all below it, or `*`."""
    destination: str = ""
    """A named destination; `*`: all."""
    methods: tuple[str, ...] = ()
    """With `host`: only these; none: every method."""
    then: Literal["ask", "deny"] = "ask"
    who: tuple[str, ...] = ("owner",)
    """Who is asked: one role, or person keys."""
    quorum: int = key(1, least=1, most=MAX_QUORUM)
    """So many of them must agree."""
    deadline: str = "1h"
    """How long they have: `90s`, `10m`, `2h`, `7d`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSettings:
    """`review` in group.yaml: who looks at outputs that are held back, or were picked as a sample."""

    who: tuple[str, ...] = ("owner",)
    """One role, or person keys."""
    quorum: int = key(1, least=1, most=MAX_QUORUM)
    deadline: str = "7d"
    """What nobody has let go by then is not sent; it is kept and can be seen."""
    sample_percent: int = key(0, least=0, most=100)
    """Of the outputs that an autonomous agent sends by itself: so many are shown to a reviewer afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One constraint that holds."""

    constraint_id: str
    """`group.yaml:3` (the item's number), or the code of one that was added in a chat."""
    what: What
    pattern: str
    methods: tuple[str, ...]
    then: Literal["ask", "deny"]
    who: Who
    quorum: int
    deadline_s: float


def why_wrong(settings: ConstraintSettings) -> tuple[str, str] | None:
    """Return (key, what is wrong) of a constraint, None if nothing is."""
    given = [(name, value) for name, value in _subjects(settings) if value]
    if len(given) != 1:
        return "", "should name exactly one of tool, command, host and destination"
    name, value = given[0]
    if len(value) > MAX_PATTERN_CHARS:
        return name, f"is longer than {MAX_PATTERN_CHARS} characters"
    if wrong := _wrong_subject(name, value):
        return name, wrong
    if settings.methods and name != "host":
        return "methods", "goes with `host` only"
    for method in settings.methods:
        if method not in METHODS:
            return "methods", f"should be of {', '.join(METHODS)}, but one is {method[:20]!r}"
    return why_wrong_asking(settings.who, settings.quorum, settings.deadline)


def why_wrong_asking(who: Sequence[str], quorum: int, deadline: str) -> tuple[str, str] | None:
    """Return (key, what is wrong) of who is asked and for how long, None if nothing is."""
    try:
        asked = read_who(who)
    except ValueError as error:
        return "who", str(error)
    if isinstance(asked, tuple) and quorum > len(asked):
        return "quorum", f"is {quorum}, but `who` names {len(asked)}"
    seconds = read_duration_s(deadline)
    if seconds is None or not LEAST_DEADLINE_S <= seconds <= MOST_DEADLINE_S:
        return "deadline", f"should be a time from 10s to 30d, such as 10m or 2h, but it is {deadline[:20]!r}"
    return None


def build_constraint(constraint_id: str, settings: ConstraintSettings) -> Constraint:
    """Return a constraint of settings in which nothing is wrong."""
    what, pattern = next((name, value) for name, value in _subjects(settings) if value)
    return Constraint(
        constraint_id=constraint_id,
        what=what,
        pattern=pattern,
        methods=settings.methods,
        then=settings.then,
        who=read_who(settings.who),
        quorum=settings.quorum,
        deadline_s=read_duration_s(settings.deadline) or LEAST_DEADLINE_S,
    )


def tool_rules(constraints: Sequence[Constraint]) -> tuple[ToolRule, ...]:
    """Return those that are about tools as an agent is given them."""
    return tuple(
        ToolRule(
            rule_id=each.constraint_id,
            then=each.then,
            tool=each.pattern if each.what == "tool" else ANY,
            words=tuple(each.pattern.split()) if each.what == "command" else (),
        )
        for each in constraints
        if each.what in ("tool", "command")
    )


def egress_rules(constraints: Sequence[Constraint]) -> tuple[EgressRule, ...]:
    """Return those that are about requests out as the proxy is given them, with a lease: the strictest first."""
    return tuple(
        EgressRule(
            rule_id=each.constraint_id,
            then=each.then,
            host=each.pattern,
            methods=each.methods,
            deadline_s=each.deadline_s,
        )
        for each in sorted(constraints, key=strictness)
        if each.what == "host"
    )


def strictness(constraint: Constraint) -> tuple[bool, int, int, float]:
    """Return the order of constraints on the same thing: a no before a question, then how many must agree, then who
    (an owner before persons by name, an admin, a member), then the shorter time."""
    rank = _RANKS.get(constraint.who, 1) if isinstance(constraint.who, str) else 1
    return constraint.then != "deny", -constraint.quorum, rank, constraint.deadline_s


_RANKS = {"owner": 0, "admin": 2, "member": 3}


def parse_constraint(text: str) -> ConstraintSettings:
    """Return what `host api.mail.example POST ask owner 1h` says, as it is typed in a chat: the subject, then any of
    ask or deny, methods, a role or persons, a time. A command's words stand in quotes. Raises OperationRefused."""
    words = _split(text)
    if len(words) < 2 or words[0] not in ("tool", "command", "host", "destination"):
        raise OperationRefused(
            "wrong_constraint", f"that names no tool, command, host or destination: {text[:80]!r}", USAGE
        )
    values: dict[str, object] = {words[0]: words[1].lower() if words[0] != "command" else words[1]}
    methods, who = [], []
    for word in words[2:]:
        if word in ("ask", "deny"):
            values["then"] = word
        elif word.upper() in METHODS:
            methods.append(word.upper())
        elif word in ROLES_ASKED or ":" in word:
            who.append(word)
        elif read_duration_s(word) is not None:
            values["deadline"] = word
        elif word.startswith("quorum") and word[6:].lstrip("=").isdecimal():
            values["quorum"] = int(word[6:].lstrip("="))
        else:
            raise OperationRefused("wrong_constraint", f"{word[:40]!r} says nothing to a constraint", USAGE)
    settings = ConstraintSettings(
        **{**values, "methods": tuple(methods), "who": tuple(who) or ("owner",)}  # type: ignore[arg-type]  # checked next
    )
    wrong = why_wrong(settings)
    if wrong is not None:
        raise OperationRefused("wrong_constraint", f"{wrong[0] or 'the constraint'} {wrong[1]}", USAGE)
    if not 1 <= settings.quorum <= MAX_QUORUM:
        raise OperationRefused("wrong_constraint", f"a quorum is 1 to {MAX_QUORUM}", USAGE)
    return settings


USAGE = '/constraint add host mail.example.org POST ask owner 1h, or: add command "git push" deny'


def constraint_text(each: Constraint) -> str:
    """Say what a constraint does, in a line."""
    methods = f" {','.join(each.methods)}" if each.methods else ""
    subject = f'{each.what} "{each.pattern}"{methods}'
    if each.then == "deny":
        return f"{subject}: never"
    who = each.who if isinstance(each.who, str) else " ".join(each.who)
    votes = f", {each.quorum} of them" if each.quorum > 1 else ""
    return f"{subject}: ask {who}{votes}, for {duration_text(each.deadline_s)}"


def read_who(words: Sequence[str]) -> Who:
    """Return who is meant by one role's word, or by person keys; raise ValueError."""
    if len(words) == 1:
        if words[0] == "owner":
            return "owner"
        if words[0] == "admin":
            return "admin"
        if words[0] == "member":
            return "member"
    keys = tuple(PersonKey(word) for word in words)
    if not keys or not all(re.fullmatch(r"[a-z0-9-]+:\S{1,200}", word) for word in keys):
        raise ValueError(f"should be one of {', '.join(ROLES_ASKED)}, or person keys such as telegram:12345")
    return keys


def read_duration_s(text: str) -> float | None:
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _UNIT_S[found[2]] if found else None


def duration_text(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds % _UNIT_S[unit] == 0:
            return f"{seconds / _UNIT_S[unit]:g}{unit}"
    return f"{seconds:g}s"


def _subjects(settings: ConstraintSettings) -> Iterator[tuple[What, str]]:
    yield "tool", settings.tool.strip()
    yield "command", settings.command.strip()
    yield "host", settings.host.strip()
    yield "destination", settings.destination.strip()


def _wrong_subject(name: What, value: str) -> str:
    if name == "tool" and not _TOOL.fullmatch(value):
        return f"should be a tool's name, such as shell or send_file, but it is {value[:60]!r}"
    if name == "host" and not _HOST.fullmatch(value):
        return f"should be a host such as mail.example.org, or *.example.org, but it is {value[:60]!r}"
    if name == "destination" and not _DESTINATION.fullmatch(value):
        return f"should be a destination's name, but it is {value[:60]!r}"
    if name == "command" and set(value.split()) <= {ANY}:
        return "should have a word besides *; for every command: `tool: shell`"
    return ""


def _split(text: str) -> list[str]:
    """Return the words of a text, what stands in quotes as one."""
    return [quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', text)]
