"""What commands about people and chats answer in a chat. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocol.codec import Json
from protocol.ids import GroupId
from protocol.message import Button
from runtime.people.cards import shown, shown_code
from runtime.people.records import AccessRequest, KnownPerson, Refusals
from runtime.store.records import Binding, PersonLimits, Role

MAX_LINES = 20
LIMIT_WORDS: Mapping[str, str] = {
    "per_minute": "messages a minute",
    "per_hour": "messages an hour",
    "per_day": "messages a day",
    "model_calls_per_day": "model calls a day",
    "cost_usd_per_day": "US dollars a day",
}
_WHEN = {
    "always": "everything",
    "mention": "what mentions me",
    "pattern": "what mentions me or matches the pattern",
    "sticky": "what mentions me, and what follows in that thread for {minutes} minutes",
}
_MODES = {
    "steer": "is told to the agent at work",
    "follow_up": "waits its turn",
    "collect": "waits for those that follow it",
    "interrupt": "ends what goes on",
}
_SESSIONS = {
    "chat": "one for this chat",
    "thread": "one for each thread",
    "shared": "one with the agent's other chats that share theirs",
}


def describe_destinations(names: Sequence[str]) -> str:
    """Return the part of an agent's instructions that says where it may send; empty where it has no destination."""
    if not names:
        return ""
    return f"\n\nBeside the chat that you answer you may send to: {', '.join(names)}. You reach nobody else."


def build_whoami(
    *,
    person: str,
    role: Role | None,
    roles: Sequence[tuple[GroupId, Role]],
    identities: Sequence[str],
    chat: str,
    here: Sequence[tuple[GroupId, Role]],
    used: Mapping[str, Json],
    limits: PersonLimits,
) -> str:
    """Return who somebody is to us: ids, roles, what they have used of what they may."""
    lines = [f"You are `{person}`, {f'{role} everywhere' if role else 'nobody known'}."]
    if roles:
        lines.append("With single agents: " + ", ".join(f"{each} of `{group_id}`" for group_id, each in roles) + ".")
    if identities:
        lines.append("Also: " + ", ".join(f"`{each}`" for each in identities) + ".")
    told = ", ".join(f"{each} to `{group_id}`" for group_id, each in here) or "no agent answers here"
    lines.append(f"Here (`{chat}`): {told}.")
    lines += [limit_line(name, used, limits) for name in LIMIT_WORDS if _is_worth_telling(name, used, limits)]
    return "\n".join(lines)


def _is_worth_telling(name: str, used: Mapping[str, Json], limits: PersonLimits) -> bool:
    return getattr(limits, name) is not None or bool(used.get(name))


def limit_line(name: str, used: Mapping[str, Json], limits: PersonLimits) -> str:
    """Return what was used of one limit."""
    limit: float | int | None = getattr(limits, name)
    number = used.get(name, 0)
    if limit is not None:
        return f"Used: {number} of {limit:g} {LIMIT_WORDS[name]}."
    *what, _, window = LIMIT_WORDS[name].split()
    unit = " ".join(what)
    return f"Used: {number} {unit.removesuffix('s') if number == 1 else unit}, last {window}."


def build_people(known: Sequence[KnownPerson], requests: Sequence[AccessRequest]) -> str:
    lines = [_person_line(each) for each in known[:MAX_LINES]]
    if len(known) > MAX_LINES:
        lines.append(f"… and {len(known) - MAX_LINES} more: `nightyard person list`")
    waiting = [each for each in requests if each.kind == "person" and each.state == "pending"]
    lines += [f"Asks to be let in: {shown(each.name)} (`{each.person}`), {shown_code(each.code)}" for each in waiting]
    return "\n".join(lines) or "Nobody is known yet."


def _person_line(known: KnownPerson) -> str:
    person = known.person
    roles = "".join(f", {role} of `{group_id}`" for group_id, role in known.roles)
    also = "".join(f", `{identity}`" for identity in known.identities)
    return f"{shown(person.name) or '–'}: {person.role}{roles} (`{person.person}`{also})"


def build_refusals(refusals: Refusals) -> str:
    if not refusals.lines and not refusals.requests:
        return "Nobody was refused."
    lines = [
        f"{_day_and_time(each.last_at)} `{each.person}` in `{each.chat}`: {each.code}, {each.count}×"
        for each in refusals.lines[:MAX_LINES]
    ]
    lines += [
        f"{each.state}: {each.kind} `{each.person if each.kind == 'person' else each.chat}` {shown_code(each.code)}"
        for each in refusals.requests[:MAX_LINES]
    ]
    return "\n".join(lines)


def _day_and_time(at: str) -> str:
    return f"{at[5:10]} {at[11:16]} UTC"


def build_settings(bindings: Sequence[Binding]) -> str:
    """Return how a chat is bound, agent by agent."""
    if not bindings:
        return "No agent answers here."
    return "\n\n".join(_binding_lines(each, alone=len(bindings) == 1) for each in bindings)


def _binding_lines(binding: Binding, *, alone: bool) -> str:
    title = f"Agent `{binding.group_id}`" + ("" if alone else ", the default one" if binding.is_default else "")
    lines = [f"{title}:"]
    if binding.chat_kind == "many":
        lines.append(f"answers {_WHEN[binding.when].format(minutes=binding.sticky_minutes)} (when: {binding.when})")
        if binding.when == "pattern":
            lines.append(f"pattern: `{binding.pattern}`")
        lines.append(f"what is not for it: {'is kept as context' if binding.rest == 'context' else 'is dropped'}")
    named = f": {', '.join(binding.whom_names)}" if binding.whom != "known" else ", whoever may ask"
    lines.append(f"whom it answers{named} (whom: {binding.whom})")
    lines.append(f"conversation: {_SESSIONS[binding.session]} (session: {binding.session})")
    lines.append(f"a message while it works {_MODES[binding.mode]} (mode: {binding.mode})")
    return "\n".join(lines)


def build_chats(bindings: Sequence[Binding]) -> str:
    """Return which agents answer in which chats."""
    lines = [f"`{each.chat}`: {each.group_id}, {each.when}" for each in bindings[:MAX_LINES]]
    if len(bindings) > MAX_LINES:
        lines.append(f"… and {len(bindings) - MAX_LINES} more: `nightyard bindings`")
    return "\n".join(lines) or "No chat has an agent yet."


def settings_buttons(bindings: Sequence[Binding], *, alone: bool) -> tuple[Button, ...]:
    """Return a button for each thing that could be otherwise. More than a few agents are set by typing."""
    buttons: list[Button] = []
    for binding in bindings[:3]:
        name = "" if alone else f"{binding.group_id} "
        for key, current, choices in _choices(binding):
            buttons += [
                Button(label=f"{name}{key}: {choice}", value=f"/settings {binding.group_id} {key} {choice}")
                for choice in choices
                if choice != current
            ]
        if not binding.is_default:
            buttons.append(Button(label=f"{name}default", value=f"/settings {binding.group_id} default yes"))
    return tuple(buttons)


def _choices(binding: Binding) -> list[tuple[str, str, tuple[str, ...]]]:
    of_many = [
        ("when", binding.when, ("always", "mention", "sticky")),
        ("rest", binding.rest, ("drop", "context")),
        ("session", binding.session, ("chat", "thread", "shared")),
    ]
    mode = ("mode", binding.mode, ("steer", "follow_up", "collect", "interrupt"))
    return [*of_many, mode] if binding.chat_kind == "many" else [("session", binding.session, ("chat", "shared")), mode]
