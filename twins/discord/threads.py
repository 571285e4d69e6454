"""Threads begin, get members and fall asleep, whoever does it."""

from __future__ import annotations

from twins.discord.saying import channel_view, in_guild, say
from twins.discord.seed import thread as thread_info
from twins.discord.snowflake import as_timestamp, made_at
from twins.discord.world import PRIVATE_THREAD, PUBLIC_THREAD, Channel, Json, Message, World

HAS_THREAD = 1 << 5
_THREAD_CREATED, _THREAD_STARTER = 18, 21


def begin_thread(
    world: World, parent: Channel, owner_id: str, name: str, *, message: Message | None = None, private: bool = False
) -> Channel:
    """Begin a thread; from a message it has the message's id."""
    thread_id = message.id if message is not None else world.mint()
    kind = PRIVATE_THREAD if private else PUBLIC_THREAD
    info = thread_info(thread_id, parent.id, name, owner_id, world.now, kind)
    if private:
        info["thread_metadata"]["invitable"] = True
    thread = world.add_channel(info, people=[owner_id], opened_at=world.now)
    world.publish("THREAD_CREATE", {**channel_view(world, thread), "newly_created": True}, channel=thread)
    _tell_members(world, thread, added=[owner_id])
    if message is not None:
        message.body["flags"] |= HAS_THREAD
        reference = {"type": 0, "channel_id": parent.id, "message_id": message.id, **in_guild(parent)}
        say(world, thread, owner_id, kind=_THREAD_STARTER, message_reference=reference)
    elif not private:
        reference = {"type": 0, "channel_id": thread.id, **in_guild(parent)}
        say(world, parent, owner_id, content=name, kind=_THREAD_CREATED, message_reference=reference)
    return thread


def set_archived(world: World, thread: Channel, archived: bool) -> None:
    """Archive a thread or open it again; tell of it, also where only another of its settings changed."""
    thread.info["thread_metadata"] |= {"archived": archived, "archive_timestamp": world.timestamp()}
    thread.opened_at = world.now
    world.publish("THREAD_UPDATE", channel_view(world, thread), channel=thread)


def archive_idle(world: World) -> None:
    """Archive the threads in which nothing was said for as long as they allow, on the twin's clock."""
    for thread in list(world.channels.values()):
        if not thread.is_thread or thread.info["thread_metadata"]["archived"]:
            continue
        idle_s = thread.info["thread_metadata"]["auto_archive_duration"] * 60
        opened_at = thread.opened_at or made_at(thread.id)
        last_at = made_at(thread.last_message_id) if thread.last_message_id else opened_at
        if world.now - max(last_at, opened_at) > idle_s:
            set_archived(world, thread, True)


def add_member(world: World, thread: Channel, user_id: str) -> None:
    if user_id not in thread.people:
        thread.people.append(user_id)
        _tell_members(world, thread, added=[user_id])


def remove_member(world: World, thread: Channel, user_id: str) -> None:
    if user_id in thread.people:
        thread.people.remove(user_id)
        _tell_members(world, thread, removed=[user_id])


def member_view(world: World, thread: Channel, user_id: str, *, with_member: bool = False) -> Json:
    """Return who is in a thread, as the API shows it."""
    shown: Json = {
        "id": thread.id,
        "user_id": user_id,
        "join_timestamp": as_timestamp(made_at(thread.id)),
        "flags": 0,
    }
    if with_member and user_id in world.members:
        shown["member"] = {**world.members[user_id], "user": world.users[user_id]}
    return shown


def _tell_members(
    world: World, thread: Channel, *, added: list[str] | None = None, removed: list[str] | None = None
) -> None:
    data: Json = {"id": thread.id, "member_count": len(thread.people), **in_guild(thread)}
    if added:
        data["added_members"] = [
            {**member_view(world, thread, one, with_member=True), "presence": None} for one in added
        ]
    if removed:
        data["removed_member_ids"] = removed
    world.publish("THREAD_MEMBERS_UPDATE", data, channel=thread)
