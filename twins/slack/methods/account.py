"""Who the caller is, and the way to a socket: `api.test`, `auth.*`, `bots.info`, `team.info`."""

from __future__ import annotations

from twins.slack.methods.method import Call, Json, Method
from twins.slack.refusal import Refusal
from twins.slack.world import APP_ID, BOT_ID, BOT_USER_ID, DOMAIN, TEAM_ID


def api_test(call: Call) -> Json:
    """Say what was said; `error` is answered as one."""
    args = dict(call.arguments.values)
    if error := call.arguments.text("error"):
        raise Refusal(error, args=args)
    return {"args": args}


def auth_test(call: Call) -> Json:
    world = call.world
    person = world.people[call.user_id]
    facts: Json = {"url": world.url, "team": world.team["name"], "user": person["name"]}
    facts |= {"team_id": TEAM_ID, "user_id": person["id"], "is_enterprise_install": False}
    return {**facts, "bot_id": BOT_ID} if call.is_app else facts


def auth_revoke(call: Call) -> Json:
    """Let the caller's own token hold no more; `test` only says what would be."""
    is_test = call.arguments.truth("test")
    if not is_test:
        call.token.refused_with = "token_revoked"
    return {"revoked": not is_test}


def auth_teams_list(call: Call) -> Json:
    return {"teams": [{"id": TEAM_ID, "name": call.world.team["name"]}], "response_metadata": {"next_cursor": ""}}


def bots_info(call: Call) -> Json:
    if call.arguments.text("bot", BOT_ID) != BOT_ID:
        raise Refusal("bot_not_found")
    bot = call.world.people[BOT_USER_ID]
    facts = {"id": BOT_ID, "deleted": False, "name": bot["name"], "updated": bot["updated"], "app_id": APP_ID}
    return {"bot": {**facts, "user_id": BOT_USER_ID, "icons": {}}}


def team_info(call: Call) -> Json:
    return {"team": {**call.world.team, "domain": DOMAIN, "email_domain": "twin.example", "icon": {}}}


def team_profile_get(_: Call) -> Json:
    return {"profile": {"fields": [], "sections": []}}


def team_billing_info(_: Call) -> Json:
    return {"plan": "free"}


def team_preferences_list(call: Call) -> Json:
    """Return the workspace's rules as its own settings have them."""
    window_s = call.world.edit_window_s
    rules: Json = {"msg_edit_window_mins": -1 if window_s is None else int(window_s // 60)}
    rules |= {"allow_message_deletion": True, "display_real_names": True, "disable_file_uploads": "allow_all"}
    return {**rules, "who_can_post_general": "everyone"}


def connections_open(call: Call) -> Json:
    """Give the app the address of a socket, good once."""
    return {"url": call.world.open_socket()}


METHODS = {
    "api.test": Method(function=api_test, tier=4, needs_token=False),
    "auth.test": Method(function=auth_test, tier=0, kinds=("bot", "user", "app")),
    "auth.revoke": Method(function=auth_revoke, kinds=("bot", "user", "app")),
    "auth.teams.list": Method(function=auth_teams_list, tier=2),
    "apps.connections.open": Method(function=connections_open, scopes=("connections:write",), kinds=("app",)),
    "bots.info": Method(function=bots_info, scopes=("users:read",)),
    "team.info": Method(function=team_info, scopes=("team:read",)),
    "team.billing.info": Method(function=team_billing_info, scopes=("team.billing:read",)),
    "team.preferences.list": Method(function=team_preferences_list, scopes=("team.preferences:read",)),
    "team.profile.get": Method(function=team_profile_get, scopes=("users.profile:read",)),
}
