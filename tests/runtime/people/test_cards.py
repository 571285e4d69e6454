"""What strangers and owners read: harmless, short enough for any platform, and pressing it does what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import ChannelId, ChatKey, GroupId, MessageId, PersonKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage
from runtime.approvals.cards import build_card
from runtime.approvals.records import Approval
from runtime.commands.table import parse_command
from runtime.people.cards import (
    agent_buttons,
    door_question,
    role_buttons,
    shown,
    stranger_notice,
)
from runtime.people.records import AccessRequest, RequestKind
from runtime.people.words import describe_destinations, settings_buttons
from runtime.store.records import Binding

LONGEST = GroupId("g" * 32)
EVIL = "Eve\x1b]0;x\x07 \u202eowner\u202c\n`/freeze` [x](http://e) **b**"
REQUEST = AccessRequest(
    code="7K3M9QXA",
    kind="person",
    person=PersonKey("telegram:7"),
    name=EVIL,
    chat=ChatKey("telegram:7"),
    chat_kind="direct",
    message_id=MessageId("msg_1"),
    beyond=0,
    state="pending",
    created_at="",
    expires_at="",
)
INBOUND = InboundMessage(
    channel_id=ChannelId("telegram"),
    event_id="1",
    chat=ChatKey("telegram:7"),
    chat_kind="direct",
    person=PersonKey("telegram:7"),
    sender_name=EVIL,
    text=EVIL * 100,
    sent_at="",
    platform_message_id=PlatformMessageId("1"),
)


def card_of(kind: RequestKind, groups: tuple[GroupId, ...]) -> OutboundMessage:
    """What an owner sees of such a request."""
    new = door_question(
        kind, INBOUND, MessageId("msg_1"), groups, is_known=False, deadline_s=60.0, chats=(ChatKey("telegram:1"),)
    )
    approval = Approval(
        approval_id=REQUEST.code,
        kind=new.kind,
        group_id=None,
        task_id=None,
        digest="",
        payload=new.payload,
        summary=new.summary,
        lines=new.lines,
        who=new.who,
        quorum=1,
        scope_offers=(),
        origin="",
        state="waiting",
        reason="",
        asked_at="2026-11-21T10:00:00",
        deadline_at="2026-11-21T11:00:00+00:00",
    )
    (card,) = build_card(approval, new.chats[0], "UTC")
    return card


@pytest.mark.parametrize("groups", [(LONGEST,), (LONGEST, GroupId("main")), ()])
def test_every_button_is_a_command_that_fits(groups: tuple[GroupId, ...]) -> None:
    """A button's value is a command of ours and has at most 64 bytes, however long an agent's name is."""
    binding = Binding(chat=ChatKey("telegram:-1"), chat_kind="many", group_id=LONGEST, when="pattern", is_default=False)
    buttons = (
        *role_buttons("7K3M9QXA", groups),
        *agent_buttons("7K3M9QXA", "member", groups),
        *card_of("chat", groups).buttons,
        *card_of("person", groups).buttons,
        *settings_buttons((binding, replace(binding, chat_kind="direct")), alone=False),
    )
    for button in buttons:
        assert 1 <= len(button.value.encode()) <= 64, button
        assert parse_command(button.value) is not None
        assert button.label


def test_a_strangers_words_are_only_shown() -> None:
    """A name or text of a stranger can neither steer a screen, nor shape the card, nor fill it."""
    for kind in ("chat", "person"):
        ours, _, theirs = card_of(kind, (LONGEST,)).text.partition("```")
        assert len(theirs) < 30 * 250
        for unwanted in ("\x1b", "\u202e"):
            assert unwanted not in ours + theirs
        for unwanted in ("`/freeze`", "[x]", "**b**"):
            assert unwanted not in ours
        words, _, after = theirs.partition("```\n")
        assert all(line.startswith("| ") or "agent that you choose" in line for line in words.strip().splitlines())
        assert "Not all of it is shown" in after
        assert REQUEST.code in ours


@pytest.mark.parametrize(
    ("has_owner", "word"), [(True, "My owner has been asked"), (False, "If this is your bot, let yourself in")]
)
def test_a_stranger_is_told_what_helps(has_owner: bool, word: str) -> None:
    """Their own id, the code, and the one command."""
    notice = stranger_notice(REQUEST, has_owner=has_owner)
    assert word in notice
    assert "`telegram:7`" in notice
    assert "`nightyard person approve 7K3M-9QXA`" in notice


@given(st.text(max_size=300))
def test_shown_text_is_one_short_line(text: str) -> None:
    """Whatever was written, it is one line of at most so many characters, without Markdown's signs."""
    line = shown(text)
    assert len(line) <= 60
    assert "\n" not in line
    assert not set("`*[]<>") & set(line)


def test_an_agent_is_told_its_destinations() -> None:
    """Names only, and nothing where there is none."""
    assert describe_destinations(()) == ""
    assert "team, boss" in describe_destinations(("team", "boss"))
