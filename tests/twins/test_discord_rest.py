"""The API of Discord's twin: its answers, refusals, limits and links, to the letter."""

from __future__ import annotations

import io
import json
from typing import Any

import aiohttp
import pytest

from tests.twins.discord_raw import Raw, form_errors
from twins.discord.seed import ANNA, BACKSTAGE, BEN, BOT, DIRECT, GENERAL, GUILD, ROOMS
from twins.discord.user_side import comings, verbs

SAY = f"/channels/{GENERAL}/messages"
NOWHERE = "/channels/999/messages"


async def test_every_answer_has_the_exact_type_and_the_mark_of_the_proxy(raw: Raw) -> None:
    """`Content-Type` is `application/json` and nothing more; `Via` is there."""
    status, me = await raw.call("GET", "/users/@me")
    assert (status, me["id"], me["bot"]) == (200, BOT, True)
    assert raw.headers["Content-Type"] == "application/json"
    assert raw.headers["Via"]


async def test_tokens_paths_and_methods_that_are_none_are_refused(raw: Raw) -> None:
    """401, 404 and 405 with code 0 and their plain words."""
    refused = {"message": "401: Unauthorized", "code": 0}
    assert await raw.call("GET", "/users/@me", headers={"Authorization": "Bot wrong"}) == (401, refused)
    assert await raw.call("GET", "/users/@me", headers={}) == (401, refused)
    assert await raw.call("GET", "/nothing") == (404, {"message": "404: Not Found", "code": 0})
    assert await raw.call("PUT", "/users/@me") == (405, {"message": "405: Method Not Allowed", "code": 0})


async def test_the_application_tells_which_privileged_intents_are_on(raw: Raw) -> None:
    """Its flags, at both addresses."""
    for path in ("/oauth2/applications/@me", "/applications/@me"):
        assert (await raw.call("GET", path))[1]["flags"] == 1 << 13 | 1 << 15 | 1 << 19
    comings.intents(raw.twin.world, {"on": ["GUILD_MEMBERS"]})
    assert (await raw.call("GET", "/applications/@me"))[1]["flags"] == 1 << 15


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "words"),
    [
        ("POST", NOWHERE, {"content": "x"}, 404, 10003, "Unknown Channel"),
        ("GET", "/guilds/9", None, 404, 10004, "Unknown Guild"),
        ("GET", f"{SAY}/123", None, 404, 10008, "Unknown Message"),
        ("GET", f"/guilds/{GUILD}/members/9", None, 404, 10013, "Unknown User"),
        ("GET", "/users/9", None, 404, 10013, "Unknown User"),
        ("POST", "/interactions/1/xyz/callback", {"type": 4}, 404, 10062, "Unknown interaction"),
        ("POST", f"/webhooks/{BOT}/xyz", {"content": "x"}, 404, 10015, "Unknown Webhook"),
        ("POST", SAY, {}, 400, 50006, "Cannot send an empty message"),
        ("POST", SAY, {"content": ""}, 400, 50006, "Cannot send an empty message"),
        ("POST", f"/channels/{ROOMS}/messages", {"content": "x"}, 400, 50008, None),
        ("POST", f"/channels/{BACKSTAGE}/messages", {"content": "x"}, 403, 50001, "Missing Access"),
        ("PATCH", f"/channels/{GENERAL}", {"name": "x"}, 403, 50013, "Missing Permissions"),
        ("POST", "/users/@me/channels", {"recipient_id": BOT}, 400, 50033, "Invalid Recipient(s)"),
        ("POST", f"/channels/{DIRECT[ANNA]}/messages/bulk-delete", {"messages": ["1", "2"]}, 403, 50003, None),
        ("POST", f"{SAY}/bulk-delete", {"messages": ["1"]}, 400, 50016, None),
        ("POST", f"{SAY}/bulk-delete", {"messages": ["1", "2"]}, 400, 50034, None),
        ("GET", f"/applications/{BOT}/commands/1", None, 404, 10063, "Unknown application command"),
        ("GET", "/applications/1/commands", None, 403, 20012, None),
        ("GET", "/channels/abc", None, 400, 50035, "Invalid Form Body"),
        ("GET", f"{SAY}?limit=101", None, 400, 50035, "Invalid Form Body"),
        ("GET", f"{SAY}?before=x", None, 400, 50035, "Invalid Form Body"),
        ("POST", SAY, [1], 400, 50035, "Invalid Form Body"),
    ],
)
async def test_refusals_have_the_status_the_code_and_the_words_of_discord(
    raw: Raw, method: str, path: str, body: Any, status: int, code: int, words: str | None
) -> None:
    """The table of JSON error codes."""
    got, said = await raw.call(method, path, body)
    assert (got, said["code"]) == (status, code)
    assert words is None or said["message"] == words


@pytest.mark.parametrize(
    ("body", "path", "code"),
    [
        ({"content": "x" * 2001}, ["content"], "BASE_TYPE_MAX_LENGTH"),
        ({"content": "x", "nonce": "n" * 26}, ["nonce"], "NONCE_TYPE_TOO_LONG"),
        ({"embeds": [{"title": "t" * 257}]}, ["embeds", "0", "title"], "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"description": "d" * 4097}]}, ["embeds", "0", "description"], "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"title": "t"}] * 11}, ["embeds"], "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"description": "d" * 3001}] * 2}, ["embeds"], "MAX_EMBED_SIZE_EXCEEDED"),
        (
            {"embeds": [{"fields": [{"name": "n", "value": "v" * 1025}]}]},
            ["embeds", "0", "fields", "0", "value"],
            "BASE_TYPE_MAX_LENGTH",
        ),
        ({"embeds": [{"fields": [{"name": "n", "value": "v"}] * 26}]}, ["embeds", "0", "fields"], None),
        ({"embeds": [{"footer": {"text": "f" * 2049}}]}, ["embeds", "0", "footer", "text"], "BASE_TYPE_MAX_LENGTH"),
        ({"embeds": [{"url": "ftp://x"}]}, ["embeds", "0", "url"], "URL_TYPE_INVALID_SCHEME"),
        ({"content": "x", "allowed_mentions": {"parse": ["all"]}}, ["allowed_mentions", "parse", "0"], None),
        (
            {"content": "x", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
            ["allowed_mentions"],
            "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
        ),
        ({"content": "x", "components": [{"type": 1, "components": []}]}, ["components", "0", "components"], None),
        ({"content": "x", "components": [{"type": 2}]}, ["components", "0", "type"], "BASE_TYPE_CHOICES"),
        (
            {"content": "x", "components": [{"type": 1, "components": [{"type": 2, "style": 1, "label": "x"}]}]},
            ["components", "0", "components", "0", "custom_id"],
            "COMPONENT_CUSTOM_ID_REQUIRED",
        ),
        (
            {
                "content": "x",
                "components": [
                    {"type": 1, "components": [{"type": 2, "style": 1, "label": "x", "custom_id": "a"}] * 2}
                ],
            },
            ["components", "0", "components", "1", "custom_id"],
            "COMPONENT_CUSTOM_ID_DUPLICATED",
        ),
        (
            {"content": "x", "message_reference": {"message_id": "5"}},
            ["message_reference"],
            "REPLIES_UNKNOWN_MESSAGE",
        ),
    ],
)
async def test_a_body_that_breaks_a_limit_is_told_where(raw: Raw, body: Any, path: list[str], code: str | None) -> None:
    """Code 50035 with the errors nested as the body is."""
    status, said = await raw.call("POST", SAY, body)
    errors = form_errors(said)
    for part in path:
        errors = errors[part]
    assert status == 400
    assert code is None or errors["_errors"][0]["code"] == code


async def test_two_thousand_characters_are_told_apart_from_one_more(raw: Raw) -> None:
    """2000 go, whatever planes they are from; the words of the refusal name the limit."""
    assert (await raw.call("POST", SAY, {"content": "\U0001f600" * 2000}))[0] == 200
    _, said = await raw.call("POST", SAY, {"content": "\U0001f600" * 2001})
    assert form_errors(said)["content"]["_errors"] == [
        {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}
    ]


async def test_a_body_that_is_no_json_is_refused(raw: Raw) -> None:
    """50109."""
    headers = {"Authorization": f"Bot {raw.twin.world.token}", "Content-Type": "application/json"}
    status, said = await raw.call("POST", SAY, headers=headers, data="{")
    assert (status, said["code"]) == (400, 50109)


async def test_an_enforced_nonce_makes_a_send_happen_once(raw: Raw) -> None:
    """The second answer is the first message; without enforcing, or minutes later, it is said again."""
    body = {"content": "once", "nonce": "n1", "enforce_nonce": True}
    first = (await raw.call("POST", SAY, body))[1]
    again = (await raw.call("POST", SAY, {**body, "content": "other"}))[1]
    assert (again["id"], again["content"], again["nonce"]) == (first["id"], "once", "n1")
    assert (await raw.call("POST", SAY, {"content": "x", "nonce": "n1"}))[1]["id"] != first["id"]
    raw.twin.clock.advance(600)
    assert (await raw.call("POST", SAY, body))[1]["id"] != first["id"]


async def test_mentions_notify_as_far_as_they_are_allowed(raw: Raw) -> None:
    """All by default, none with an empty list, named ones alone; never out of code, not everyone without the right."""
    text = f"<@{ANNA}> <@{BEN}> `<@{BOT}>` @everyone"

    async def mentioned(**allowed: Any) -> list[str]:
        said = (await raw.call("POST", SAY, {"content": text, **allowed}))[1]
        assert said["mention_everyone"] is False
        return [one["id"] for one in said["mentions"]]

    assert await mentioned() == [ANNA, BEN]
    assert await mentioned(allowed_mentions={"parse": []}) == []
    assert await mentioned(allowed_mentions={"users": [BEN]}) == [BEN]
    comings.permission(raw.twin.world, {"chat": GENERAL, "allow": ["MENTION_EVERYONE"]})
    assert (await raw.call("POST", SAY, {"content": "@everyone"}))[1]["mention_everyone"] is True


async def test_replies_name_what_they_answer(raw: Raw) -> None:
    """Type 19 with the message beside it; a lost one is refused, or passed over where the body allows."""
    said = verbs.type_text(raw.twin.world, {"text": "ask", "chat": GENERAL})["message_ids"][0]
    reply = (await raw.call("POST", SAY, {"content": "re", "message_reference": {"message_id": said}}))[1]
    assert (reply["type"], reply["referenced_message"]["content"]) == (19, "ask")
    assert [one["id"] for one in reply["mentions"]] == [ANNA]
    quiet = {"content": "re", "message_reference": {"message_id": said}, "allowed_mentions": {"parse": []}}
    assert (await raw.call("POST", SAY, quiet))[1]["mentions"] == []
    verbs.delete(raw.twin.world, {"message_id": said})
    assert (await raw.call("GET", f"{SAY}/{reply['id']}"))[1]["referenced_message"] is None
    lost = {"message_id": said, "fail_if_not_exists": False}
    plain = (await raw.call("POST", SAY, {"content": "re", "message_reference": lost}))[1]
    assert (plain["type"], "message_reference" in plain) == (0, False)


async def test_history_is_read_forward_backward_and_around(raw: Raw) -> None:
    """Newest first, bounded, on either side of an id."""
    world = raw.twin.world
    ids = [verbs.type_text(world, {"text": str(n), "chat": GENERAL})["message_ids"][0] for n in range(10)]

    async def read(query: str) -> list[str]:
        return [one["content"] for one in (await raw.call("GET", f"{SAY}?{query}"))[1]]

    assert await read("limit=3") == ["9", "8", "7"]
    assert await read(f"before={ids[3]}&limit=2") == ["2", "1"]
    assert await read(f"after={ids[3]}&limit=2") == ["5", "4"]
    assert await read(f"around={ids[5]}&limit=3") == ["6", "5", "4"]
    assert await read("after=0&limit=2") == ["1", "0"]
    assert len(await read("")) == 10


async def test_only_own_messages_can_be_edited(raw: Raw) -> None:
    """50005 for another's; an edit keeps what it does not name and may not leave nothing."""
    theirs = verbs.type_text(raw.twin.world, {"text": "x", "chat": GENERAL})["message_ids"][0]
    assert (await raw.call("PATCH", f"{SAY}/{theirs}", {"content": "y"}))[1]["code"] == 50005
    own = (await raw.call("POST", SAY, {"content": "a", "embeds": [{"title": "t"}]}))[1]
    edited = (await raw.call("PATCH", f"{SAY}/{own['id']}", {"content": "b"}))[1]
    assert (edited["content"], edited["embeds"][0]["title"]) == ("b", "t")
    assert edited["edited_timestamp"] is not None
    status, refused = await raw.call("PATCH", f"{SAY}/{own['id']}", {"content": "", "embeds": []})
    assert (status, refused["code"]) == (400, 50006)
    assert (await raw.call("DELETE", f"{SAY}/{own['id']}"))[0] == 204
    assert (await raw.call("DELETE", f"{SAY}/{own['id']}"))[1]["code"] == 10008


async def test_old_messages_take_few_edits(raw: Raw) -> None:
    """Edits of messages older than an hour run into 30046, with the wait, on the twin's clock."""
    own = (await raw.call("POST", SAY, {"content": "a"}))[1]["id"]
    raw.twin.clock.advance(3700)
    answers = [await raw.call("PATCH", f"{SAY}/{own}", {"content": str(n)}) for n in range(6)]
    assert [status for status, _ in answers] == [200] * 5 + [429]
    assert answers[5][1]["code"] == 30046
    assert 0 < answers[5][1]["retry_after"] <= 3600
    assert raw.headers["Retry-After"].isdigit()


async def test_several_messages_are_deleted_at_once(raw: Raw) -> None:
    """Up to a hundred, told of in one event."""
    ids = [(await raw.call("POST", SAY, {"content": str(n)}))[1]["id"] for n in range(3)]
    assert (await raw.call("POST", f"{SAY}/bulk-delete", {"messages": ids}))[0] == 204
    assert (await raw.call("GET", SAY))[1] == []
    assert raw.twin.log.read(event="message_delete_bulk")[0]["data"]["ids"] == ids


async def test_files_go_up_and_come_back_by_links_that_end(raw: Raw) -> None:
    """Multipart with its JSON part; the CDN's link is signed and good for a day."""
    form = aiohttp.FormData(quote_fields=False)
    described = [{"id": 0, "filename": "a b.txt", "description": "notes"}, {"id": 1}]
    form.add_field("payload_json", json.dumps({"content": "two", "attachments": described}))
    form.add_field("files[0]", b"first", filename="a b.txt", content_type="text/plain")
    form.add_field("files[1]", b"second", filename="b.bin")
    status, said = await raw.call("POST", SAY, data=form)
    assert status == 200
    assert [(one["filename"], one["size"]) for one in said["attachments"]] == [("a_b.txt", 5), ("b.bin", 6)]
    assert said["attachments"][0]["description"] == "notes"
    url = said["attachments"][0]["url"]
    assert url.startswith("https://cdn.discordapp.com/attachments/")
    assert all(part in url for part in ("?ex=", "&is=", "&hm="))
    assert await raw.download(url) == (200, b"first")
    assert (await raw.download(url.replace("ex=", "ex=f")))[0] == 404
    raw.twin.clock.advance(25 * 3600)
    assert (await raw.download(url))[0] == 404
    fresh = (await raw.call("GET", f"{SAY}/{said['id']}"))[1]["attachments"][0]["url"]
    assert await raw.download(fresh) == (200, b"first")
    kept = {"attachments": [{"id": said["attachments"][1]["id"]}]}
    edited = (await raw.call("PATCH", f"{SAY}/{said['id']}", kept))[1]
    assert [one["filename"] for one in edited["attachments"]] == ["b.bin"]


@pytest.mark.parametrize(
    ("sizes", "status", "code"),
    [([10 * 1024 * 1024 + 1], 400, 50045), ([9 * 1024 * 1024] * 3, 413, 40005), ([1] * 11, 400, 30015)],
)
async def test_files_over_a_limit_are_refused(raw: Raw, sizes: list[int], status: int, code: int) -> None:
    """10 MiB a file, 25 MiB a request, ten files a message."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", json.dumps({"content": "big"}))
    for number, size in enumerate(sizes):
        form.add_field(f"files[{number}]", io.BytesIO(b"x" * size), filename=f"{number}.bin")
    got, said = await raw.call("POST", SAY, data=form)
    assert (got, said["code"]) == (status, code)


async def test_without_the_content_intent_history_is_empty_too(raw: Raw) -> None:
    """The rule of the gateway holds for what is fetched."""
    verbs.type_text(raw.twin.world, {"text": "secret", "chat": GENERAL})
    comings.intents(raw.twin.world, {"on": []})
    assert [one["content"] for one in (await raw.call("GET", SAY))[1]] == [""]
