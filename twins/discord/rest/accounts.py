"""Who the bot is, its application, users, its direct chats, where the gateway is."""

from __future__ import annotations

from twins.discord.gateway.intents import application_flags
from twins.discord.gateway.protocol import IDENTIFIES_PER_DAY, MAX_CONCURRENCY
from twins.discord.gateway.ready import me
from twins.discord.refusal import Refusal, form_error
from twins.discord.rest.call import Answer, Call, Route
from twins.discord.saying import channel_view
from twins.discord.snowflake import is_snowflake
from twins.discord.world import Json

_PERMISSIONS_ASKED = "274878254080"


def get_my_user(call: Call) -> Answer:
    return Answer(body=me(call.world))


def get_user(call: Call) -> Answer:
    return Answer(body=call.world.user(call.parameters["user_id"]))


def list_my_guilds(call: Call) -> Answer:
    world = call.world
    if world.bot_id not in world.members:
        return Answer(body=[])
    shown: Json = {key: world.guild[key] for key in ("id", "name", "icon", "banner", "features")}
    permissions = 0
    for role in (world.guild_id, *world.members[world.bot_id]["roles"]):
        permissions |= int(world.roles[role]["permissions"]) if role in world.roles else 0
    return Answer(body=[{**shown, "owner": False, "permissions": str(permissions)}])


def application(call: Call) -> Answer:
    """The same record at both addresses; its flags tell which privileged intents are on."""
    world = call.world
    flags = application_flags(world.privileged_intents)
    return Answer(
        body={
            "id": world.application_id,
            "name": "nightyard",
            "icon": None,
            "description": "",
            "type": None,
            "bot": world.users[world.bot_id],
            "bot_public": True,
            "bot_require_code_grant": False,
            "integration_types_config": {
                "0": {
                    "oauth2_install_params": {
                        "scopes": ["applications.commands", "bot"],
                        "permissions": _PERMISSIONS_ASKED,
                    }
                }
            },
            "verify_key": "0" * 64,
            "flags": flags,
            "flags_new": str(flags),
            "redirect_uris": [],
            "interactions_endpoint_url": None,
            "role_connections_verification_url": None,
            "owner": world.users[world.guild["owner_id"]],
            "approximate_guild_count": 1,
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
            "event_webhooks_url": None,
            "event_webhooks_status": 1,
            "event_webhooks_types": [],
            "explicit_content_filter": 0,
            "team": None,
            "eligible_oauth2_scopes": ["applications.commands", "bot"],
        }
    )


def create_dm(call: Call) -> Answer:
    recipient = call.fields.get("recipient_id")
    if isinstance(recipient, int):
        recipient = str(recipient)
    if not is_snowflake(recipient):
        raise form_error("recipient_id", "NUMBER_TYPE_COERCE", f'Value "{recipient}" is not snowflake.')
    if recipient == call.world.bot_id or recipient not in call.world.users:
        raise Refusal(50033)
    return Answer(body=channel_view(call.world, call.world.direct_chat(recipient)))


def get_gateway(call: Call) -> Answer:
    return Answer(body={"url": call.address})


def get_bot_gateway(call: Call) -> Answer:
    limit = {
        "total": IDENTIFIES_PER_DAY,
        "remaining": call.identifies_left,
        "reset_after": 0 if call.identifies_left == IDENTIFIES_PER_DAY else 86_400_000,
        "max_concurrency": MAX_CONCURRENCY,
    }
    return Answer(body={"url": call.address, "shards": 1, "session_start_limit": limit})


ROUTES = (
    Route(operation="get_my_user", method="GET", path="/users/@me", handle=get_my_user),
    Route(operation="list_my_guilds", method="GET", path="/users/@me/guilds", handle=list_my_guilds),
    Route(operation="create_dm", method="POST", path="/users/@me/channels", handle=create_dm),
    Route(operation="get_user", method="GET", path="/users/{user_id}", handle=get_user),
    Route(
        operation="get_my_oauth2_application",
        method="GET",
        path="/oauth2/applications/@me",
        handle=application,
    ),
    Route(operation="get_my_application", method="GET", path="/applications/@me", handle=application),
    Route(operation="get_gateway", method="GET", path="/gateway", handle=get_gateway, needs_token=False),
    Route(operation="get_bot_gateway", method="GET", path="/gateway/bot", handle=get_bot_gateway),
)
