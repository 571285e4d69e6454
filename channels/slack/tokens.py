"""The two tokens of an app, and what is to be said about them: the bot's own and the one that opens sockets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from channels.slack.failures import SecretMissing
from channels.slack.manifest import SCOPES


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    bot: str = field(repr=False)
    """`xoxb-…`, of the installation in the workspace."""
    app: str = field(repr=False)
    """`xapp-…`, with `connections:write`: it opens sockets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose the tokens are."""

    bot_name: str
    team: str
    app_id: str
    missing_scopes: tuple[str, ...] = ()
    """What the manifest asks for, and the installed app does not have."""
    faults: tuple[str, ...] = ()
    """Everything that is wrong, in words for people; empty: it is well."""


def split_tokens(secret: str) -> TokenPair:
    """Return the two tokens of a secret, in whatever order; raise SecretMissing."""
    words = secret.split()
    bots = [word for word in words if word.startswith("xoxb-")]
    apps = [word for word in words if word.startswith("xapp-")]
    if len(bots) == len(apps) == 1 and len(words) == 2:
        return TokenPair(bot=bots[0], app=apps[0])
    wrong = "the secret must hold two tokens with a space between: the bot's (xoxb-…) and the app's (xapp-…)"
    if any(word.startswith("xoxp-") for word in words):
        wrong += "; an xoxp- token is a person's, not the bot's"
    raise SecretMissing(f"{wrong}; `nightyard channel add slack` takes others")


def find_faults(tokens: TokenPair, told: Mapping[str, object], scopes: str, app_id: str) -> Account:
    """Return the account, from what Slack told about the bot's token: its answer, its scopes, its app."""
    held = {scope.strip() for scope in scopes.split(",") if scope.strip()}
    missing = tuple(scope for scope in SCOPES if held and scope not in held)
    faults = []
    if missing:
        faults.append(
            f"the app lacks the scopes {', '.join(missing)}: paste the manifest anew and install the app again"
        )
    parts = tokens.app.split("-")
    if app_id and len(parts) > 2 and parts[2].startswith("A") and parts[2] != app_id:
        faults.append(f"the two tokens are of different apps ({app_id} and {parts[2]})")
    return Account(
        bot_name=f"@{told.get('user') or 'bot'}",
        team=str(told.get("team") or ""),
        app_id=app_id,
        missing_scopes=missing,
        faults=tuple(faults),
    )
