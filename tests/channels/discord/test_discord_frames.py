"""Which gateway events are stored, under which ids, with what is known of their rooms; and how far chats are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from channels.channel import MenuEntry, Menus
from channels.discord.frames import MAX_AUTHORS, Frames, Heard
from channels.discord.gateway_notes import GatewayNotes
from channels.discord.menus import Command, commands_of
from channels.discord.rooms import Room
from channels.discord.seen import MAX_DIRECT, Seen
from protocol.ids import ChatKey

ME, ANNA, BOB = "9", {"id": "2", "username": "anna"}, {"id": "8", "username": "bob", "bot": True}
Json = dict[str, Any]
AT = "2026-01-02T03:04:05+00:00"


def _frames() -> Frames:
    frames = Frames()
    _read(frames, "READY", {"session_id": "s", "user": {"id": ME}, "guilds": [{"id": "30"}]})
    _read(
        frames,
        "GUILD_CREATE",
        {
            "id": "30",
            "system_channel_id": None,
            "channels": [
                {"id": "45", "type": 4, "parent_id": None},
                {"id": "50", "type": 0, "parent_id": "45", "last_message_id": "99"},
                {"id": "49", "type": 15, "parent_id": None},
            ],
            "threads": [{"id": "60", "type": 11, "parent_id": "50", "last_message_id": None}],
            "roles": [{"id": "77", "tags": {"bot_id": ME}}, {"id": "78"}, {"id": "79", "tags": {"bot_id": "8"}}],
        },
    )
    return frames


def _read(frames: Frames, kind: str, what: Json, sequence: int = 1) -> list[Heard]:
    return list(frames.read(kind, what, sequence, AT))


def _said(**more: Any) -> Json:
    return {"id": "100", "channel_id": "50", "guild_id": "30", "type": 0, "author": ANNA, "content": "x", **more}


def test_rooms_are_told_apart() -> None:
    """A thread hangs in its channel; a channel in a category is none; a forum itself is no room."""
    rooms = _frames().rooms
    assert rooms.find("60") == Room(channel="60", guild="30", parent="50")
    assert rooms.find("50") == Room(channel="50", guild="30", last_message=99)
    assert rooms.find("45") is None
    assert rooms.find("49") is None
    assert rooms.roles("30") == ["77"]
    assert rooms.home("30") == "50"


def test_rooms_come_and_go() -> None:
    """New threads and channels are known as they come, and those that go are not."""
    frames = _frames()
    _read(frames, "THREAD_CREATE", {"id": "61", "type": 11, "parent_id": "50", "guild_id": "30"})
    _read(frames, "THREAD_LIST_SYNC", {"guild_id": "30", "threads": [{"id": "62", "type": 12, "parent_id": "50"}]})
    assert [frames.rooms.find(each).parent for each in ("61", "62")] == ["50", "50"]  # type: ignore[union-attr]
    _read(frames, "CHANNEL_DELETE", {"id": "50", "type": 0, "guild_id": "30"})
    assert frames.rooms.find("50") is None
    _read(frames, "GUILD_UPDATE", {"id": "30", "system_channel_id": "51"})
    assert frames.rooms.home("30") == "51"
    _read(frames, "GUILD_ROLE_UPDATE", {"guild_id": "30", "role": {"id": "80", "tags": {"bot_id": ME}}})
    assert frames.rooms.roles("30") == ["77", "80"]
    _read(frames, "GUILD_DELETE", {"id": "30"})
    assert not list(frames.rooms.listed())


def test_a_room_that_is_not_known_is_asked_for() -> None:
    """What is said in a server's channel that no list had waits until it is known; direct chats need no list."""
    frames = _frames()
    assert frames.room_wanted("MESSAGE_CREATE", _said(channel_id="66")) == "66"
    assert frames.room_wanted("MESSAGE_CREATE", _said()) == ""
    assert frames.room_wanted("MESSAGE_CREATE", {**_said(channel_id="66"), "guild_id": None}) == ""
    assert frames.room_wanted("GUILD_MEMBER_ADD", {"guild_id": "30"}) == ""


def test_the_envelope_has_what_decoding_needs() -> None:
    """What is stored of a message holds the payload as it came, the bot, its role and the thread's channel."""
    (heard,) = _read(_frames(), "MESSAGE_CREATE", _said(channel_id="60"))
    stored = json.loads(heard.raw)
    assert stored["d"] == _said(channel_id="60")
    assert (stored["bot"], stored["parent"]) == ({"id": ME, "roles": ["77"]}, "50")
    assert (heard.event_id, stored["event_id"], heard.message, heard.room.channel) == ("100", "100", 100, "60")


def test_history_gives_the_same_ids() -> None:
    """A message out of a chat's history is the same event as when it came."""
    frames = _frames()
    message = {key: value for key, value in _said().items() if key != "guild_id"}
    (heard,) = frames.read_history(message, Room(channel="50", guild="30"), AT)
    assert heard.event_id == "100"
    assert json.loads(heard.raw)["d"]["guild_id"] == "30"


def test_bots_words_are_known_but_not_stored() -> None:
    """Words of bots, our own too, say how far the chat goes, and nothing else; neither do their edits and ends."""
    frames = _frames()
    for author in (BOB, {"id": ME, "username": "me", "bot": True}):
        (heard,) = _read(frames, "MESSAGE_CREATE", _said(author=author))
        assert (heard.raw, heard.message) == (b"", 100)
        edit = _said(author=author, edited_timestamp=AT)
        assert not _read(frames, "MESSAGE_UPDATE", edit)
        assert not _read(frames, "MESSAGE_DELETE", {"id": "100", "channel_id": "50", "guild_id": "30"})
    assert not _read(frames, "MESSAGE_REACTION_ADD", {"user_id": ME, "channel_id": "50", "message_id": "1"})


def test_an_edit_is_one_event_for_each_time() -> None:
    """Two edits of a message are two events; the same told twice is one; a link's preview is none."""
    frames = _frames()
    first, again = (_read(frames, "MESSAGE_UPDATE", _said(edited_timestamp="t1")) for _ in range(2))
    (second,) = _read(frames, "MESSAGE_UPDATE", _said(edited_timestamp="t2"))
    assert first[0].event_id == again[0].event_id == "e:100:t1"
    assert second.event_id == "e:100:t2"
    assert not _read(frames, "MESSAGE_UPDATE", _said(edited_timestamp=None))


def test_deletions_come_one_by_one_with_their_authors() -> None:
    """A bulk deletion is one event for each message; whose it was is remembered for the newest ones."""
    frames = _frames()
    _read(frames, "MESSAGE_CREATE", _said())
    bulk = {"ids": ["100", "101"], "channel_id": "50", "guild_id": "30"}
    heard = _read(frames, "MESSAGE_DELETE_BULK", bulk)
    assert [each.event_id for each in heard] == ["d:100", "d:101"]
    assert [json.loads(each.raw)["author"] for each in heard] == ["2", ""]
    for number in range(200, 200 + MAX_AUTHORS):
        _read(frames, "MESSAGE_CREATE", _said(id=str(number)))
    (forgotten,) = _read(frames, "MESSAGE_DELETE", {"id": "100", "channel_id": "50", "guild_id": "30"})
    assert json.loads(forgotten.raw)["author"] == ""


def test_what_has_no_id_of_its_own_has_its_place_in_the_session() -> None:
    """A reaction and a join are told apart by session and number: put, taken and put again are three events."""
    frames = _frames()
    reaction = {"user_id": "2", "channel_id": "50", "message_id": "1", "guild_id": "30"}
    ids = [_read(frames, "MESSAGE_REACTION_ADD", reaction, number)[0].event_id for number in (4, 5, 4)]
    assert ids == ["r:s:4", "r:s:5", "r:s:4"]
    (joined,) = _read(frames, "GUILD_MEMBER_ADD", {"guild_id": "30", "user": ANNA}, 6)
    assert joined.event_id == "m:s:6"
    assert json.loads(joined.raw)["home"] == "50"
    assert not _read(frames, "GUILD_MEMBER_ADD", {"guild_id": "30", "user": BOB}, 7)


def test_a_greeting_is_a_join_only_where_joins_are_not_told() -> None:
    """With the members intent the server's greeting would say the same join twice."""
    frames = _frames()
    assert _read(frames, "MESSAGE_CREATE", _said(type=7))[0].raw
    frames.hears_members = True
    assert not _read(frames, "MESSAGE_CREATE", _said(type=7))[0].raw


async def test_what_is_known_outlives_the_process(tmp_path: Path) -> None:
    """How far each chat is known is found again, threads with their channels; a broken file is as none."""
    path = tmp_path / "deep" / "seen"
    seen = Seen(path)
    seen.raise_floor(10, set())
    seen.note(Room(channel="50", guild="30", parent="40"), 20)
    await seen.keep()
    later = Seen(path)
    await later.load()
    assert (later.floor, later.upto("50"), later.upto("51")) == (10, 20, 10)
    assert later.unlisted(set()) == [Room(channel="50", guild="30", parent="40")]
    assert later.unlisted({"50"}) == []
    path.write_text('{"floor": 5}')
    broken = Seen(path)
    await broken.load()
    assert broken.floor is None


async def test_the_floor_takes_what_is_below_it() -> None:
    """When all chats are known up to a message, their marks are needed no more: but of direct ones and of those
    that could not be read."""
    seen = Seen(None)
    seen.raise_floor(10, set())
    direct, stuck, plain = Room(channel="1"), Room(channel="2", guild="3"), Room(channel="4", guild="3")
    for room in (direct, plain):
        seen.note(room, 20)
    seen.pin(stuck)
    seen.raise_floor(30, {"2"})
    assert [seen.upto(room.channel) for room in (direct, stuck, plain)] == [20, 10, 30]
    for number in range(MAX_DIRECT + 5):
        seen.note(Room(channel=str(1000 + number)), 100 + number)
    seen.raise_floor(40, set())
    assert len(seen.unlisted(set())) == MAX_DIRECT


def test_a_gateway_is_well_from_ready_on_while_it_talks() -> None:
    """Health follows the frames: ready, silent, unanswered heartbeats, ended sessions, and how long it lasts."""
    notes = GatewayNotes(slack_s=5.0, now=0.0)
    assert notes.problem(1.0) == "not connected yet"
    assert notes.unwell_s(3.0) == 3.0
    notes.frame(10, None, {"heartbeat_interval": 40_000}, 3.0)
    notes.frame(0, "READY", {}, 4.0)
    assert (notes.problem(5.0), notes.unwell_s(5.0)) == ("", 0.0)
    assert notes.problem(70.0) == "the gateway is silent"
    assert notes.unwell_s(4.0 + 65.0 + 7.0) == 7.0
    notes.frame(0, "MESSAGE_CREATE", {}, 90.0)
    assert notes.problem(91.0) == "the gateway answers no heartbeat"
    notes.frame(11, None, None, 91.0)
    assert notes.problem(91.0) == ""
    notes.frame(9, None, False, 92.0)
    assert notes.problem(92.0) == "Discord ended the session"
    notes.frame(0, "RESUMED", {}, 93.0)
    assert notes.problem(93.0) == ""
    notes.lost("gone", 94.0)
    notes.lost("gone again", 99.0)
    assert (notes.problem(100.0), notes.unwell_s(100.0)) == ("gone", 6.0)


def test_commands_are_the_menus_together() -> None:
    """Discord offers in direct chats what anybody may use there, in servers the common ones, each once."""
    stop, access, bad = (MenuEntry(name=name, what=f"does {name}") for name in ("stop", "access", "Bad Name"))
    menus = Menus(direct=(stop, bad), many=(stop,), chats={ChatKey("d:1"): (stop, access)})
    assert commands_of(menus) == (
        Command(name="stop", what="does stop", in_direct=True, in_many=True),
        Command(name="access", what="does access", in_direct=True, in_many=False),
    )
