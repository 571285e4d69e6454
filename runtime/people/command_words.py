"""What people type behind commands about people and chats, as values; OperationRefused for nonsense. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, get_args

from protocol.ids import GroupId
from runtime.people.records import BindingChange
from runtime.people.words import LIMIT_WORDS
from runtime.refusal import OperationRefused
from runtime.store.records import ROLES, PersonLimits, QueueMode, Rest, Role, SessionScope, When, Whom

T = TypeVar("T", bound=str)

CLEAR = "usual"
"""In place of limits: none of one's own."""
_MODES: tuple[QueueMode, ...] = get_args(QueueMode)
_RESTS: tuple[Rest, ...] = get_args(Rest)
_SESSIONS: tuple[SessionScope, ...] = get_args(SessionScope)
_WHENS: tuple[When, ...] = get_args(When)
_WHOMS: tuple[Whom, ...] = get_args(Whom)
SETTINGS = ("when", "pattern", "sticky", "whom", "rest", "session", "mode", "default")
SETTINGS_USAGE = (
    "/settings [AGENT] when always|mention|sticky · pattern PATTERN · sticky MINUTES · whom known|roles …|persons … · "
    "rest drop|context · session chat|thread|shared · mode steer|follow_up|collect|interrupt · default yes"
)


def parse_role(text: str) -> Role:
    """Return a role."""
    for role in ROLES:
        if role == text.lower():
            return role
    raise OperationRefused("wrong_role", f"{text[:20]!r} is no role (known: {', '.join(reversed(ROLES))})")


def parse_group(words: Sequence[str]) -> GroupId | None:
    """Return the agent that a word at the end names, None if there is no word."""
    return GroupId(words[0].lower()) if words else None


def parse_limits(words: Sequence[str]) -> PersonLimits | None:
    """Return the limits in words such as `per_hour=50`; None: the usual ones."""
    if list(words) == [CLEAR]:
        return None
    given: dict[str, float | int] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in LIMIT_WORDS:
            text = (
                f"{name[:30]!r} is no limit (known: {', '.join(LIMIT_WORDS)}, each as {name[:30]}=NUMBER, or {CLEAR})"
            )
            raise OperationRefused("wrong_limit", text)
        given[name] = _number(name, value)
    cost = given.pop("cost_usd_per_day", None)
    return PersonLimits(cost_usd_per_day=cost, **{name: int(value) for name, value in given.items()})


def _number(name: str, value: str) -> float | int:
    try:
        number = float(value) if name == "cost_usd_per_day" else int(value)
    except ValueError:
        number = -1
    if not 0 <= number <= 1_000_000:
        raise OperationRefused("wrong_limit", f"{name} should be a number from 0 to 1000000, not {value[:20]!r}")
    return number


def parse_settings(text: str, agents: Sequence[GroupId]) -> tuple[GroupId, BindingChange]:
    """Return whose binding `/settings [AGENT] SETTING VALUE` is to change, and how; `agents` are those of the chat."""
    first, _, rest = text.partition(" ")
    if first in agents:
        agent = GroupId(first)
    elif len(agents) == 1:
        agent, rest = agents[0], text
    else:
        known = ", ".join(agents) or "none"
        raise OperationRefused("unknown_group", f"{first[:40]!r} is no agent of this chat (known: {known})")
    setting, _, value = rest.strip().partition(" ")
    return agent, parse_change(setting.lower(), value.strip())


def parse_change(setting: str, value: str) -> BindingChange:
    """Return the change that `/settings AGENT SETTING VALUE` asks for."""
    match setting:
        case "when":
            return BindingChange(when=_one_of(_WHENS, setting, value))
        case "pattern":
            return BindingChange(when="pattern", pattern=value.strip())
        case "sticky":
            if not value.isascii() or not value.isdecimal():
                raise OperationRefused("wrong_minutes", f"sticky wants a number of minutes, not {value[:20]!r}")
            return BindingChange(when="sticky", sticky_minutes=int(value[:6]))
        case "whom":
            whom, *names = value.replace(",", " ").split() or [""]
            return BindingChange(whom=_one_of(_WHOMS, setting, whom), whom_names=tuple(names))
        case "rest":
            return BindingChange(rest=_one_of(_RESTS, setting, value))
        case "session":
            return BindingChange(session=_one_of(_SESSIONS, setting, value))
        case "mode":
            return BindingChange(mode=_one_of(_MODES, setting, value))
        case "default":
            return BindingChange(default=_one_of(("yes",), setting, value) == "yes")
        case _:
            text = f"{setting[:30]!r} is no setting of a chat (known: {', '.join(SETTINGS)})"
            raise OperationRefused("wrong_setting", text, SETTINGS_USAGE)


def _one_of(choices: Sequence[T], setting: str, value: str) -> T:
    for choice in choices:
        if choice == value.strip().lower():
            return choice
    raise OperationRefused("wrong_setting", f"{setting} is one of {', '.join(choices)}, not {value[:20]!r}")
