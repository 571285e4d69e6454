"""What people set off at the app through the Slack twin: buttons, commands, modals, the home."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.twins.slack_workspace import WAIT_S, Workspace, served_workspace
from twins.slack.seed import ANNA, BEN, DIRECT, GENERAL

ASK: list[dict[str, Any]] = [
    {"type": "section", "block_id": "q", "text": {"type": "mrkdwn", "text": "Go?"}},
    {
        "type": "actions",
        "block_id": "a",
        "elements": [
            {"type": "button", "text": {"type": "plain_text", "text": label}, "action_id": label, "value": value}
            for label, value in (("Yes", "y"), ("No", "n"))
        ],
    },
]
MODAL = {
    "type": "modal",
    "callback_id": "c",
    "title": {"type": "plain_text", "text": "T"},
    "blocks": [{"type": "divider"}],
}


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with served_workspace() as workspace:
        yield workspace


async def pressed(workspace: Workspace) -> dict[str, Any]:
    """The payload of a pressed button."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.bot.chat_postMessage(channel=GENERAL, text="Go?", blocks=ASK)
        await workspace.person("press", chat=GENERAL, label="Yes", person="Ben")
        while True:
            request = await arrived.get()
            if request.type == "interactive":
                return dict(request.payload)


async def test_a_pressed_button_comes_with_all_that_answers_need(workspace: Workspace) -> None:
    """block_actions names who, where, which message and button, a trigger_id and a response_url."""
    payload = await pressed(workspace)
    assert (payload["type"], payload["user"]["id"], payload["channel"]["id"]) == ("block_actions", BEN, GENERAL)
    assert payload["message"]["text"] == "Go?"
    assert payload["container"]["message_ts"] == payload["message"]["ts"]
    action = payload["actions"][0]
    assert (action["action_id"], action["block_id"], action["value"], action["type"]) == ("Yes", "a", "y", "button")


async def test_a_response_url_replaces_answers_and_deletes_five_times(workspace: Workspace) -> None:
    """The SDK's webhook client: replace the message, say something to one person, to all, delete; then used up."""
    payload = await pressed(workspace)
    hook = AsyncWebhookClient(payload["response_url"])
    assert (await hook.send(text="Done", blocks=[], replace_original=True)).body == "ok"
    assert (await workspace.chat(GENERAL))[-1]["text"] == "Done"
    await hook.send(text="only you")
    assert "only you" in [message["text"] for message in await workspace.chat(GENERAL, "Ben")]
    assert "only you" not in [message["text"] for message in await workspace.chat(GENERAL, "Anna")]
    await hook.send(text="all", response_type="in_channel")
    await hook.send(text="", delete_original=True)
    assert [message["text"] for message in await workspace.chat(GENERAL, "Anna")][-1] == "all"
    await hook.send(text="fifth")
    used = await hook.send(text="sixth")
    assert (used.status_code, "used_url" in used.body) == (404, True)


async def test_what_only_one_person_sees_is_changed_by_its_response_url_alone(workspace: Workspace) -> None:
    """An ephemeral message with a button is replaced, and then taken away, by what its press brought."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.bot.chat_postEphemeral(channel=GENERAL, user=BEN, text="Go?", blocks=ASK)
        await workspace.person("press", chat=GENERAL, label="Yes", person="Ben")
        payload = (await arrived.get()).payload
    assert payload["container"]["is_ephemeral"]
    hook = AsyncWebhookClient(payload["response_url"])
    await hook.send(text="Done", blocks=[], replace_original=True)
    assert (await workspace.chat(GENERAL, "Ben"))[-1]["text"] == "Done"
    await hook.send(delete_original=True)
    assert "Done" not in [message["text"] for message in await workspace.chat(GENERAL, "Ben")]


async def test_a_response_url_dies_after_half_an_hour(workspace: Workspace) -> None:
    """expired_url."""
    payload = await pressed(workspace)
    await workspace.person("clock", advance_s=1801)
    expired = await AsyncWebhookClient(payload["response_url"]).send(text="late")
    assert (expired.status_code, "expired_url" in expired.body) == (404, True)


async def test_what_nobody_acknowledges_is_shown_to_the_person_and_not_sent_again(workspace: Workspace) -> None:
    """A press and a command come once; three seconds later the person reads that it failed."""
    await workspace.bot.chat_postMessage(channel=DIRECT[ANNA], text="Go?", blocks=ASK)
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("press", value="n")
        assert (await socket.envelope("interactive"))["payload"]["actions"][0]["value"] == "n"
        await workspace.person("command", name="status", text="now")
        command = await socket.envelope("slash_commands")
        assert (command["payload"]["command"], command["payload"]["text"]) == ("/status", "now")
        assert command["accepts_response_payload"]
        await workspace.person("clock", advance_s=3.1)
        told = await workspace.noted("unanswered", 2)
    assert '/status failed with the error "operation_timed_out"' in [entry["text"] for entry in told]
    names = [entry["name"] for entry in await workspace.noted("envelope")]
    assert (names.count("interactive"), names.count("slash_commands")) == (1, 1)


async def test_a_command_may_be_answered_with_its_acknowledgement(workspace: Workspace) -> None:
    """The payload of the acknowledgement is shown to the person, or to all."""
    async with workspace.socket() as socket:
        await socket.receive()
        for number, body in enumerate(({"text": "for you"}, {"text": "for all", "response_type": "in_channel"})):
            await workspace.person("command", name="/status", chat=GENERAL, person="Ben")
            await socket.acknowledge(await socket.envelope("slash_commands"), body)
            await workspace.noted("ack", number + 1)
        await workspace.noted("ephemeral")
        await workspace.noted("message")
    assert [message["text"] for message in await workspace.chat(GENERAL, "Anna")][-1] == "for all"
    assert [message["text"] for message in await workspace.chat(GENERAL, "Ben")][-2:] == ["for you", "for all"]


async def test_a_trigger_opens_one_modal_within_three_seconds(workspace: Workspace) -> None:
    """Used is exchanged_trigger_id, late expired_trigger_id, invented invalid_trigger_id."""
    payload = await pressed(workspace)
    opened = await workspace.bot.views_open(trigger_id=payload["trigger_id"], view=MODAL)
    again = {"trigger_id": payload["trigger_id"], "view": MODAL}
    assert await workspace.error("views.open", **again) == "exchanged_trigger_id"
    assert await workspace.error("views.open", trigger_id="1.2.x", view=MODAL) == "invalid_trigger_id"
    late = await pressed(workspace)
    await workspace.person("clock", advance_s=3.1)
    assert await workspace.error("views.open", trigger_id=late["trigger_id"], view=MODAL) == "expired_trigger_id"
    view_id = opened["view"]["id"]
    assert await workspace.error("views.update", view_id=view_id, view=MODAL, hash="old") == "hash_conflict"
    assert await workspace.error("views.update", view_id="V404", view=MODAL) == "not_found"
    updated = await workspace.bot.views_update(view_id=view_id, view=MODAL, hash=opened["view"]["hash"])
    assert updated["view"]["hash"] != opened["view"]["hash"]


async def test_a_submitted_modal_closes_or_shows_what_is_wrong(workspace: Workspace) -> None:
    """view_submission brings the values; an acknowledgement with errors keeps the modal open."""
    payload = await pressed(workspace)
    await workspace.bot.views_open(trigger_id=payload["trigger_id"], view=MODAL)
    async with workspace.socket() as socket:
        await socket.receive()
        await workspace.person("submit", values={"b": {"a": {"type": "plain_text_input", "value": "x"}}})
        submitted = await socket.envelope("interactive")
        assert submitted["payload"]["type"] == "view_submission"
        assert submitted["payload"]["view"]["state"]["values"]["b"]["a"]["value"] == "x"
        await socket.acknowledge(submitted, {"response_action": "errors", "errors": {"b": "no"}})
        assert (await workspace.noted("view_submitted"))[0]["outcome"] == "errors"
        await workspace.person("submit")
        await socket.acknowledge(await socket.envelope("interactive"))
        assert (await workspace.noted("view_submitted", 2))[1]["outcome"] == "close"
    assert not workspace.twin.world.views


async def test_a_look_at_the_home_is_an_event(workspace: Workspace) -> None:
    """app_home_opened names who, and what was published for them."""
    home = {"type": "home", "blocks": ASK[:1]}
    await workspace.bot.views_publish(user_id=ANNA, view=home)
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("home")
        event = (await arrived.get()).payload["event"]
        await workspace.person("person", name="Dora")
        joined = (await arrived.get()).payload["event"]
    assert (event["type"], event["user"], event["view"]["type"]) == ("app_home_opened", ANNA, "home")
    assert (joined["type"], joined["user"]["real_name"]) == ("team_join", "Dora")
    assert await workspace.error("views.publish", user_id="U404", view=home) == "user_not_found"
