"""Who may speak to an agent, and what becomes of what they say: one decision per message. Pure.

Deny by default: only persons with a role are heard, and only in a chat that is bound to a group. Carrying a decision
out is intake.py's business; what the store knows of a sender comes as `SenderFacts`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from protocol.ids import GroupId
from protocol.message import InboundMessage
from runtime.commands.table import Command, parse_command
from runtime.config import REHEARSAL_NOTICE
from runtime.store.records import ROLES, Binding, FiledState, MessageState, Person, Role, SenderFacts

TERMINAL = "terminal"
"""The channel behind control.sock (mode 0600): whoever can open it owns the home."""

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that a code read aloud or from paper is typed right."""
CODE_CHARS = 8
"""40 bits; with at most MAX_WRONG_IN_ALL guesses an hour a hit is a chance of 2 in 10^10 a year."""
CODE_LIFE = timedelta(hours=1)
MAX_PENDING_CODES = 3
MAX_WRONG_PER_PERSON = 5
MAX_WRONG_IN_ALL = 20
LOCK_OUT = timedelta(hours=1)
"""Wrong codes are counted for so long."""
REFUSAL_EVERY = timedelta(hours=1)
"""A stranger is told no at most so often: a bot that answers everything can be used to flood."""

GONE = "The agent `{group}` of this chat is not there any more.\nTo mend it: `nightyard group new {group}`"
EMPTY = "That message was empty, so there is nothing to answer."
NOT_KNOWN = "I do not know you, so I may not answer. If this is your bot, send me the code that `nightyard pair` shows."
NOT_BOUND = "This chat belongs to no agent yet. Send me, in a direct chat, the code that `nightyard pair` shows."
WRONG_CODE = "That code is wrong or has expired. `nightyard pair` makes a new one."
OWNERS_ONLY = "Only an owner may give that command."
LOCKED_OUT = "Too many wrong codes: pairing is locked for an hour."


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What becomes of a message: its state, for which group, why, and what its sender is told."""

    state: FiledState
    group_id: GroupId | None = None
    reason: str = ""
    notice: str = ""
    """Empty: nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryCode:
    """The message may be a pairing code: the store has to say."""

    code: str
    """As `normalize_code` gives it."""


def decide_access(
    inbound: InboundMessage, facts: SenderFacts, *, now: datetime, groups: Collection[GroupId]
) -> Admission | TryCode:
    """Return what becomes of a message. `groups` are those that there are, running or suspended."""
    code = normalize_code(inbound.text)
    if code is not None and facts.pairing_pending and inbound.chat_kind == "direct":
        return TryCode(code=code)
    role = role_of(inbound, facts.person)
    group_id = facts.binding.group_id if facts.binding else None
    if role is None:
        return _refuse(inbound, facts, now, group_id, "not a known person", NOT_KNOWN)
    command = _command(inbound)
    if role != "guest" and command is not None:
        if not reaches(role, command.spec.least):
            reason = f"/{command.name} is for {command.spec.least}s"
            return Admission(state=MessageState.REFUSED, group_id=group_id, reason=reason, notice=OWNERS_ONLY)
        return Admission(state=MessageState.COMMAND, group_id=group_id)
    if facts.binding is None:
        return _refuse(inbound, facts, now, None, "the chat is bound to no group", NOT_BOUND)
    if facts.binding.group_id not in groups:
        notice = GONE.format(group=group_id)
        return _refuse(inbound, facts, now, group_id, "the chat's group is not there any more", notice)
    return _admit(inbound, facts.binding, may_ask=role != "guest")


def decide_after_code(
    outcome: str, inbound: InboundMessage, facts: SenderFacts, *, now: datetime, groups: Collection[GroupId]
) -> Admission:
    """Return what becomes of a message that looked like a code and was not one (`wrong` or `locked`)."""
    if role_of(inbound, facts.person) is None:
        notice = LOCKED_OUT if outcome == "locked" else WRONG_CODE
        return Admission(state=MessageState.REFUSED, reason=f"pairing code {outcome}", notice=notice)
    decision = decide_access(inbound, replace(facts, pairing_pending=False), now=now, groups=groups)
    assert isinstance(decision, Admission)  # TryCode needs a pending code
    return decision


def paired_notice(group_id: GroupId, *, is_rehearsal: bool) -> str:
    """Return what a person who has just paired is told."""
    paired = (
        f"Paired: you are an owner now, and this chat talks to the agent `{group_id}`. /help shows what I understand."
    )
    return f"{paired}\n\n{REHEARSAL_NOTICE}" if is_rehearsal else paired


def make_pairing_code(random_bytes: bytes) -> str:
    """Return a code from at least 5 random bytes of the CSPRNG, as it is shown: `7K3M-9QXA`."""
    bits = int.from_bytes(random_bytes[:5], "big")
    code = "".join(CODE_ALPHABET[bits >> shift & 31] for shift in range(0, 5 * CODE_CHARS, 5))
    return f"{code[:4]}-{code[4:]}"


def normalize_code(text: str) -> str | None:
    """Return the code that a text consists of, None if it is no code; case, hyphens and look-alikes do not matter."""
    if len(text) > 2 * CODE_CHARS:
        return None
    code = text.strip().upper().replace("-", "").translate(str.maketrans("OIL", "011"))
    return code if len(code) == CODE_CHARS and set(code) <= set(CODE_ALPHABET) else None


def role_of(inbound: InboundMessage, person: Person | None) -> Role | None:
    """Return how far a sender is trusted; None for a stranger. Who can open the control socket owns the home."""
    if inbound.channel_id == TERMINAL:
        return "owner"
    return person.role if person else None


def reaches(role: Role, least: Role) -> bool:
    """Return whether a role has the rights of another."""
    return ROLES.index(role) >= ROLES.index(least)


def _command(inbound: InboundMessage) -> Command | None:
    """Return the command for us that a message is: `/stop@somebody` in a chat of many is one only if it mentions us.

    A button may carry a command too: pressing it is giving it.
    """
    command = parse_command(inbound.text) if inbound.kind != "edit" else None
    is_addressed = "@" in inbound.text.strip().partition(" ")[0]
    is_for_us = inbound.chat_kind == "direct" or inbound.mentions_me or not is_addressed
    return command if is_for_us else None


def _admit(inbound: InboundMessage, binding: Binding, *, may_ask: bool) -> Admission:
    group_id = binding.group_id
    if not (inbound.text.strip() or inbound.attachments or inbound.pending_files):
        notice = EMPTY if may_ask and inbound.chat_kind == "direct" and inbound.kind == "message" else ""
        return Admission(state=MessageState.REFUSED, group_id=group_id, reason="an empty message", notice=notice)
    is_meant = inbound.kind == "press" or (
        inbound.kind == "message" and (binding.when == "always" or inbound.mentions_me)
    )
    if may_ask and is_meant:
        return Admission(state=MessageState.QUEUED, group_id=group_id)
    if binding.rest == "context" or (may_ask and inbound.kind == "edit" and binding.when == "always"):
        return Admission(state=MessageState.CONTEXT, group_id=group_id, reason="kept as context")
    return Admission(state=MessageState.REFUSED, group_id=group_id, reason="not meant for the agent")


def _refuse(
    inbound: InboundMessage,
    facts: SenderFacts,
    now: datetime,
    group_id: GroupId | None,
    reason: str,
    notice: str,
) -> Admission:
    """Refuse; say so to who spoke to us directly, at most once in a while, and never to others."""
    was_told = facts.refused_at is not None and now - datetime.fromisoformat(facts.refused_at) < REFUSAL_EVERY
    is_spoken_to = inbound.chat_kind == "direct" or inbound.mentions_me
    told = "" if was_told or not is_spoken_to else notice
    return Admission(state=MessageState.REFUSED, group_id=group_id, reason=reason, notice=told)
