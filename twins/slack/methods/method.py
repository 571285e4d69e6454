"""What a method of the Web API is: a function over one call, with the tier, the scopes and the tokens it asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twins.slack.arguments import Arguments
from twins.slack.refusal import Refusal
from twins.slack.tokens import Token
from twins.slack.world import BOT_USER_ID, Conversation, World

Json = dict[str, Any]

MAX_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    world: World
    token: Token
    arguments: Arguments

    @property
    def user_id(self) -> str:
        return self.token.user_id

    @property
    def is_app(self) -> bool:
        """Whether the app itself acts, not a person through it."""
        return self.user_id == BOT_USER_ID

    def conversation(self, name: str = "channel") -> Conversation:
        """Return the conversation an argument names, if the caller may know of it."""
        found = self.world.conversation(self.arguments.needed(name, "channel_not_found"))
        if not self.world.sees(self.user_id, found):
            raise Refusal("channel_not_found")
        return found

    def readable(self, name: str = "channel") -> Conversation:
        """Return the conversation an argument names; a bot must be in it, a person may read any public one."""
        found = self.conversation(name)
        return found if found.kind == "channel" and self.token.kind == "user" else self.joined(name)

    def joined(self, name: str = "channel") -> Conversation:
        """Return the conversation an argument names, which the caller must be in."""
        found = self.conversation(name)
        if self.user_id not in found.members:
            raise Refusal("not_in_channel")
        return found

    def page(self, key: str, items: list[Any], default: int = 100) -> Json:
        """Return one page of the items by limit and cursor, with the cursor of the next."""
        limit = min(self.arguments.number("limit", default, "invalid_limit") or default, MAX_PAGE)
        if limit < 0:
            raise Refusal("invalid_limit")
        cursor = self.arguments.text("cursor")
        start = int(cursor.removeprefix("next:")) if cursor.removeprefix("next:").isdigit() else 0
        if cursor and not start:
            raise Refusal("invalid_cursor")
        following = f"next:{start + limit}" if start + limit < len(items) else ""
        return {key: items[start : start + limit], "response_metadata": {"next_cursor": following}}


Function = Callable[[Call], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    function: Function
    tier: int = 3
    """1 to 4: 1, 20, 50, 100 calls a minute; 0 for the methods that have a rule of their own."""
    scopes: tuple[str, ...] = ()
    """One of these is enough."""
    kinds: tuple[str, ...] = ("bot", "user")
    needs_token: bool = True


Methods = Mapping[str, Method]
