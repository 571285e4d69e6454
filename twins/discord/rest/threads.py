"""Threads: beginning, listing, joining."""

from __future__ import annotations

from collections.abc import Callable

from twins.discord.permissions import Permission
from twins.discord.refusal import FormErrors, Refusal
from twins.discord.rest.access import need, open_thread, visible
from twins.discord.rest.call import DONE, Answer, Call, Route
from twins.discord.saying import channel_view
from twins.discord.shapes import CHANNEL, check_shape
from twins.discord.threads import add_member, begin_thread, member_view, remove_member
from twins.discord.world import PRIVATE_THREAD, PUBLIC_THREAD, TEXT, Channel, Json

AUTO_ARCHIVE_MIN = (60, 1440, 4320, 10080)
DEFAULT_ARCHIVE_MIN = 4320


def create_thread_from_message(call: Call) -> Answer:
    parent = _parent(call)
    _, message = call.message()
    name = _name(call)
    need(call.world, parent, Permission.CREATE_PUBLIC_THREADS)
    if message.id in call.world.channels:
        raise Refusal(160004)
    return _begun(call, begin_thread(call.world, parent, call.world.bot_id, name, message=message))


def create_thread(call: Call) -> Answer:
    parent = _parent(call)
    name = _name(call)
    private = call.fields.get("type", PRIVATE_THREAD) == PRIVATE_THREAD
    need(call.world, parent, Permission.CREATE_PRIVATE_THREADS if private else Permission.CREATE_PUBLIC_THREADS)
    return _begun(call, begin_thread(call.world, parent, call.world.bot_id, name, private=private))


def get_active_guild_threads(call: Call) -> Answer:
    if call.parameters["guild_id"] != call.world.guild_id:
        raise Refusal(10004)
    return _listed(call, [one for one in _threads(call) if not one.info["thread_metadata"]["archived"]])


def list_archived(kind: int) -> Callable[[Call], Answer]:
    """Return the route of archived threads of one kind."""

    def list_them(call: Call) -> Answer:
        parent = visible(call)
        need(call.world, parent, Permission.READ_MESSAGE_HISTORY)
        found = [
            one
            for one in _threads(call)
            if one.info["parent_id"] == parent.id
            and one.info["type"] == kind
            and one.info["thread_metadata"]["archived"]
        ]
        newest_first = sorted(found, key=lambda one: str(one.info["thread_metadata"]["archive_timestamp"]))[::-1]
        limit = call.number("limit", 50, 2, 100)
        return _listed(call, newest_first[:limit], has_more=len(newest_first) > limit)

    return list_them


def list_thread_members(call: Call) -> Answer:
    thread = _thread(call)
    full = call.query.get("with_member") == "true"
    return Answer(body=[member_view(call.world, thread, one, with_member=full) for one in thread.people])


def get_thread_member(call: Call) -> Answer:
    thread = _thread(call)
    if call.parameters["user_id"] not in thread.people:
        raise Refusal(10007)
    full = call.query.get("with_member") == "true"
    return Answer(body=member_view(call.world, thread, call.parameters["user_id"], with_member=full))


def join_thread(call: Call) -> Answer:
    thread = _thread(call)
    open_thread(call.world, thread)
    add_member(call.world, thread, call.world.bot_id)
    return DONE


def leave_thread(call: Call) -> Answer:
    thread = _thread(call)
    open_thread(call.world, thread)
    remove_member(call.world, thread, call.world.bot_id)
    return DONE


def add_thread_member(call: Call) -> Answer:
    thread = _thread(call)
    open_thread(call.world, thread)
    if call.parameters["user_id"] not in call.world.members:
        raise Refusal(10007)
    add_member(call.world, thread, call.parameters["user_id"])
    return DONE


def delete_thread_member(call: Call) -> Answer:
    thread = _thread(call)
    open_thread(call.world, thread)
    if thread.info["owner_id"] != call.world.bot_id or thread.info["type"] != PRIVATE_THREAD:
        need(call.world, thread, Permission.MANAGE_THREADS)
    remove_member(call.world, thread, call.parameters["user_id"])
    return DONE


def _parent(call: Call) -> Channel:
    parent = visible(call)
    if parent.info["type"] != TEXT:
        raise Refusal(50024)
    return parent


def _name(call: Call) -> str:
    check_shape(call.fields, CHANNEL)
    errors = FormErrors()
    name = call.fields.get("name")
    errors.missing("name", name)
    errors.too_long("name", name, 100)
    if call.fields.get("auto_archive_duration") not in (None, *AUTO_ARCHIVE_MIN):
        errors.add("auto_archive_duration", "BASE_TYPE_CHOICES", "Value must be one of (60, 1440, 4320, 10080).")
    errors.settle()
    return str(name)


def _begun(call: Call, thread: Channel) -> Answer:
    minutes = call.fields.get("auto_archive_duration") or DEFAULT_ARCHIVE_MIN
    thread.info["thread_metadata"]["auto_archive_duration"] = minutes
    thread.info["rate_limit_per_user"] = int(call.fields.get("rate_limit_per_user") or 0)
    own = member_view(call.world, thread, call.world.bot_id)
    return Answer(status=201, body={**channel_view(call.world, thread), "member": own})


def _thread(call: Call) -> Channel:
    thread = visible(call)
    if not thread.is_thread:
        raise Refusal(50024)
    return thread


def _threads(call: Call) -> list[Channel]:
    world = call.world
    return [one for one in world.channels.values() if one.is_thread and world.sees(world.bot_id, one)]


def _listed(call: Call, threads: list[Channel], *, has_more: bool = False) -> Answer:
    world = call.world
    own = [member_view(world, one, world.bot_id) for one in threads if world.bot_id in one.people]
    body: Json = {"threads": [channel_view(world, one) for one in threads], "members": own, "has_more": has_more}
    return Answer(body=body)


_IN_CHANNEL = "/channels/{channel_id}"
_MEMBER = _IN_CHANNEL + "/thread-members/{user_id}"
ROUTES = (
    Route(
        operation="create_thread_from_message",
        method="POST",
        path=_IN_CHANNEL + "/messages/{message_id}/threads",
        handle=create_thread_from_message,
    ),
    Route(operation="create_thread", method="POST", path=_IN_CHANNEL + "/threads", handle=create_thread),
    Route(
        operation="get_active_guild_threads",
        method="GET",
        path="/guilds/{guild_id}/threads/active",
        handle=get_active_guild_threads,
    ),
    Route(
        operation="list_public_archived_threads",
        method="GET",
        path=_IN_CHANNEL + "/threads/archived/public",
        handle=list_archived(PUBLIC_THREAD),
    ),
    Route(
        operation="list_private_archived_threads",
        method="GET",
        path=_IN_CHANNEL + "/threads/archived/private",
        handle=list_archived(PRIVATE_THREAD),
    ),
    Route(
        operation="list_thread_members",
        method="GET",
        path=_IN_CHANNEL + "/thread-members",
        handle=list_thread_members,
    ),
    Route(operation="join_thread", method="PUT", path=_IN_CHANNEL + "/thread-members/@me", handle=join_thread),
    Route(operation="leave_thread", method="DELETE", path=_IN_CHANNEL + "/thread-members/@me", handle=leave_thread),
    Route(operation="get_thread_member", method="GET", path=_MEMBER, handle=get_thread_member),
    Route(operation="add_thread_member", method="PUT", path=_MEMBER, handle=add_thread_member),
    Route(operation="delete_thread_member", method="DELETE", path=_MEMBER, handle=delete_thread_member),
)
