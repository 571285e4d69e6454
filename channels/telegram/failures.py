"""What can go wrong between us and Telegram, in our words; `client.py` alone knows the errors of the SDK. Pure."""

from __future__ import annotations

from channels.channel import DeliveryFailed

_WORDS = (
    ("bot was blocked by the user", "the person has blocked the bot"),
    ("user is deactivated", "the person's Telegram account is gone"),
    ("bot was kicked", "the bot was removed from the chat; add it again"),
    ("bot is not a member", "the bot is not in the chat; add it"),
    ("bot can't initiate conversation", "the person has never written to the bot; they must write first"),
    ("chat not found", "Telegram knows no such chat, or shows it to the bot no more"),
    ("message thread not found", "the topic was deleted"),
    ("topic_closed", "the topic is closed"),
    ("topic_deleted", "the topic was deleted"),
    ("not enough rights", "the bot may not do this in the chat; let its administrators allow it"),
    ("chat_write_forbidden", "the bot may not write in the chat; let its administrators allow it"),
    ("need administrator rights", "the bot may not do this in the chat; make it an administrator"),
    ("message can't be deleted", "Telegram deletes no message that is older than 48 hours, and no one else's"),
    ("file is too big", "Telegram gives a bot no file over 20 MiB"),
)
"""What Telegram says, and what that means."""


class TokenRefused(Exception):
    """Telegram does not know this bot token: ask @BotFather for one and run `nightyard channel add telegram`."""

    def __str__(self) -> str:
        return " ".join((self.__doc__ or "").split())


class Unreachable(Exception):
    """Telegram gave no usable answer; the text says why."""


class AskedToWait(Exception):
    """Telegram does not connect us for a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Telegram asks for a pause of {seconds:.0f} s")
        self.seconds = seconds


class SecretMissing(Exception):
    """The bot token could not be had; the text says why."""


class Died(Exception):
    """The SDK's polling does nothing any more, or nothing that works; the text says which."""


class StoreFailed(Exception):
    """An update could not be stored; the cause says why."""


class Migrated(DeliveryFailed):
    """The group has become a supergroup, with another id."""

    def __init__(self, chat_id: int) -> None:
        super().__init__(f"the group has a new id, {chat_id}")
        self.chat_id = chat_id


def in_plain_words(description: str) -> str:
    """Return what a refusal of Telegram's means, with its own words."""
    said = description.lower()
    meaning = next((meaning for words, meaning in _WORDS if words in said), "")
    return f"{meaning} (Telegram: {description})" if meaning else f"Telegram: {description}"
