"""Threads, reactions, pins, rights and commands of Discord's twin, by its API."""

from __future__ import annotations

from tests.twins.discord_raw import Raw, form_errors
from twins.discord.seed import ANNA, BOT, DIRECT, GENERAL, GUILD, THREAD
from twins.discord.user_side import comings, verbs

SAY = f"/channels/{GENERAL}/messages"
NOWHERE = "/channels/999/messages"


async def test_threads_open_close_and_refuse(raw: Raw) -> None:
    """From a message with its id, once; saying opens an archived one, editing does not; a locked one refuses."""
    own = (await raw.call("POST", SAY, {"content": "start"}))[1]["id"]
    status, thread = await raw.call("POST", f"{SAY}/{own}/threads", {"name": "talk"})
    assert (status, thread["id"], thread["parent_id"]) == (201, own, GENERAL)
    assert (await raw.call("POST", f"{SAY}/{own}/threads", {"name": "talk"}))[1]["code"] == 160004
    assert (await raw.call("POST", f"/channels/{THREAD}/threads", {"name": "x"}))[1]["code"] == 50024
    assert form_errors((await raw.call("POST", f"/channels/{GENERAL}/threads", {"name": ""}))[1])["name"]
    said = (await raw.call("POST", f"/channels/{own}/messages", {"content": "in it"}))[1]["id"]
    assert (await raw.call("PATCH", f"/channels/{own}", {"archived": True}))[0] == 200
    assert (await raw.call("PATCH", f"/channels/{own}/messages/{said}", {"content": "y"}))[1]["code"] == 50083
    assert (await raw.call("POST", f"/channels/{own}/messages", {"content": "wake"}))[0] == 200
    assert (await raw.call("GET", f"/channels/{own}"))[1]["thread_metadata"]["archived"] is False
    comings.archive(raw.twin.world, {"thread": THREAD})
    assert (await raw.call("PATCH", f"/channels/{THREAD}", {"archived": False}))[0] == 200
    assert (await raw.call("PATCH", f"/channels/{THREAD}", {"archived": True}))[1]["code"] == 50013
    comings.archive(raw.twin.world, {"thread": own, "archived": True, "locked": True})
    assert (await raw.call("POST", f"/channels/{own}/messages", {"content": "x"}))[1]["code"] == 160005
    listed = (await raw.call("GET", f"/channels/{GENERAL}/threads/archived/public"))[1]
    assert [one["id"] for one in listed["threads"]] == [own]


async def test_a_thread_in_which_nothing_is_said_falls_asleep(raw: Raw) -> None:
    """After the minutes it allows, on the twin's clock."""
    begun = {"name": "short", "auto_archive_duration": 60, "type": 11}
    thread = (await raw.call("POST", f"/channels/{GENERAL}/threads", begun))[1]
    raw.twin.clock.advance(61 * 60)
    assert (await raw.call("GET", f"/channels/{thread['id']}"))[1]["thread_metadata"]["archived"] is True
    active = (await raw.call("GET", f"/guilds/{GUILD}/threads/active"))[1]
    assert [one["id"] for one in active["threads"]] == [THREAD]


async def test_people_and_moderators_can_keep_the_bot_out(raw: Raw) -> None:
    """50007 where direct messages are refused, 50013 without the right, 20016 in slow mode until it is over."""
    comings.block(raw.twin.world, {"person": ANNA})
    assert (await raw.call("POST", f"/channels/{DIRECT[ANNA]}/messages", {"content": "x"}))[1]["code"] == 50007
    comings.permission(raw.twin.world, {"chat": GENERAL, "deny": ["SEND_MESSAGES"]})
    assert (await raw.call("POST", SAY, {"content": "x"}))[1]["code"] == 50013
    comings.permission(raw.twin.world, {"chat": GENERAL, "deny": ["MANAGE_MESSAGES"]})
    comings.slow(raw.twin.world, {"chat": GENERAL, "seconds": 30})
    assert (await raw.call("POST", SAY, {"content": "x"}))[0] == 200
    status, slow = await raw.call("POST", SAY, {"content": "x"})
    assert (status, slow["code"]) == (429, 20016)
    assert 0 < slow["retry_after"] <= 30
    raw.twin.clock.advance(30)
    assert (await raw.call("POST", SAY, {"content": "x"}))[0] == 200


async def test_reactions_are_given_counted_and_taken(raw: Raw) -> None:
    """By the bot and by people; an emoji that is none is refused."""
    said = verbs.type_text(raw.twin.world, {"text": "x", "chat": GENERAL})["message_ids"][0]
    verbs.react(raw.twin.world, {"message_id": said, "emoji": "👍"})
    thumb = f"{SAY}/{said}/reactions/%F0%9F%91%8D"
    assert (await raw.call("PUT", f"{thumb}/@me"))[0] == 204
    shown = (await raw.call("GET", f"{SAY}/{said}"))[1]["reactions"]
    assert [(one["emoji"]["name"], one["count"], one["me"]) for one in shown] == [("👍", 2, True)]
    assert [one["id"] for one in (await raw.call("GET", thumb))[1]] == [ANNA, BOT]
    assert (await raw.call("DELETE", f"{thumb}/@me"))[0] == 204
    assert (await raw.call("DELETE", f"{thumb}/{ANNA}"))[0] == 204
    assert "reactions" not in (await raw.call("GET", f"{SAY}/{said}"))[1]
    status, refused = await raw.call("PUT", f"{SAY}/{said}/reactions/nothing/@me")
    assert (status, refused["code"]) == (400, 10014)


async def test_pins_are_kept_newest_first(raw: Raw) -> None:
    """Pinned, listed, unpinned; pinning says so in the channel."""
    ids = [(await raw.call("POST", SAY, {"content": str(n)}))[1]["id"] for n in range(2)]
    for one in ids:
        assert (await raw.call("PUT", f"{SAY}/pins/{one}"))[0] == 204
    pins = (await raw.call("GET", f"{SAY}/pins"))[1]["items"]
    assert [one["message"]["id"] for one in pins] == ids[::-1]
    assert (await raw.call("GET", f"{SAY}?limit=1"))[1][0]["type"] == 6
    assert (await raw.call("DELETE", f"{SAY}/pins/{ids[0]}"))[0] == 204
    assert len((await raw.call("GET", f"/channels/{GENERAL}/pins"))[1]) == 1


async def test_commands_are_kept_by_name(raw: Raw) -> None:
    """Created, overwritten, set all at once; names that are none and doubles are refused."""
    base = f"/applications/{BOT}/commands"
    status, made = await raw.call("POST", base, {"name": "ask", "description": "Ask me"})
    assert (status, made["type"]) == (201, 1)
    status, again = await raw.call("POST", base, {"name": "ask", "description": "Ask"})
    assert (status, again["id"], again["description"]) == (200, made["id"], "Ask")
    both = [{"name": "ask", "description": "a"}, {"name": "stop", "description": "b"}]
    listed = (await raw.call("PUT", base, both))[1]
    assert [(one["name"], one["id"] == made["id"]) for one in listed] == [("ask", True), ("stop", False)]
    assert form_errors((await raw.call("PUT", base, [both[0], both[0]]))[1])["1"]["name"]
    assert form_errors((await raw.call("POST", base, {"name": "Big Name", "description": "x"}))[1])["name"]
    assert form_errors((await raw.call("POST", base, {"name": "x"}))[1])["description"]
    here = f"/applications/{BOT}/guilds/{GUILD}/commands"
    assert (await raw.call("POST", here, {"name": "ask", "description": "x"}))[1]["guild_id"] == GUILD
    assert len((await raw.call("GET", here))[1]) == 1
    assert (await raw.call("DELETE", f"{base}/{made['id']}"))[0] == 204
    assert [one["name"] for one in (await raw.call("GET", base))[1]] == ["stop"]
