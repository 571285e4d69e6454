"""Whatever a client sends, Discord's twin takes it or refuses it in Discord's form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from tests.twins.discord_raw import Raw, form_errors, raw_client
from twins.discord.seed import BOT, GENERAL, THREAD
from twins.discord.server import DiscordTwin
from twins.discord.user_side import pressing

_NAMES = (
    *("content", "embeds", "components", "type", "custom_id", "label", "style", "options", "value", "url", "title"),
    *("description", "fields", "name", "footer", "text", "author", "image", "allowed_mentions", "parse", "users"),
    *("roles", "message_reference", "message_id", "channel_id", "nonce", "enforce_nonce", "flags", "attachments"),
    *("id", "filename", "tts", "choices", "recipient_id", "messages", "archived", "emoji", "accessory", "color"),
)
_PLAIN = (None, True, False, 0, 1, 2, 3, 17, -5, 1.5, "", "x", "123", "http://x", "y" * 30, "1" * 19, 32768, 64)


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    twin = DiscordTwin(limits=False)
    async with twin.serve(), raw_client(twin) as raw:
        yield raw


def _value(random: Random, depth: int) -> Any:
    kind = random.random()
    if depth > 4 or kind < 0.35:
        return random.choice(_PLAIN)
    if kind < 0.6:
        return [_value(random, depth + 1) for _ in range(random.randint(0, 3))]
    return {random.choice(_NAMES): _value(random, depth + 1) for _ in range(random.randint(0, 5))}


async def test_no_body_breaks_the_twin(raw: Raw) -> None:
    """Six hundred bodies of all kinds: each is done or refused, none ends in an error of the twin's own."""
    random = Random(6)
    own = (await raw.call("POST", f"/channels/{GENERAL}/messages", {"content": "o"}))[1]["id"]
    await raw.call("POST", f"/applications/{BOT}/commands", {"name": "ask", "description": "x"})
    places = (
        ("POST", f"/channels/{GENERAL}/messages"),
        ("PATCH", f"/channels/{GENERAL}/messages/{own}"),
        ("POST", f"/applications/{BOT}/guilds/300000000000000001/commands"),
        ("PUT", f"/applications/{BOT}/guilds/300000000000000001/commands"),
        ("POST", f"/channels/{GENERAL}/threads"),
        ("POST", f"/channels/{GENERAL}/messages/bulk-delete"),
        ("POST", "/users/@me/channels"),
        ("PATCH", f"/channels/{THREAD}"),
        ("POST", "callback"),
    )
    for _ in range(600):
        method, path = random.choice(places)
        body = {random.choice(_NAMES): _value(random, 1) for _ in range(random.randint(0, 5))}
        if path == "callback":
            pressing.command(raw.twin.world, {"name": "ask"})
            asked = raw.twin.log.read(event="interaction_create")[-1]["data"]
            path = f"/interactions/{asked['id']}/{asked['token']}/callback"
            body = {"type": random.choice((4, 5, 7, 8, 9)), "data": body}
        status, answer = await raw.call(method, path, [body] if method == "PUT" else body)
        assert status < 500, (method, path, body)
        if status == 400 and answer["code"] == 50035:
            assert answer["errors"]


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"content": ["x"]}, ["content"], "STRING_TYPE_CONVERT"),
        ({"embeds": {}}, ["embeds"], "LIST_TYPE_CONVERT"),
        ({"embeds": ["x"]}, ["embeds", "0"], "DICT_TYPE_CONVERT"),
        ({"embeds": [{"color": "red"}]}, ["embeds", "0", "color"], "NUMBER_TYPE_COERCE"),
        ({"components": [{"type": 1, "components": [None]}]}, ["components", "0", "components", "0"], None),
        ({"content": "x", "tts": "loud"}, ["tts"], "BOOLEAN_TYPE_CONVERT"),
    ],
)
async def test_a_field_of_another_kind_is_told_where(raw: Raw, body: Any, path: list[str], code: str | None) -> None:
    """Code 50035 again, before anything else is looked at."""
    _, refused = await raw.call("POST", f"/channels/{GENERAL}/messages", body)
    errors = form_errors(refused)
    for part in path:
        errors = errors[part]
    assert code is None or errors["_errors"][0]["code"] == code
