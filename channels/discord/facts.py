"""What Discord says about a bot and its application, and what follows for us: intents, words, invite link. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from channels.discord.failures import PORTAL

# Bits of an application's flags; each has a second one for applications in fewer than 100 servers.
_MEMBERS = 1 << 14 | 1 << 15
_MESSAGE_CONTENT = 1 << 18 | 1 << 19

PERMISSIONS = {
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Embed Links": 1 << 14,
    "Attach Files": 1 << 15,
    "Read Message History": 1 << 16,
    "Add Reactions": 1 << 6,
    "Send Messages in Threads": 1 << 38,
}
"""What the bot needs to be allowed in a server, under the names of Discord's own settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFacts:
    """A bot whose token Discord takes."""

    name: str
    bot_id: int
    application_id: int
    has_message_content: bool
    has_members: bool

    @property
    def invite_link(self) -> str:
        """Where somebody who runs a server lets the bot in, with just the permissions that it needs."""
        permissions = sum(PERMISSIONS.values())
        return (
            f"https://discord.com/oauth2/authorize?client_id={self.application_id}"
            f"&scope=bot+applications.commands&permissions={permissions}"
        )

    @property
    def intents(self) -> tuple[str, ...]:
        """The privileged intents that are on, under the names of the Developer Portal."""
        named = (("Message Content", self.has_message_content), ("Server Members", self.has_members))
        return tuple(name for name, is_on in named if is_on)

    @property
    def missing(self) -> str:
        """In words what is switched off that should be on; empty: nothing."""
        if self.has_message_content:
            return ""
        return (
            "the Message Content intent is off, so only direct messages and mentions can be read: switch it on at "
            f"{intents_page(self.application_id)}"
        )


def facts_of(*, name: str, bot_id: int, application_id: int, flags: int) -> BotFacts:
    return BotFacts(
        name=name,
        bot_id=bot_id,
        application_id=application_id,
        has_message_content=bool(flags & _MESSAGE_CONTENT),
        has_members=bool(flags & _MEMBERS),
    )


def intents_page(application_id: int) -> str:
    """Return where the privileged intents of an application are switched."""
    return f"{PORTAL}/{application_id}/bot"
