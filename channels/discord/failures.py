"""What can go wrong between us and Discord, in our words; `client.py` alone knows the errors of the SDK. Pure."""

from __future__ import annotations

PORTAL = "https://discord.com/developers/applications"


class TokenRefused(Exception):
    """Discord does not know this bot token: reset it in the Developer Portal under Bot and run `nightyard channel add
    discord`."""

    def __str__(self) -> str:
        return " ".join((self.__doc__ or "").split())


class Unreachable(Exception):
    """Discord gave no usable answer; the text says why."""


class SecretMissing(Exception):
    """The bot token could not be had; the text says why."""


class Died(Exception):
    """The gateway does nothing any more; the text says what was seen last."""


class IntentsChanged(Exception):
    """The Developer Portal says something else about the intents than when we connected: connect anew."""


class IntentsRefused(Exception):
    """An intent that we asked for is switched off; the text says which, and where to switch it on."""


class ShutOut(Exception):
    """Cloudflare keeps this address from Discord for a while: too many of its requests were refused."""

    def __str__(self) -> str:
        return "Discord has shut this address out for a while, after too many requests that it refused"
