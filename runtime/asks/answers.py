"""A question of an agent's to a person: its card, who may answer it, and which message is the answer. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from protocol.ids import ChatKey, GroupId, PersonKey, PlatformMessageId, TaskId
from protocol.message import Button, InboundMessage, OutboundMessage
from runtime.envelope import build_envelope
from runtime.people.codes import CODE_ALPHABET, CODE_CHARS
from runtime.store.records import Role, StoredMessage

MAX_PER_TASK = 20
"""Questions that one task asks people: who is asked more often does its work."""
MAX_ANSWER_CHARS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQuestion:
    """One that waits for an answer."""

    code: str
    """How people name it."""
    task_id: TaskId
    call_id: str
    group_id: GroupId
    chat: ChatKey
    text: str
    options: tuple[str, ...]
    outbox_key: str
    """Of its card."""
    persons: frozenset[PersonKey]
    """Who may answer, beside owners; empty: whoever may ask the agent there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Somebody, as far as answering concerns them."""

    person: PersonKey
    """The first of their identities."""
    is_owner: bool


def make_code(task_id: TaskId, call_id: str) -> str:
    """Return how people name a question: always the same for the same one. A name, not a secret."""
    bits = int.from_bytes(hashlib.sha256(f"{task_id} {call_id}".encode("utf-8", "replace")).digest()[:5], "big")
    return "".join(CODE_ALPHABET[bits >> shift & 31] for shift in range(0, 5 * CODE_CHARS, 5))


def build_question(question: OpenQuestion, *, is_many: bool) -> OutboundMessage:
    """Return what is put into the chat. A button's value is a command, and the option its number."""
    buttons = tuple(
        Button(label=option, value=f"/answer {question.code} {number}")
        for number, option in enumerate(question.options, 1)
    )
    hint = "\n\n_Reply to this message to answer._" if is_many and not buttons else ""
    return OutboundMessage(chat=question.chat, text=f"{question.text}{hint}", buttons=buttons)


def may_answer(question: OpenQuestion, answerer: Answerer) -> bool:
    return answerer.is_owner or not question.persons or answerer.person in question.persons


def choose(question: OpenQuestion, words: str) -> str:
    """Return the option that somebody names, by its number or its words; else what they say."""
    said = words.strip()
    if said.isdecimal() and len(said) < 3 and 1 <= int(said) <= len(question.options):
        return question.options[int(said) - 1]
    return next((option for option in question.options if option.casefold() == said.casefold()), said)


def find_answered(
    questions: Sequence[OpenQuestion],
    inbound: InboundMessage,
    group_id: GroupId,
    answerer: Answerer,
    cards: Mapping[str, Collection[PlatformMessageId]],
) -> OpenQuestion | None:
    """Return the question that a message to an agent answers: the one it replies to, else the newest that waits in its
    chat for this person; a reply to anything else answers none. `questions`: those of the chat, the oldest first;
    `cards`: by code, what the platform calls their messages."""
    if inbound.kind != "message":
        return None
    for question in reversed(questions):
        is_meant = inbound.reply_to is None or inbound.reply_to in cards.get(question.code, ())
        if question.group_id == group_id and is_meant and may_answer(question, answerer):
            return question
    return None


def answer_text(message: StoredMessage, words: str, role: Role | None, zone: tzinfo) -> str:
    """Return what the agent reads: the words, with who said them and how far they are trusted."""
    said = words if len(words) <= MAX_ANSWER_CHARS else f"{words[:MAX_ANSWER_CHARS]}\n[cut here]"
    answer = replace(message, inbound=replace(message.inbound, text=said, kind="message", quote=""))
    roles = {message.inbound.person: role} if role is not None else {}
    return build_envelope([answer], [], roles, zone).text
