"""One request to the API and its answer; what a route is. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from twins.discord.refusal import form_error
from twins.discord.snowflake import is_snowflake
from twins.discord.world import Channel, Json, Message, Upload, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    world: World
    operation: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    body: Any = None
    """What the JSON says; `{}` for none."""
    uploads: Mapping[int, Upload] = field(default_factory=dict)
    address: str = ""
    """Of the gateway."""
    identifies_left: int = 0

    @property
    def fields(self) -> Json:
        """The body as a record; raise Refusal for another kind."""
        if not isinstance(self.body, dict):
            raise form_error("", "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return self.body

    def channel(self) -> Channel:
        return self.world.channel(self.parameters["channel_id"])

    def message(self) -> tuple[Channel, Message]:
        channel = self.channel()
        return channel, self.world.message(channel, self.parameters["message_id"])

    def number(self, name: str, default: int, lowest: int, highest: int) -> int:
        """Return a number of the query within its bounds."""
        text = self.query.get(name, str(default))
        if not re.fullmatch(r"-?\d+", text):
            raise form_error(name, "NUMBER_TYPE_COERCE", f'Value "{text}" is not int.')
        if int(text) < lowest:
            raise form_error(name, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {lowest}.")
        if int(text) > highest:
            raise form_error(name, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {highest}.")
        return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int = 200
    body: Any = None


DONE = Answer(status=204)


@dataclass(frozen=True, kw_only=True)
class Route:
    operation: str
    """As Discord's OpenAPI description names it."""
    method: str
    path: str
    handle: Callable[[Call], Answer]
    needs_token: bool = True

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path))


def check_ids(parameters: Mapping[str, str]) -> None:
    """Raise Refusal for a path in which an id is none."""
    for name, value in parameters.items():
        if name.endswith("_id") and not is_snowflake(value):
            raise form_error(name, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
