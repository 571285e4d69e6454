"""Interactions of Discord's twin: three seconds, fifteen minutes, and what an answer may be."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twins.discord_raw import Raw
from twins.discord.seed import ANNA, BEN, BOT, DIRECT, GENERAL, GUILD
from twins.discord.user_side import pressing, sight

SAY = f"/channels/{GENERAL}/messages"
BUTTON = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Go", "custom_id": "go"}]}


@pytest.fixture
async def raw(raw: Raw) -> Raw:
    """With a command."""
    await raw.call("POST", f"/applications/{BOT}/commands", {"name": "ask", "description": "Ask"})
    return raw


def _asked(raw: Raw) -> dict[str, Any]:
    return dict(raw.twin.log.read(event="interaction_create")[-1]["data"])


async def _use(raw: Raw, **where: Any) -> dict[str, Any]:
    pressing.command(raw.twin.world, {"name": "ask", "person": ANNA, **where})
    return _asked(raw)


async def _press(raw: Raw) -> dict[str, Any]:
    await raw.call("POST", SAY, {"content": "press", "components": [BUTTON]})
    pressing.press(raw.twin.world, {"label": "Go", "chat": GENERAL, "person": BEN})
    return _asked(raw)


async def _answer(raw: Raw, asked: dict[str, Any], kind: int, **data: Any) -> tuple[int, Any]:
    path = f"/interactions/{asked['id']}/{asked['token']}/callback?with_response=true"
    return await raw.call("POST", path, {"type": kind, "data": data}, headers={})


def _hook(asked: dict[str, Any]) -> str:
    return f"/webhooks/{BOT}/{asked['token']}"


async def test_an_interaction_says_who_where_and_what(raw: Raw) -> None:
    """In a direct chat the user, in a server the member with rights; a press brings its message."""
    direct = await _use(raw)
    assert (direct["type"], direct["user"]["id"], direct["channel_id"]) == (2, ANNA, DIRECT[ANNA])
    assert (direct["data"]["name"], direct["context"], "member" in direct) == ("ask", 1, False)
    pressed = await _press(raw)
    assert (pressed["type"], pressed["member"]["user"]["id"], pressed["guild_id"]) == (3, BEN, GUILD)
    assert (pressed["data"]["custom_id"], pressed["message"]["content"]) == ("go", "press")


async def test_the_first_answer_must_come_within_three_seconds(raw: Raw) -> None:
    """Later the interaction is unknown, and the person saw that it failed; by the twin's clock."""
    asked = await _use(raw)
    raw.twin.clock.advance(3.1)
    assert (await sight.show_chat(raw.twin.world, {}))["interactions"][0]["state"] == "failed"
    status, refused = await _answer(raw, asked, 4, content="late")
    assert (status, refused["code"]) == (404, 10062)


async def test_an_interaction_is_acknowledged_once(raw: Raw) -> None:
    """40060 for the second time."""
    asked = await _use(raw)
    status, answered = await _answer(raw, asked, 4, content="hi")
    assert (status, answered["resource"]["message"]["content"]) == (200, "hi")
    assert answered["resource"]["message"]["interaction_metadata"]["id"] == asked["id"]
    status, refused = await _answer(raw, asked, 4, content="again")
    assert (status, refused["code"]) == (400, 40060)


async def test_a_thinking_answer_becomes_the_first_thing_said(raw: Raw) -> None:
    """By an edit of the original, or by the first follow-up; the next ones are messages of their own."""
    asked = await _use(raw)
    status, answered = await _answer(raw, asked, 5)
    assert answered["interaction"]["response_message_loading"] is True
    thinking = answered["interaction"]["response_message_id"]
    assert (await raw.call("GET", f"/channels/{DIRECT[ANNA]}/messages/{thinking}"))[1]["flags"] == 128
    status, followed = await raw.call("POST", _hook(asked), {"content": "thought"}, headers={})
    assert (status, followed["id"], followed["flags"]) == (200, thinking, 0)
    second = (await raw.call("POST", _hook(asked), {"content": "more"}, headers={}))[1]
    assert second["id"] != followed["id"]
    original = (await raw.call("GET", f"{_hook(asked)}/messages/@original", headers={}))[1]
    assert original["content"] == "thought"
    edited = (await raw.call("PATCH", f"{_hook(asked)}/messages/{second['id']}", {"content": "new"}, headers={}))[1]
    assert edited["content"] == "new"
    assert (await raw.call("DELETE", f"{_hook(asked)}/messages/@original", headers={}))[0] == 204
    assert (await raw.call("GET", f"{_hook(asked)}/messages/@original", headers={}))[1]["code"] == 10008


async def test_an_ephemeral_answer_is_seen_by_one_person(raw: Raw) -> None:
    """Flag 64: not in the history, not for others, no event; its token can still edit it."""
    pressing.command(raw.twin.world, {"name": "ask", "person": BEN, "chat": GENERAL})
    asked = _asked(raw)
    _, answered = await _answer(raw, asked, 4, content="secret", flags=64)
    message = answered["resource"]["message"]
    assert message["flags"] == 64
    assert (await raw.call("GET", SAY))[1] == []
    assert (await raw.call("GET", f"{SAY}/{message['id']}"))[1]["code"] == 10008
    for person, count in ((BEN, 1), (ANNA, 0)):
        assert len((await sight.show_chat(raw.twin.world, {"chat": GENERAL, "person": person}))["messages"]) == count
    status, edited = await raw.call("PATCH", f"{_hook(asked)}/messages/@original", {"content": "new"}, headers={})
    assert (status, edited["flags"]) == (200, 64)


async def test_a_press_can_change_its_message_or_leave_it(raw: Raw) -> None:
    """Types 7 and 6: the message under which the button stands is the original."""
    pressed = await _press(raw)
    _, answered = await _answer(raw, pressed, 7, content="pressed", components=[])
    assert (answered["resource"]["message"]["id"], answered["resource"]["message"]["content"]) == (
        pressed["message"]["id"],
        "pressed",
    )
    pressed = await _press(raw)
    await _answer(raw, pressed, 6)
    edited = (await raw.call("PATCH", f"{_hook(pressed)}/messages/@original", {"content": "later"}, headers={}))[1]
    assert (edited["id"], edited["content"]) == (pressed["message"]["id"], "later")


@pytest.mark.parametrize(("kind", "data"), [(1, {}), (7, {"content": "x"}), (8, {"choices": []}), (10, {}), (99, {})])
async def test_answers_that_do_not_fit_are_refused(raw: Raw, kind: int, data: dict[str, Any]) -> None:
    """A command is no ping, has no message to change and no choices to offer."""
    status, refused = await _answer(raw, await _use(raw), kind, **data)
    assert (status, refused["code"]) == (400, 50035)


async def test_a_form_is_shown_before_any_other_answer_and_not_after(raw: Raw) -> None:
    """Type 9: checked, kept for the person, answered by a new interaction; never after a deferral."""
    form = {"custom_id": "f", "title": "Form", "components": [{"type": 1, "components": [_input("a")]}]}
    asked = await _use(raw)
    assert (await _answer(raw, asked, 9, custom_id="f", title="t" * 46, components=[]))[1]["code"] == 50035
    assert (await _answer(raw, asked, 9, **form))[0] == 200
    pressing.submit(raw.twin.world, {"interaction_id": asked["id"], "values": {"a": "text"}})
    sent = _asked(raw)
    assert (sent["type"], sent["data"]["components"][0]["components"][0]["value"]) == (5, "text")
    deferred = await _use(raw)
    await _answer(raw, deferred, 5)
    assert (await _answer(raw, deferred, 9, **form))[1]["code"] == 40060


async def test_choices_are_offered_while_an_option_is_typed(raw: Raw) -> None:
    """Type 8 answers an autocomplete, with 25 choices at most."""
    option = {"type": 3, "name": "word", "description": "A word", "autocomplete": True}
    await raw.call("POST", f"/applications/{BOT}/commands", {"name": "say", "description": "x", "options": [option]})
    pressing.autocomplete(raw.twin.world, {"name": "say", "option": "word", "text": "a"})
    asked = _asked(raw)
    assert (asked["type"], asked["data"]["options"][0]["focused"]) == (4, True)
    choices = [{"name": str(n), "value": str(n)} for n in range(26)]
    assert (await _answer(raw, asked, 8, choices=choices))[1]["code"] == 50035
    assert (await _answer(raw, asked, 8, choices=choices[:25]))[0] == 200
    shown = (await sight.show_chat(raw.twin.world, {}))["interactions"][-1]["shown"]
    assert len(shown["choices"]) == 25


async def test_a_token_lives_for_fifteen_minutes(raw: Raw) -> None:
    """Then follow-ups are refused; before the first answer there is no webhook at all."""
    asked = await _use(raw)
    assert (await raw.call("POST", _hook(asked), {"content": "x"}, headers={}))[1]["code"] == 10015
    await _answer(raw, asked, 4, content="hi")
    raw.twin.clock.advance(14 * 60)
    assert (await raw.call("POST", _hook(asked), {"content": "x"}, headers={}))[0] == 200
    raw.twin.clock.advance(61)
    assert (await raw.call("POST", _hook(asked), {"content": "x"}, headers={}))[1]["code"] == 50027


async def test_an_answer_obeys_the_limits_of_messages(raw: Raw) -> None:
    """Empty or too long is refused, and the interaction still waits."""
    asked = await _use(raw)
    assert (await _answer(raw, asked, 4, content=""))[1]["code"] == 50006
    refused = (await _answer(raw, asked, 4, content="x" * 2001))[1]
    assert refused["errors"]["data"]["content"]["_errors"][0]["code"] == "BASE_TYPE_MAX_LENGTH"
    assert (await _answer(raw, asked, 4, content="fits"))[0] == 200


def _input(custom_id: str) -> dict[str, Any]:
    return {"type": 4, "custom_id": custom_id, "label": "L", "style": 1}
