"""Invite links of a chat, and requests to join it."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments
from twins.telegram.chats import Chat, Json
from twins.telegram.refusal import bad_request
from twins.telegram.sending import chat_id_of
from twins.telegram.world import World

SUBSCRIPTION_S = 2_592_000
MAX_NAME = 32


def _inviting(world: World, arguments: Arguments) -> Chat:
    chat = world.writable_chat(chat_id_of(arguments))
    if chat.is_private or chat.bot_status != "administrator":
        raise bad_request("not enough rights to manage chat invite link")
    return chat


def _properties(arguments: Arguments) -> Json:
    limit, name = arguments.integer("member_limit"), arguments.text("name")
    asks = arguments.boolean("creates_join_request")
    if asks and limit:
        raise bad_request("member limit can't be specified for links requiring administrator approval")
    if len(name) > MAX_NAME:
        raise bad_request("CHAT_INVITE_TITLE_TOO_LONG")
    optional = {"name": name, "expire_date": arguments.integer("expire_date"), "member_limit": limit}
    return {"creates_join_request": asks, **{key: value for key, value in optional.items() if value}}


def _new_link(world: World, chat: Chat, **properties: Any) -> Json:
    link: Json = {
        "invite_link": f"https://t.me/+Twin{world.next_number():x}",
        "creator": world.bot,
        "creates_join_request": False,
        "is_primary": False,
        "is_revoked": False,
        **properties,
    }
    chat.invite_links[link["invite_link"]] = link
    return link


def _known_link(chat: Chat, arguments: Arguments) -> Json:
    link = chat.invite_links.get(arguments.text("invite_link"))
    if link is None:
        raise bad_request("INVITE_HASH_EXPIRED")
    return link


def export_chat_invite_link(world: World, arguments: Arguments) -> str:
    chat = _inviting(world, arguments)
    chat.more["invite_link"] = _new_link(world, chat, is_primary=True)["invite_link"]
    return str(chat.more["invite_link"])


def create_chat_invite_link(world: World, arguments: Arguments) -> Json:
    return _new_link(world, _inviting(world, arguments), **_properties(arguments))


def edit_chat_invite_link(world: World, arguments: Arguments) -> Json:
    link = _known_link(_inviting(world, arguments), arguments)
    for name in ("name", "expire_date", "member_limit"):
        link.pop(name, None)
    link |= _properties(arguments)
    return link


def revoke_chat_invite_link(world: World, arguments: Arguments) -> Json:
    link = _known_link(_inviting(world, arguments), arguments)
    link["is_revoked"] = True
    return link


def create_subscription_link(world: World, arguments: Arguments) -> Json:
    if arguments.integer("subscription_period") != SUBSCRIPTION_S:
        raise bad_request("SUBSCRIPTION_PERIOD_INVALID")
    price = arguments.integer("subscription_price")
    terms = {"subscription_period": SUBSCRIPTION_S, "subscription_price": price}
    return _new_link(world, _inviting(world, arguments), **_properties(arguments), **terms)


def edit_subscription_link(world: World, arguments: Arguments) -> Json:
    link = _known_link(_inviting(world, arguments), arguments)
    link["name"] = arguments.text("name")
    return link


def approve_join_request(world: World, arguments: Arguments) -> bool:
    chat = _inviting(world, arguments)
    if arguments.integer("user_id") in chat.members:
        raise bad_request("USER_ALREADY_PARTICIPANT")
    raise bad_request("HIDE_REQUESTER_MISSING")


METHODS: dict[str, Any] = {
    "exportchatinvitelink": export_chat_invite_link,
    "createchatinvitelink": create_chat_invite_link,
    "editchatinvitelink": edit_chat_invite_link,
    "revokechatinvitelink": revoke_chat_invite_link,
    "createchatsubscriptioninvitelink": create_subscription_link,
    "editchatsubscriptioninvitelink": edit_subscription_link,
    "approvechatjoinrequest": approve_join_request,
    "declinechatjoinrequest": approve_join_request,
}
