"""Who may speak to an agent, and what becomes of what they say: one decision per message. Pure.

Deny by default: only persons with a role are heard, and only in a chat that is bound to a group. Carrying a decision
out is intake.py's business; what the store knows of a sender comes as `SenderFacts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from protocol.ids import GroupId
from protocol.message import InboundMessage
from runtime.commands.table import Command, parse_command
from runtime.people.bindings import Chosen, choose_binding
from runtime.people.codes import normalize_code
from runtime.people.limits import find_over_limit, person_limits
from runtime.people.records import RequestKind
from runtime.people.roles import reaches
from runtime.store.records import (
    ROLES,
    Binding,
    FiledState,
    MessageState,
    Original,
    Person,
    PersonLimits,
    Role,
    SenderFacts,
)

TERMINAL = "terminal"
"""The channel behind control.sock (mode 0600): whoever can open it owns the home."""

ASIDES = frozenset({"reaction", "joined", "left"})
"""What happens in a chat beside what is said there."""
REFUSAL_EVERY = timedelta(hours=1)
"""A stranger is told no at most so often: a bot that answers everything can be used to flood."""

FOR_HEARD_GUESTS = frozenset({"stop", "new", "status", "tasks", "skills", "retry", "answer", "start"})
"""What guests may say where an agent answers them. Nothing that lasts, nothing that tells of others or of the house."""

GONE = "The agent `{group}` of this chat is not there any more.\nTo mend it: `nightyard group new {group}`"
EMPTY = "That message was empty, so there is nothing to answer."
NOT_KNOWN = "I do not know you, so I may not answer. Write to me in a direct chat to ask for it."
NOT_BOUND = "This chat belongs to no agent yet. I have asked my owner about it."
NOT_YOU = "In this chat I answer only those whom my owner named."
WRONG_CODE = "That code is wrong or has expired. `nightyard pair` makes a new one."
OWNERS_ONLY = "Only an owner may give that command."
TOO_LOW = "Only {least}s may give that command."
DIRECT_ONLY = "That command works in a direct chat with me only: its answer is not for everybody here."
LOCKED_OUT = "Too many wrong codes: pairing is locked for an hour."

# Why somebody was refused, as `nightyard access log` counts it. What is only not meant for an agent is not counted.
STRANGER = "stranger"
UNBOUND_CHAT = "unbound_chat"
AGENT_GONE = "agent_gone"
ROLE = "role"
WHOM = "whom"
RATE = "rate"
SPENT = "spent"
WRONG_PAIRING = "wrong_code"
REASONS = {
    STRANGER: "nobody known",
    UNBOUND_CHAT: "the chat has no agent",
    AGENT_GONE: "the chat's agent is not there any more",
    ROLE: "a command for others",
    WHOM: "not among those whom the agent answers",
    RATE: "too many messages",
    SPENT: "the day's model calls or money used up",
    WRONG_PAIRING: "a wrong pairing code",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What becomes of a message: its state, for which group, why, and what its sender is told."""

    state: FiledState
    group_id: GroupId | None = None
    reason: str = ""
    notice: str = ""
    """Empty: nothing is said."""
    refusal: str = ""
    """One of REASONS: it is counted. Empty: nobody was refused anything."""
    asks: RequestKind | None = None
    """An owner is asked whether to let the person in, or to give the chat an agent."""
    change: Literal["", "replace", "withdraw", "tell", "keep"] = ""
    """What it does to the message that it is an edit or a deletion of: replaces what waits, takes it back, is told to
    the agent that works on it, or is kept with what that message said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryCode:
    """The message may be a pairing code: the store has to say."""

    code: str
    """As `normalize_code` gives it."""


def decide_access(
    inbound: InboundMessage, facts: SenderFacts, *, now: datetime, groups: Mapping[GroupId, PersonLimits]
) -> Admission | TryCode:
    """Return what becomes of a message. `groups` are those that there are, running or suspended, with what each takes
    from one person."""
    if inbound.kind in ("edit", "delete") and facts.original is not None:
        changed = _decide_change(inbound, facts, facts.original)
        if changed is not None:
            return changed
    if inbound.kind in ASIDES:
        return _decide_aside(inbound, facts, now, groups)
    code = normalize_code(inbound.text)
    if code is not None and facts.pairing_pending and inbound.chat_kind == "direct":
        return TryCode(code=code)
    chosen = choose_binding(inbound, facts.bindings, facts.followed, now)
    group_id = chosen.binding.group_id if chosen else None
    role = role_of(inbound, facts.person, facts.roles.get(group_id) if group_id else None)
    if role is None:
        return _refuse_stranger(inbound, facts, now, group_id)
    command = _command(inbound)
    is_heard = chosen is None or _is_heard(inbound, facts, chosen.binding, role)
    is_answered = chosen is not None and is_heard
    if role == "guest" and is_answered and (command is None or command.name in FOR_HEARD_GUESTS):
        role = "member"  # here: who may ask may also stop what they asked for
    if command is not None and (role != "guest" or is_answered or command.spec.least == "guest"):
        decision = _decide_command(inbound, command, role, group_id, is_heard=is_heard)
        may_ask = decision.state is not MessageState.COMMAND or not command.spec.asks_model or group_id not in groups
        over = None if may_ask or group_id is None else _decide_over(inbound, facts, group_id, groups[group_id], now)
        return over or decision
    if chosen is None:
        reason = "the chat is bound to no group"
        return _refuse(inbound, facts, now, None, UNBOUND_CHAT, reason, NOT_BOUND, asks="chat")
    if chosen.binding.group_id not in groups:
        notice, reason = GONE.format(group=group_id), "the chat's group is not there any more"
        return _refuse(inbound, facts, now, group_id, AGENT_GONE, reason, notice)
    return _admit(inbound, facts, chosen, role, groups[chosen.binding.group_id], now, may_ask=is_heard)


def decide_after_code(
    outcome: str,
    inbound: InboundMessage,
    facts: SenderFacts,
    *,
    now: datetime,
    groups: Mapping[GroupId, PersonLimits],
) -> Admission:
    """Return what becomes of a message that looked like a code and was not one (`wrong`, `locked` or `silent`)."""
    if role_of(inbound, facts.person) is None:
        notice = {"locked": LOCKED_OUT, "silent": ""}.get(outcome, WRONG_CODE)
        reason = "pairing code wrong" if outcome == "wrong" else "pairing code locked"
        return Admission(state=MessageState.REFUSED, reason=reason, notice=notice, refusal=WRONG_PAIRING)
    decision = decide_access(inbound, replace(facts, pairing_pending=False), now=now, groups=groups)
    assert isinstance(decision, Admission)  # TryCode needs a pending code
    return decision


def wants_spent(inbound: InboundMessage, facts: SenderFacts, groups: Mapping[GroupId, PersonLimits]) -> bool:
    """Return whether what the person has spent today must be looked up before a decision."""
    if facts.person is None or facts.spent is not None or inbound.channel_id == TERMINAL:
        return False
    return any(
        limits.model_calls_per_day is not None or limits.cost_usd_per_day is not None
        for each in facts.bindings
        for limits in (person_limits(facts, groups.get(each.group_id, PersonLimits())),)
    )


def role_of(inbound: InboundMessage, person: Person | None, here: Role | None = None) -> Role | None:
    """Return how far a sender is trusted; None for a stranger. Who can open the control socket owns the home.

    `here`: their role with the agent that they speak to, which counts where it is more than the one everywhere.
    """
    if inbound.channel_id == TERMINAL:
        return "owner"
    if person is None:
        return None
    return max(person.role, here or person.role, key=ROLES.index)


def _command(inbound: InboundMessage) -> Command | None:
    """Return the command for us that a message is: `/stop@somebody` in a chat of many is one only if it mentions us.

    A button may carry a command too: pressing it is giving it.
    """
    command = parse_command(inbound.text) if inbound.kind in ("message", "press") else None
    is_addressed = "@" in inbound.text.strip().partition(" ")[0]
    is_for_us = inbound.chat_kind == "direct" or inbound.mentions_me or not is_addressed
    return command if is_for_us else None


def _decide_command(
    inbound: InboundMessage, command: Command, role: Role, group_id: GroupId | None, *, is_heard: bool
) -> Admission:
    def refuse(code: str, reason: str, notice: str) -> Admission:
        return Admission(state=MessageState.REFUSED, group_id=group_id, reason=reason, notice=notice, refusal=code)

    least = command.spec.least
    if not reaches(role, least):
        notice = OWNERS_ONLY if least == "owner" else TOO_LOW.format(least=least)
        return refuse(ROLE, f"/{command.name} is for {least}s", notice)
    if command.spec.direct_only and inbound.chat_kind != "direct":
        return refuse(ROLE, f"/{command.name} is for direct chats", DIRECT_ONLY)
    if least != "guest" and not is_heard:
        return refuse(WHOM, f"/{command.name} in a chat that answers others", NOT_YOU)
    return Admission(state=MessageState.COMMAND, group_id=group_id)


def _admit(
    inbound: InboundMessage,
    facts: SenderFacts,
    chosen: Chosen,
    role: Role,
    limits: PersonLimits,
    now: datetime,
    *,
    may_ask: bool,
) -> Admission:
    binding, group_id = chosen.binding, chosen.binding.group_id
    if not (inbound.text.strip() or inbound.attachments or inbound.pending_files):
        notice = EMPTY if may_ask and inbound.chat_kind == "direct" and inbound.kind == "message" else ""
        return Admission(state=MessageState.REFUSED, group_id=group_id, reason="an empty message", notice=notice)
    if may_ask and chosen.is_meant:
        over = _decide_over(inbound, facts, group_id, limits, now)
        return over or Admission(state=MessageState.QUEUED, group_id=group_id)
    if binding.rest == "context" or (may_ask and inbound.kind == "edit" and binding.when == "always"):
        return Admission(state=MessageState.CONTEXT, group_id=group_id, reason="kept as context")
    if chosen.is_meant and role == "guest":
        return Admission(state=MessageState.REFUSED, group_id=group_id, reason="a guest may not ask", refusal=WHOM)
    if chosen.is_meant:
        return _refuse(inbound, facts, now, group_id, WHOM, "not among those whom the agent answers here", NOT_YOU)
    return Admission(state=MessageState.REFUSED, group_id=group_id, reason="not meant for the agent")


def _decide_over(
    inbound: InboundMessage, facts: SenderFacts, group_id: GroupId, limits: PersonLimits, now: datetime
) -> Admission | None:
    """Return the refusal of somebody who has asked or used as much as they may; None: they may ask."""
    over = None if inbound.channel_id == TERMINAL else find_over_limit(facts, group_id, limits)
    if over is None:
        return None
    code = RATE if over.is_rate else SPENT
    return _refuse(inbound, facts, now, group_id, code, over.reason, over.notice, over.every)


def _is_heard(inbound: InboundMessage, facts: SenderFacts, binding: Binding, role: Role) -> bool:
    """Return whether a known person may ask the agent of a binding. Always an owner; a guest only if the binding means
    them."""
    if role == "owner":
        return True
    if binding.whom == "roles":
        return role in binding.whom_names
    if binding.whom == "persons":
        return inbound.person in binding.whom_names or (
            facts.person is not None and facts.person.person in binding.whom_names
        )
    return role != "guest"


def _decide_change(inbound: InboundMessage, facts: SenderFacts, original: Original) -> Admission | None:
    """Return what an edit or a deletion does to the message that it is about; None: it is judged as if it were about
    none. It never makes a task of its own, so that it needs no more rights than the message had: to take something back
    none at all, to change it the same person and still some role."""
    is_edit = inbound.kind == "edit"
    if is_edit and original.person != inbound.person:
        return None
    if original.waits_for_owner:
        return Admission(
            state=MessageState.COMMAND,
            reason=_changed(original, is_edit=is_edit),
            change="replace" if is_edit else "withdraw",
        )
    if is_edit and role_of(inbound, facts.person, _role_with(facts, original)) is None:
        return None
    kept = Admission(state=MessageState.CONTEXT, group_id=original.group_id, reason="kept as context", change="keep")
    match original.state:
        case MessageState.QUEUED:
            return Admission(
                state=MessageState.COMMAND,
                group_id=original.group_id,
                reason=_changed(original, is_edit=is_edit),
                change="replace" if is_edit else "withdraw",
            )
        case MessageState.CLAIMED:
            return replace(kept, change="tell")
        case MessageState.ANSWERED | MessageState.DEAD | MessageState.CONTEXT:
            return kept
        case _:
            reason = f"it is about a message that was {original.state}"
            return Admission(state=MessageState.REFUSED, group_id=original.group_id, reason=reason)


def _decide_aside(
    inbound: InboundMessage, facts: SenderFacts, now: datetime, groups: Mapping[GroupId, PersonLimits]
) -> Admission:
    """Return what becomes of a reaction, or of word that somebody came or went. It decides nothing and starts nothing:
    it is kept for an agent that hears the rest of the chat, or whose own message it is about. Nobody is told."""
    chosen = choose_binding(inbound, facts.bindings, facts.followed, now)
    binding = chosen.binding if chosen else None
    if (about := facts.about) is not None:
        binding = next((each for each in facts.bindings if each.group_id == about.by), binding)
    group_id = binding.group_id if binding else None
    is_kept = binding is not None and (binding.rest == "context" or binding.when == "always")
    if role_of(inbound, facts.person, facts.roles.get(group_id) if group_id else None) is None:
        reason = "not a known person"
    elif group_id not in groups:
        reason = "the chat has no agent that is there"
    elif is_kept or (about is not None and about.by == group_id):
        return Admission(state=MessageState.CONTEXT, group_id=group_id, reason="kept as context")
    else:
        reason = "not meant for the agent"
    return Admission(state=MessageState.REFUSED, group_id=group_id, reason=reason)


def _changed(original: Original, *, is_edit: bool) -> str:
    return f"replaced {original.message_id}" if is_edit else f"took back {original.message_id}"


def _role_with(facts: SenderFacts, original: Original) -> Role | None:
    return facts.roles.get(original.group_id) if original.group_id else None


def _refuse_stranger(inbound: InboundMessage, facts: SenderFacts, now: datetime, group_id: GroupId | None) -> Admission:
    """Refuse somebody unknown. Who writes to us directly may ask to be let in; a chat that has no agent may be given
    one, whoever mentions us there."""
    reason = "not a known person"
    if inbound.chat_kind == "direct":
        return _refuse(inbound, facts, now, group_id, STRANGER, reason, NOT_KNOWN, asks="person")
    if group_id is None and inbound.mentions_me:
        return Admission(state=MessageState.REFUSED, reason=reason, refusal=STRANGER, asks="chat")
    return _refuse(inbound, facts, now, group_id, STRANGER, reason, NOT_KNOWN)


def _is_spoken_to(inbound: InboundMessage) -> bool:
    return inbound.kind in ("message", "press") and (inbound.chat_kind == "direct" or inbound.mentions_me)


def _refuse(
    inbound: InboundMessage,
    facts: SenderFacts,
    now: datetime,
    group_id: GroupId | None,
    code: str,
    reason: str,
    notice: str,
    every: timedelta = REFUSAL_EVERY,
    asks: RequestKind | None = None,
) -> Admission:
    """Refuse; say so to who spoke to us directly, at most once in a while, and never to others."""
    was_told = facts.refused_at is not None and now - datetime.fromisoformat(facts.refused_at) < every
    told = "" if was_told or not _is_spoken_to(inbound) else notice
    return Admission(
        state=MessageState.REFUSED,
        group_id=group_id,
        reason=reason,
        notice=told,
        refusal=code,
        asks=asks if _is_spoken_to(inbound) else None,
    )
