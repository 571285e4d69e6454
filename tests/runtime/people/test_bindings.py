"""Which agent of a chat a message is for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey, PlatformMessageId
from protocol.message import InboundMessage
from runtime.people.bindings import choose_binding
from runtime.store.records import Binding, Followed

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
CHAT = ChatKey("telegram:-100")
MAIN = Binding(chat=CHAT, chat_kind="many", group_id=GroupId("main"), when="mention")
BOOKS = Binding(
    chat=CHAT, chat_kind="many", group_id=GroupId("books"), when="pattern", pattern=r"\binvoice", is_default=False
)
NIGHT = Binding(
    chat=CHAT, chat_kind="many", group_id=GroupId("night-owl"), when="sticky", sticky_minutes=5, is_default=False
)
ALL = (MAIN, BOOKS, NIGHT)


def said(text: str, **more: Any) -> InboundMessage:
    values: dict[str, Any] = {
        "channel_id": ChannelId("telegram"),
        "event_id": "1",
        "chat": CHAT,
        "chat_kind": "many",
        "person": PersonKey("telegram:7"),
        "sender_name": "Anna",
        "text": text,
        "sent_at": "",
        "platform_message_id": PlatformMessageId("1"),
    }
    return InboundMessage(**{**values, **more})


def ago(minutes: float, group: str = "night-owl") -> Followed:
    return Followed(group_id=GroupId(group), spoken_at=(NOW - timedelta(minutes=minutes)).isoformat())


@pytest.mark.parametrize(
    ("text", "more", "agent", "meant"),
    [
        ("hello", {}, "main", False),
        ("hello", {"mentions_me": True}, "main", True),
        ("an invoice", {}, "books", True),
        ("an invoice", {"mentions_me": True}, "main", True),
        ("@books hello", {"mentions_me": True}, "books", True),
        ("books: hello", {}, "books", True),
        ("Books, hello", {}, "books", True),
        ("books hello", {}, "main", False),
        ("night-owl: hello", {}, "night-owl", True),
        ("@night-owl", {}, "night-owl", True),
        ("@nobody hello", {}, "main", False),
        ("see books: all", {}, "main", False),
        ("http://books:80", {}, "main", False),
        ("books:80/x", {}, "main", False),
        ("yes!", {"kind": "press"}, "main", True),
        ("an invoice", {"kind": "edit"}, "books", False),
    ],
)
def test_a_message_is_for_one_agent(text: str, more: dict[str, Any], agent: str, meant: bool) -> None:
    """Named first, mentioned, matched: the first of these that holds says whom a message is for."""
    chosen = choose_binding(said(text, **more), ALL, (), NOW)
    assert chosen is not None
    assert (chosen.binding.group_id, chosen.is_meant) == (agent, meant)


def test_a_chat_without_agents_chooses_none() -> None:
    """Where there is no binding there is nobody to be meant."""
    assert choose_binding(said("hello", mentions_me=True), (), (), NOW) is None


@pytest.mark.parametrize(("minutes", "agent", "meant"), [(4.9, "night-owl", True), (5, "main", False)])
def test_an_agent_follows_for_its_minutes(minutes: float, agent: str, meant: bool) -> None:
    """What follows a mention in the thread is meant for the agent that was spoken to, until its time is over."""
    chosen = choose_binding(said("and then?"), ALL, (ago(minutes),), NOW)
    assert chosen is not None
    assert (chosen.binding.group_id, chosen.is_meant) == (agent, meant)


def test_only_sticky_agents_follow_and_the_last_spoken_to_wins() -> None:
    """A binding that does not follow is not made to by a mention; of two that do, the later one counts."""
    chosen = choose_binding(said("and then?"), ALL, (ago(1, "main"),), NOW)
    assert chosen is not None
    assert not chosen.is_meant
    other = replace(NIGHT, group_id=GroupId("lark"))
    chosen = choose_binding(said("and then?"), (*ALL, other), (ago(2), ago(1, "lark")), NOW)
    assert chosen is not None
    assert chosen.binding.group_id == "lark"


def test_one_that_answers_always_takes_the_rest() -> None:
    """What is for nobody else is for the agent that answers always, default or not."""
    keen = replace(NIGHT, when="always")
    chosen = choose_binding(said("hello"), (MAIN, BOOKS, keen), (), NOW)
    assert chosen is not None
    assert (chosen.binding.group_id, chosen.is_meant) == ("night-owl", True)
