"""The workspace's tokens: whose each one is, what it may do, and whether it still holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from twins.slack.refusal import Refusal

BOT_TOKEN = "xoxb-1000000000-2000000000-rehearsal"
APP_TOKEN = "xapp-1-A0NIGHT01-3000000000-rehearsal"

BOT_SCOPES = [
    "app_mentions:read",
    "assistant:write",
    "bookmarks:read",
    "bookmarks:write",
    "calls:read",
    "calls:write",
    "canvases:read",
    "canvases:write",
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "chat:write.customize",
    "chat:write.public",
    "commands",
    "dnd:read",
    "emoji:read",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:read",
    "im:write",
    "lists:read",
    "lists:write",
    "metadata.message:read",
    "mpim:history",
    "mpim:read",
    "mpim:write",
    "pins:read",
    "pins:write",
    "reactions:read",
    "reactions:write",
    "reminders:read",
    "remote_files:read",
    "remote_files:share",
    "remote_files:write",
    "team.billing:read",
    "team.preferences:read",
    "team:read",
    "usergroups:read",
    "usergroups:write",
    "users.profile:read",
    "users:read",
    "users:read.email",
    "users:write",
]


def bearer(header: str) -> str:
    """Return the token of an Authorization header; empty where there is none."""
    scheme, _, value = header.strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


@dataclass(slots=True, kw_only=True)
class Token:
    value: str
    kind: str
    """`bot`, `app` or `user`."""
    user_id: str
    scopes: set[str] = field(default_factory=set)
    refused_with: str = ""
    """The error of a token that no longer holds: token_revoked, account_inactive, token_expired."""


class Tokens:
    def __init__(self, bot_user_id: str, user_ids: list[str]) -> None:
        bot = Token(value=BOT_TOKEN, kind="bot", user_id=bot_user_id, scopes=set(BOT_SCOPES))
        app = Token(value=APP_TOKEN, kind="app", user_id=bot_user_id, scopes={"connections:write"})
        users = [
            Token(value=f"xoxp-1000000000-{user_id}-rehearsal", kind="user", user_id=user_id) for user_id in user_ids
        ]
        self._tokens = {token.value: token for token in (bot, app, *users)}
        for user in users:
            user.scopes = {
                *BOT_SCOPES,
                "admin",
                "links:write",
                "users.profile:write",
                "search:read",
                "stars:read",
                "stars:write",
            }

    def of_kind(self, kind: str) -> Token:
        """Return the newest token of that kind that holds, else the newest."""
        found = [token for token in self._tokens.values() if token.kind == kind]
        return next((token for token in reversed(found) if not token.refused_with), found[-1])

    def of_user(self, user_id: str) -> Token:
        """Return a person's own token."""
        return next(token for token in self._tokens.values() if token.kind == "user" and token.user_id == user_id)

    def known(self, value: str) -> Token:
        """Return a token that holds; refuse all others as the platform does."""
        if not value:
            raise Refusal("not_authed")
        token = self._tokens.get(value)
        if token is None:
            raise Refusal("invalid_auth")
        if token.refused_with:
            raise Refusal(token.refused_with)
        return token

    def replace(self, kind: str, value: str, error: str = "token_revoked") -> Token:
        """Let the tokens of that kind hold no more, and this one from now on."""
        old = self.of_kind(kind)
        for token in self._tokens.values():
            if token.kind == kind:
                token.refused_with = error
        new = self._tokens[value] = Token(value=value, kind=kind, user_id=old.user_id, scopes=set(old.scopes))
        return new

    def revoke(self, kind: str, error: str) -> None:
        """Let the token of that kind hold no more: refused with that error from now on."""
        self.of_kind(kind).refused_with = error

    def restore(self, value: str) -> None:
        """Let a token hold again."""
        self._tokens[value].refused_with = ""
