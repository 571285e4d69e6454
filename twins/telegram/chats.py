"""A chat of the twin's world: who is in it, what was said, what the bot may do there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from twins.telegram.refusal import Refusal

Json = dict[str, Any]

GENERAL_TOPIC = 1
FIRST_ICON_COLOR = 0x6FB9F0


@dataclass(slots=True, kw_only=True)
class Topic:
    name: str
    icon_color: int = FIRST_ICON_COLOR
    icon_custom_emoji_id: str = ""
    is_closed: bool = False
    is_hidden: bool = False


@dataclass(slots=True, kw_only=True)
class Chat:
    info: Json
    """The chat as messages show it."""
    members: list[int]
    more: Json = field(default_factory=dict)
    """What only getChat tells."""
    messages: dict[int, Json] = field(default_factory=dict)
    topics: dict[int, Topic] = field(default_factory=dict)
    reactions: dict[int, list[str]] = field(default_factory=dict)
    """The bot's, by message."""
    people_reactions: dict[int, dict[int, list[str]]] = field(default_factory=dict)
    """By message and person."""
    roles: dict[int, Json] = field(default_factory=dict)
    """What a member is beyond a member: `{"status": …, rights}`."""
    told: set[int] = field(default_factory=set)
    """The messages of people that the bot got: then it gets their edits too."""
    pinned: list[int] = field(default_factory=list)
    invite_links: dict[str, Json] = field(default_factory=dict)
    typing_until: float = 0.0
    action: str = ""
    draft: str = ""
    draft_entities: list[Json] = field(default_factory=list)
    draft_until: float = 0.0
    blocked: bool = False
    """The person blocked the bot."""
    is_deactivated: bool = False
    """The person's account is gone."""
    bot_status: str = "member"
    """member, administrator, left or kicked."""
    moved_to: int | None = None

    @property
    def kind(self) -> str:
        return str(self.info["type"])

    @property
    def is_private(self) -> bool:
        return self.kind == "private"

    @property
    def has_bot(self) -> bool:
        return self.bot_status in ("member", "administrator")

    def check_writable(self) -> None:
        """Raise the Refusal that the bot meets when it writes there and may not."""
        if self.moved_to is not None:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, words, migrate_to_chat_id=self.moved_to)
        if self.is_deactivated:
            raise Refusal(403, "Forbidden: user is deactivated")
        if self.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        if self.bot_status == "kicked":
            raise Refusal(403, f"Forbidden: bot was kicked from the {self.kind} chat")
        if self.bot_status == "left":
            raise Refusal(403, f"Forbidden: bot is not a member of the {self.kind} chat")

    def status_of(self, person: int) -> Json:
        role = self.roles.get(person)
        return role or {"status": "member" if person in self.members else "left"}
