"""Conversations, people and what is put on them, as the official SDK asks the Slack twin for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.twins.slack_workspace import WAIT_S, Workspace, served_workspace
from twins.slack.seed import ANNA, BEN, DIRECT, GENERAL, MALLORY, PRIVATE, RANDOM
from twins.slack.world import BOT_ID, BOT_USER_ID


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with served_workspace() as workspace:
        yield workspace


async def test_a_room_is_made_filled_renamed_and_closed(workspace: Workspace) -> None:
    """create, invite, rename, topic, kick, archive and back; each refusal by its name."""
    bot = workspace.bot
    room = (await bot.conversations_create(name="plans"))["channel"]["id"]
    assert await workspace.error("conversations.create", name="plans") == "name_taken"
    assert await workspace.error("conversations.create", name="No Spaces") == "invalid_name_specials"
    await bot.conversations_invite(channel=room, users=[ANNA, BEN])
    assert await workspace.error("conversations.invite", channel=room, users=ANNA) == "already_in_channel"
    assert (await bot.conversations_rename(channel=room, name="deeds"))["channel"]["name"] == "deeds"
    assert (await bot.conversations_setTopic(channel=room, topic="now"))["channel"]["topic"]["value"] == "now"
    await bot.conversations_kick(channel=room, user=BEN)
    assert (await bot.conversations_members(channel=room))["members"] == [BOT_USER_ID, ANNA]
    await bot.conversations_archive(channel=room)
    assert await workspace.error("conversations.archive", channel=room) == "already_archived"
    assert await workspace.error("chat.postMessage", channel=room, text="x") == "is_archived"
    await bot.conversations_unarchive(channel=room)
    assert (await bot.conversations_info(channel=room, include_num_members=True))["channel"]["num_members"] == 2


async def test_rooms_are_joined_and_left(workspace: Workspace) -> None:
    """A second join is a warning; the general channel is not left, a private one not joined."""
    joined = await workspace.bot.conversations_join(channel=RANDOM)
    assert joined["channel"]["is_member"]
    assert (await workspace.bot.conversations_join(channel=RANDOM))["warning"] == "already_in_channel"
    await workspace.bot.conversations_leave(channel=RANDOM)
    assert (await workspace.bot.conversations_leave(channel=RANDOM))["not_in_channel"]
    assert await workspace.error("conversations.leave", channel=GENERAL) == "cant_leave_general"
    assert await workspace.error("conversations.join", channel=PRIVATE) == "method_not_supported_for_channel_type"


async def test_direct_conversations_are_opened_with_one_or_several(workspace: Workspace) -> None:
    """Opening again finds the same; a person's id is a place to post."""
    one = await workspace.bot.conversations_open(users=[ANNA], return_im=True)
    assert (one["channel"]["id"], one["channel"]["user"], one["already_open"]) == (DIRECT[ANNA], ANNA, True)
    several = await workspace.bot.conversations_open(users=[BEN, MALLORY])
    assert (await workspace.bot.conversations_open(users=[MALLORY, BEN]))["channel"] == several["channel"]
    posted = await workspace.bot.chat_postMessage(channel=BEN, text="hi")
    assert posted["channel"] == DIRECT[BEN]
    assert await workspace.error("conversations.open") == "users_list_not_supplied"
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person("type", text="we two", chat=several["channel"]["id"], person="Ben")
        kinds = {(await arrived.get()).payload["event"]["channel_type"] for _ in range(2)}
    assert "mpim" in kinds


async def test_people_are_found_by_id_and_address(workspace: Workspace) -> None:
    """users.info, lookupByEmail, presence; who is not there is said so, in each method's word."""
    assert (await workspace.bot.users_info(user=ANNA))["user"]["is_owner"]
    assert (await workspace.bot.users_lookupByEmail(email="ben@twin.example"))["user"]["id"] == BEN
    assert await workspace.error("users.lookupByEmail", email="x@y.z") == "users_not_found"
    assert await workspace.error("users.info", user="U404") == "user_not_found"
    await workspace.bot.users_setPresence(presence="away")
    assert (await workspace.bot.users_getPresence(user=BOT_USER_ID))["presence"] == "away"
    assert await workspace.error("users.setPresence", presence="asleep") == "invalid_presence"
    bot = (await workspace.bot.bots_info(bot=BOT_ID))["bot"]
    assert (bot["user_id"], (await workspace.bot.team_info())["team"]["domain"]) == (BOT_USER_ID, "twin")


async def test_pins_bookmarks_and_usergroups(workspace: Workspace) -> None:
    """Put on, listed, taken off; twice is refused."""
    posted = await workspace.bot.chat_postMessage(channel=GENERAL, text="x")
    place: dict[str, Any] = {"channel": GENERAL, "timestamp": posted["ts"]}
    await workspace.bot.pins_add(**place)
    assert await workspace.error("pins.add", **place) == "already_pinned"
    assert len((await workspace.bot.pins_list(channel=GENERAL))["items"]) == 1
    await workspace.bot.pins_remove(**place)
    assert await workspace.error("pins.remove", **place) == "no_pin"
    group = (await workspace.bot.usergroups_create(name="crew"))["usergroup"]["id"]
    await workspace.bot.usergroups_users_update(usergroup=group, users=[ANNA])
    assert (await workspace.bot.usergroups_users_list(usergroup=group))["users"] == [ANNA]
    await workspace.bot.usergroups_disable(usergroup=group)
    assert (await workspace.bot.usergroups_list())["usergroups"] == []


async def test_a_link_that_is_unfurled_changes_the_message_and_edits_nothing(workspace: Workspace) -> None:
    """message_changed comes without `edited`: no new words of the person's."""
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        typed = await workspace.person("type", text="see https://a.example")
        await workspace.person("unfurl", message_id=typed["message_id"], url="https://a.example", title="A")
        await arrived.get()
        event = (await arrived.get()).payload["event"]
    assert (event["subtype"], event["message"]["text"]) == ("message_changed", "see <https://a.example>")
    assert "edited" not in event["message"]
    assert event["message"]["attachments"][0]["title"] == "A"


async def test_canvases_are_edited_by_section(workspace: Workspace) -> None:
    """Sections are found by their words and replaced one at a time."""
    content = {"type": "markdown", "markdown": "# One\nhey\n\n## Two\nyou"}
    canvas = (await workspace.bot.canvases_create(title="c", document_content=content))["canvas_id"]
    found = await workspace.bot.canvases_sections_lookup(canvas_id=canvas, criteria={"contains_text": "you"})
    change = {"operation": "replace", "section_id": found["sections"][0]["id"]}
    await workspace.bot.canvases_edit(
        canvas_id=canvas, changes=[{**change, "document_content": {"markdown": "## New"}}]
    )
    assert [section["text"] for section in workspace.twin.world.canvases[canvas]] == ["# One\nhey", "## New"]
    await workspace.bot.canvases_delete(canvas_id=canvas)
    assert await workspace.error("canvases.edit", canvas_id=canvas, changes=[change]) == "canvas_not_found"
