"""Files in the Slack twin: uploads as the official SDK does them, downloads with a token, what people send."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from tests.twins.slack_workspace import WAIT_S, Workspace, served_workspace
from twins.slack.seed import ANNA, DIRECT, GENERAL, RANDOM
from twins.slack.tokens import BOT_TOKEN
from twins.slack.world import BOT_USER_ID


@pytest.fixture
async def workspace() -> AsyncIterator[Workspace]:
    async with served_workspace() as workspace:
        yield workspace


async def test_the_sdk_uploads_several_files_as_one_message(workspace: Workspace) -> None:
    """Three steps: an address for each, the bytes, then one message with a comment, in a thread."""
    root = await workspace.person("type", text="send them", chat=GENERAL)
    files = [{"content": b"one", "filename": "a.txt"}, {"content": b"\x89PNG", "filename": "b.png", "title": "B"}]
    uploaded = await workspace.bot.files_upload_v2(
        file_uploads=files, channel=GENERAL, initial_comment="here", thread_ts=root["message_id"]
    )
    assert [file["title"] for file in uploaded["files"]] == ["a.txt", "B"]
    last = (await workspace.chat(GENERAL))[-1]
    assert (last["text"], last["thread"], last["is_bot"]) == ("here", root["message_id"], True)
    assert [file["name"] for file in last["files"]] == ["a.txt", "b.png"]
    async with workspace.http.get(f"{workspace.address}/twin/file", params={"id": last["files"][1]["id"]}) as answer:
        assert (await answer.read(), answer.content_type) == (b"\x89PNG", "image/png")


async def test_what_a_person_uploads_comes_as_file_share(workspace: Workspace) -> None:
    """One message with all files, a voice clip marked as such, and file_shared for each."""
    content = base64.b64encode(b"hello").decode()
    async with workspace.listening() as arrived, asyncio.timeout(WAIT_S):
        await workspace.person(
            "upload", files=[{"name": n, "content": content} for n in ("a.pdf", "b.txt")], caption="two"
        )
        await workspace.person("upload", name="voice.m4a", content=content, kind="voice")
        events = [(await arrived.get()).payload["event"] for _ in range(5)]
    shared = [event for event in events if event["type"] == "message"]
    assert [event["subtype"] for event in shared] == ["file_share", "file_share"]
    assert ([file["mimetype"] for file in shared[0]["files"]], shared[0]["text"]) == (
        ["application/pdf", "text/plain"],
        "two",
    )
    assert shared[1]["files"][0]["subtype"] == "slack_audio"
    assert sum(event["type"] == "file_shared" for event in events) == 3
    address = shared[0]["files"][1]["url_private_download"]
    async with workspace.http.get(address, headers={"Authorization": f"Bearer {BOT_TOKEN}"}) as answer:
        assert (answer.status, await answer.read()) == (200, b"hello")


@pytest.mark.parametrize("header", ["", "Bearer xoxb-wrong"])
async def test_without_a_token_a_page_is_downloaded(workspace: Workspace, header: str) -> None:
    """An HTML page with 200: a client that does not look takes it for the file."""
    sent = await workspace.person("upload", name="a.txt", content=base64.b64encode(b"secret").decode())
    file = (await workspace.bot.files_info(file=sent["file_ids"][0]))["file"]
    async with workspace.http.get(file["url_private"], headers={"Authorization": header}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert b"secret" not in await answer.read()


async def test_uploads_that_are_refused(workspace: Workspace) -> None:
    """No length, another size than announced, unknown files, a channel without the bot."""
    assert await workspace.error("files.getUploadURLExternal", filename="a", length=0) == "missing_argument"
    assert await workspace.error("files.completeUploadExternal", files=[{"id": "F404"}]) == "file_not_found"
    place = await workspace.bot.files_getUploadURLExternal(filename="a", length=3)
    async with workspace.http.post(place["upload_url"], data=b"four") as answer:
        assert answer.status == 400
    assert await workspace.error("files.completeUploadExternal", files=[{"id": place["file_id"]}]) == "file_not_found"
    async with workspace.http.post(place["upload_url"], data=b"abc") as answer:
        assert (answer.status, await answer.text()) == (200, "OK - 3")
    files = [{"id": place["file_id"]}]
    assert await workspace.error("files.completeUploadExternal", files=files, channel_id=RANDOM) == "not_in_channel"


async def test_a_deleted_file_leaves_a_tombstone(workspace: Workspace) -> None:
    """Its own only; the message stays and says that something was there."""
    uploaded = await workspace.bot.files_upload_v2(content="x", filename="a.txt", channel=GENERAL)
    file_id = uploaded["files"][0]["id"]
    assert uploaded["files"][0]["user"] == BOT_USER_ID
    assert [file["id"] for file in (await workspace.bot.files_list())["files"]] == [file_id]
    await workspace.bot.files_delete(file=file_id)
    assert (await workspace.chat(GENERAL))[-1]["raw"]["files"] == [{"id": file_id, "mode": "tombstone"}]
    assert await workspace.error("files.info", file=file_id) == "file_not_found"
    sent = await workspace.person("upload", name="a.txt", content="eA==")
    assert await workspace.error("files.delete", file=sent["file_ids"][0]) == "cant_delete_file"


async def test_transfers_break_on_demand(workspace: Workspace) -> None:
    """Faults of `upload` and `download` hit those and no method."""
    sent = await workspace.person("upload", name="a.txt", content="eA==")
    file = (await workspace.bot.files_info(file=sent["file_ids"][0]))["file"]
    await workspace.person("fault", kind="error", method="download", status=503)
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    async with workspace.http.get(file["url_private"], headers=headers) as answer:
        assert answer.status == 503
    async with workspace.http.get(file["url_private"], headers=headers) as answer:
        assert await answer.read() == b"x"
    await workspace.person("fault", kind="error", method="upload", status=500)
    place = await workspace.bot.files_getUploadURLExternal(filename="a", length=1)
    async with workspace.http.post(place["upload_url"], data=b"x") as answer:
        assert answer.status == 500
    assert (ANNA, file["ims"]) == (file["user"], [DIRECT[ANNA]])
