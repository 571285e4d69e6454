"""Who may speak, and what becomes of what they say."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey, PlatformMessageId
from protocol.message import InboundMessage, PendingFile
from runtime.access import (
    CODE_ALPHABET,
    LOCKED_OUT,
    NOT_BOUND,
    NOT_KNOWN,
    OWNERS_ONLY,
    REFUSAL_EVERY,
    WRONG_CODE,
    Admission,
    TryCode,
    decide_access,
    decide_after_code,
    make_pairing_code,
    normalize_code,
)
from runtime.store.records import Binding, MessageState, Person, PersonLimits, Role, SenderFacts

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
MAIN = GroupId("main")
GROUPS = {MAIN: PersonLimits()}
CHAT = ChatKey("telegram:100")
ANNA = PersonKey("telegram:7")
DIRECT = Binding(chat=CHAT, chat_kind="direct", group_id=MAIN)
ON_MENTION = Binding(chat=CHAT, chat_kind="many", group_id=MAIN, when="mention")
WITH_CONTEXT = replace(ON_MENTION, rest="context")
FILE = PendingFile(reference="r", name="n", media_type="text/plain", size=1)


def said(text: str = "hi", **more: Any) -> InboundMessage:
    values: dict[str, Any] = {
        "channel_id": ChannelId("telegram"),
        "event_id": "1",
        "chat": CHAT,
        "chat_kind": "direct",
        "person": ANNA,
        "sender_name": "Anna",
        "text": text,
        "sent_at": "",
        "platform_message_id": PlatformMessageId("1"),
    }
    return InboundMessage(**{**values, **more})


def facts(role: Role | None, binding: Binding | None = DIRECT, *, code: bool = False, told: str = "") -> SenderFacts:
    person = Person(person=ANNA, name="Anna", role=role, added_at="", added_by="cli") if role else None
    bindings = (binding,) if binding else ()
    return SenderFacts(person=person, bindings=bindings, pairing_pending=code, refused_at=told or None)


def decided(inbound: InboundMessage, known: SenderFacts) -> Admission | TryCode:
    return decide_access(inbound, known, now=NOW, groups=GROUPS)


def state_of(inbound: InboundMessage, known: SenderFacts) -> str:
    decision = decided(inbound, known)
    assert isinstance(decision, Admission)
    return decision.state


@pytest.mark.parametrize("role", ["owner", "admin", "member"])
def test_known_persons_are_heard(role: Role) -> None:
    """Owners, admins and members may ask in a bound chat."""
    assert decided(said(), facts(role)) == Admission(state=MessageState.QUEUED, group_id=MAIN)


@pytest.mark.parametrize("text", ["hi", "/stop", "/help", ""])
@pytest.mark.parametrize("binding", [None, DIRECT, ON_MENTION, WITH_CONTEXT])
def test_strangers_are_refused_whatever_they_say(text: str, binding: Binding | None) -> None:
    """Somebody without a role gets nothing done, not even a command, nor into an agent's context."""
    assert state_of(said(text), facts(None, binding)) == "refused"


def test_a_stranger_is_told_once_an_hour() -> None:
    """A stranger in a direct chat is told no, but not again within the hour."""
    just_told = (NOW - REFUSAL_EVERY + timedelta(seconds=1)).isoformat()
    long_ago = (NOW - REFUSAL_EVERY).isoformat()
    notices = [decided(said(), facts(None, told=told)) for told in ("", just_told, long_ago)]
    assert [notice.notice for notice in notices if isinstance(notice, Admission)] == [NOT_KNOWN, "", NOT_KNOWN]


def test_strangers_in_a_chat_of_many_are_told_only_if_they_speak_to_us() -> None:
    """Nobody is told no for what they say to others."""
    for mentions_me, notice in ((False, ""), (True, NOT_KNOWN)):
        decision = decided(said(chat_kind="many", mentions_me=mentions_me), facts(None, ON_MENTION))
        assert isinstance(decision, Admission)
        assert decision.notice == notice


def test_the_terminal_is_the_owner() -> None:
    """Whoever can open the control socket owns the home."""
    inbound = said(channel_id=ChannelId("terminal"), person=PersonKey("terminal:owner"))
    assert state_of(inbound, facts(None)) == "queued"


@pytest.mark.parametrize(
    ("binding", "more", "state"),
    [
        (DIRECT, {}, "queued"),
        (ON_MENTION, {}, "refused"),
        (ON_MENTION, {"mentions_me": True}, "queued"),
        (ON_MENTION, {"kind": "press"}, "queued"),
        (ON_MENTION, {"kind": "edit", "mentions_me": True}, "refused"),
        (WITH_CONTEXT, {}, "context"),
        (WITH_CONTEXT, {"mentions_me": True}, "queued"),
        (DIRECT, {"kind": "edit"}, "context"),
        (DIRECT, {"text": " \n"}, "refused"),
        (DIRECT, {"text": "", "pending_files": (FILE,)}, "queued"),
        (WITH_CONTEXT, {"text": ""}, "refused"),
    ],
)
def test_a_binding_says_what_is_meant_for_the_agent(binding: Binding, more: dict[str, Any], state: str) -> None:
    """What is meant for the agent is queued; the rest is kept or dropped as the binding says; emptiness is dropped."""
    assert state_of(said(**more), facts("member", binding)) == state


@pytest.mark.parametrize("text", ["/freeze", "/unfreeze"])
@pytest.mark.parametrize(("role", "state"), [("owner", "command"), ("admin", "refused"), ("member", "refused")])
def test_only_owners_freeze(role: Role, state: str, text: str) -> None:
    """What reaches every chat is an owner's; who else tries is told so each time and starts nothing."""
    just_told = (NOW - timedelta(seconds=1)).isoformat()
    decision = decided(said(text), facts(role, told=just_told))
    assert isinstance(decision, Admission)
    assert decision.state == state
    assert decision.notice == ("" if role == "owner" else OWNERS_ONLY)


def test_guests_are_overheard_only() -> None:
    """A guest's messages start nothing; they are context where that is kept."""
    assert state_of(said(mentions_me=True), facts("guest", WITH_CONTEXT)) == "context"
    assert state_of(said(), facts("guest", DIRECT)) == "refused"
    assert state_of(said("/stop"), facts("guest", DIRECT)) == "refused"


@pytest.mark.parametrize(
    ("text", "more", "state"),
    [
        ("/stop", {}, "command"),
        ("/status please", {}, "command"),
        ("/new", {"kind": "press"}, "command"),
        ("/unknown", {}, "queued"),
        ("please /stop", {}, "queued"),
        ("/stop", {"chat_kind": "many"}, "command"),
        ("/stop@other_bot", {"chat_kind": "many"}, "queued"),
        ("/stop@our_bot", {"chat_kind": "many", "mentions_me": True}, "command"),
    ],
)
def test_command_words_are_commands(text: str, more: dict[str, Any], state: str) -> None:
    """A known person's command words pass the queue by; another bot's are not ours."""
    assert state_of(said(text, **more), facts("member")) == state


def test_commands_work_in_an_unbound_chat() -> None:
    """Help and status are given where no agent is yet; about anything else the owner is asked."""
    assert state_of(said("/help"), facts("owner", None)) == "command"
    decision = decided(said(), facts("owner", None))
    assert isinstance(decision, Admission)
    assert (decision.state, decision.asks, decision.notice) == ("refused", "chat", NOT_BOUND)


def test_a_group_that_is_gone_is_named() -> None:
    """A chat whose group was removed gets a word instead of silence."""
    gone = replace(DIRECT, group_id=GroupId("gone"))
    decision = decided(said(), facts("member", gone))
    assert isinstance(decision, Admission)
    assert (decision.state, "`gone`" in decision.notice) == ("refused", True)


def test_a_code_is_tried_only_while_one_waits_in_a_direct_chat() -> None:
    """What looks like a code is one only for a pending pairing, said directly."""
    assert decided(said("7k3m-9qxa"), facts(None, code=True)) == TryCode(code="7K3M9QXA")
    assert decided(said("7k3m-9qxa"), facts("member", code=True)) == TryCode(code="7K3M9QXA")
    assert state_of(said("7k3m-9qxa"), facts("member")) == "queued"
    assert state_of(said("7k3m-9qxa", chat_kind="many"), facts(None, code=True)) == "refused"
    assert state_of(said("my code is 7k3m-9qxa"), facts("member", code=True)) == "queued"


@pytest.mark.parametrize(("outcome", "notice"), [("wrong", WRONG_CODE), ("locked", LOCKED_OUT)])
def test_a_wrong_code_of_a_stranger_is_answered(outcome: str, notice: str) -> None:
    """Who typed a code wrong is told so, and when pairing is locked, that."""
    decision = decide_after_code(outcome, said("7k3m-9qxa"), facts(None, code=True), now=NOW, groups=GROUPS)
    assert (decision.state, decision.notice) == ("refused", notice)


def test_what_a_known_person_says_is_no_failed_code() -> None:
    """A word of eight letters from a known person goes to the agent."""
    decision = decide_after_code("wrong", said("BREAKFAST"[:8]), facts("member", code=True), now=NOW, groups=GROUPS)
    assert decision.state is MessageState.QUEUED


@given(st.binary(min_size=5, max_size=5))
def test_a_code_can_be_typed_as_it_is_shown(random_bytes: bytes) -> None:
    """Every code is read back, in any case, without its hyphen, with O for 0 and I or L for 1."""
    shown = make_pairing_code(random_bytes)
    code = normalize_code(shown)
    assert code is not None
    assert set(code) <= set(CODE_ALPHABET)
    typed = shown.lower().replace("0", "o").replace("1", "l").replace("-", "")
    assert normalize_code(typed) == normalize_code(f" {shown}\n") == code


def test_codes_use_all_their_bits() -> None:
    """Two different draws of 40 bits are two different codes."""
    draws = {os.urandom(5) for _ in range(2000)}
    assert len({make_pairing_code(draw) for draw in draws}) == len(draws)


@given(st.text())
def test_only_whole_codes_are_codes(text: str) -> None:
    """A text is a code only if nothing but eight letters and digits is in it."""
    code = normalize_code(text)
    assert code is None or (len(code) == 8 and set(code) <= set(CODE_ALPHABET) and len(text) <= 16)
