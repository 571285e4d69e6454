"""The app's manifest, to be pasted into api.slack.com/apps: what the channel asks of Slack, and why. Pure.

`nightyard channel add slack` prints it. What stands here is what `check_token` looks for.
"""

from __future__ import annotations

import json

from channels.slack.decode import OUR_COMMAND

SCOPES = {
    "app_mentions:read": "hear where it is mentioned",
    "assistant:write": "say in a thread that it is at work",
    "channels:history": "read public channels that it is in",
    "channels:read": "know which those are",
    "chat:write": "speak, change and take back its own messages, and stream them",
    "commands": f"take {OUR_COMMAND}",
    "files:read": "fetch files that people send",
    "files:write": "send files",
    "groups:history": "read private channels that it is in",
    "groups:read": "know which those are",
    "im:history": "read direct messages to it",
    "im:read": "know which those are",
    "im:write": "begin a direct message",
    "mpim:history": "read group messages that it is in",
    "mpim:read": "know which those are",
    "reactions:read": "see reactions",
    "reactions:write": "react, and mark what it works on",
    "users:read": "know people's names",
}
"""Each with what it is for."""
EVENTS = (
    "app_mention",
    "channel_id_changed",
    "member_joined_channel",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "reaction_removed",
    "tokens_revoked",
)


def manifest(name: str = "Nightyard") -> str:
    """Return the manifest in JSON for an app of that name (35 characters at most)."""
    features = {
        "app_home": {"home_tab_enabled": False, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False},
        "bot_user": {"display_name": name[:35], "always_online": True},
        "assistant_view": {"assistant_description": "An agent on your own machine."},
        "slash_commands": [
            {
                "command": OUR_COMMAND,
                "description": "A word to Nightyard itself: stop, status, help…",
                "usage_hint": "stop | status | help",
                "should_escape": True,
            }
        ],
    }
    settings = {
        "event_subscriptions": {"bot_events": list(EVENTS)},
        "interactivity": {"is_enabled": True},
        "org_deploy_enabled": False,
        "socket_mode_enabled": True,
        "token_rotation_enabled": False,
    }
    whole = {
        "display_information": {"name": name[:35], "description": "An agent on your own machine."},
        "features": features,
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": settings,
    }
    return json.dumps(whole, indent=2)
