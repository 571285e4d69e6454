"""The Telegram channel against the twin, over real sockets: what goes in, what comes out, what breaks and mends."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from channels.channel import DeliveryFailed, NotYet, Undecodable
from channels.registry import PLATFORMS, UnknownPlatform, build_channel
from channels.telegram.channel import TelegramChannel
from channels.telegram.client import check_token
from channels.telegram.download import download_file
from channels.telegram.failures import TokenRefused, Unreachable
from protocol.ids import ChannelId, ChatKey, PlatformMessageId
from protocol.message import Button, OutboundMessage, PendingFile
from tests.channels.telegram.support import CHANNEL, QUICK, Connected, KeepingInbox, Phone, decoded
from twins.telegram.world import DEFAULT_TOKEN

ADA = ChatKey("telegram:1001")
GROUP = ChatKey("telegram:-1001000000001")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def say(text: str, chat: ChatKey = ADA, key: str = "") -> OutboundMessage:
    return OutboundMessage(chat=chat, text=text, idempotency_key=key)


async def healthy(channel: TelegramChannel, phone: Phone) -> None:
    """Return when the channel says that it is well; each event of the twin is a reason to look again."""
    async with asyncio.timeout(10):
        after = 0
        while channel.health() != "ok":
            log = await phone.get("log", after=after, wait_s=0.1)
            after = log["events"][-1]["number"] if log["events"] else after


async def health_becomes(channel: TelegramChannel, words: str, phone: Phone) -> None:
    async with asyncio.timeout(10):
        while words not in channel.health():
            await phone.get("log", after=10**9, wait_s=0.02)


async def test_what_a_person_types_arrives(connected: Connected, phone: Phone, inbox: KeepingInbox) -> None:
    """A typed text is stored and decodes to who said what where."""
    async with connected() as channel:
        number = await phone.type("hello 😀")
        message = decoded(channel, (await inbox.raw(1))[0])
    assert (message.text, message.chat, message.person) == ("hello 😀", ADA, "telegram:1001")
    assert (message.sender_name, message.platform_message_id) == ("Ada Newcomer", str(number))


async def test_messages_arrive_in_their_order(connected: Connected, phone: Phone, inbox: KeepingInbox) -> None:
    """A hundred and fifty messages, more than one poll takes, are stored in the order of their coming."""
    for number in range(150):
        await phone.type(f"message {number}")
    async with connected() as channel:
        raws = await inbox.raw(150)
    assert [decoded(channel, raw).text for raw in raws] == [f"message {number}" for number in range(150)]


async def test_an_answer_is_seen_with_its_styles(connected: Connected, phone: Phone) -> None:
    """Markdown goes out as text and entities, without a parse mode and without a link preview."""
    async with connected() as channel:
        receipt = await channel.send(say("# Yes\n\n**bold** & `code` <b>"))
    (seen,) = await phone.sees()
    assert receipt.platform_message_ids == (str(seen["message_id"]),)
    assert seen["text"] == "Yes\n\nbold & code <b>"
    assert [entity["type"] for entity in seen["entities"]] == ["bold", "bold", "code"]
    (call,) = await phone.calls("sendMessage")
    assert "parse_mode" not in call["arguments"]
    assert seen["link_preview_options"] == {"is_disabled": True}


async def test_a_reply_quotes_what_it_answers(connected: Connected, phone: Phone) -> None:
    """A reply refers to the message it answers, and is sent all the same when that is gone."""
    async with connected() as channel:
        asked = await phone.type("question")
        await channel.send(OutboundMessage(chat=ADA, text="answer", reply_to=PlatformMessageId(str(asked))))
        await channel.send(OutboundMessage(chat=ADA, text="anyway", reply_to=PlatformMessageId("1")))
    answer, anyway = await phone.sees()
    assert answer["reply_to_message"]["message_id"] == asked
    assert "reply_to_message" not in anyway


async def test_a_pressed_button_arrives_and_is_answered(
    connected: Connected, phone: Phone, inbox: KeepingInbox
) -> None:
    """A press comes in as the button's value, and Telegram is told at once that it was taken."""
    async with connected() as channel:
        buttons = (Button(label="Yes", value="approve:1:é"), Button(label="No", value="deny:1"))
        await channel.send(OutboundMessage(chat=ADA, text="May I?", buttons=buttons))
        press_id = (await phone.post("press", label="Yes"))["press_id"]
        message = decoded(channel, (await inbox.raw(1))[0])
        assert (message.kind, message.text, message.person) == ("press", "approve:1:é", "telegram:1001")
        async with asyncio.timeout(5):
            while not (await phone.get("world"))["presses"][press_id]["answered"]:
                await phone.until_event("call")


async def test_a_file_of_a_hostile_name_comes_in(
    connected: Connected, phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """A person's file keeps its name as data, and is streamed to the place that the host chose."""
    content = bytes(range(256)) * 4000
    async with connected() as channel:
        await phone.upload("../../x\u202egpj.exe", content, caption="look", media_type="application/x-thing")
        message = decoded(channel, (await inbox.raw(1))[0])
        (file,) = message.pending_files
        into = tmp_path / "stored"
        assert await channel.fetch(file, into, 2 << 20) == len(content)
    assert into.read_bytes() == content
    assert (message.text, file.media_type, file.size) == ("look", "application/x-thing", len(content))
    assert file.name == "../../x\u202egpj.exe"
    assert list(tmp_path.iterdir()) == [into]


async def test_a_file_over_the_limit_leaves_nothing(
    connected: Connected, phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """A file larger than allowed is refused for good, and no part of it stays on the disk."""
    async with connected() as channel:
        await phone.upload("big", bytes(5000))
        (file,) = decoded(channel, (await inbox.raw(1))[0]).pending_files
        with pytest.raises(DeliveryFailed, match="larger") as failed:
            await channel.fetch(file, tmp_path / "stored", 4999)
    assert failed.value.permanent
    assert not list(tmp_path.iterdir())


async def test_a_file_that_grows_beyond_the_limit_is_stopped(
    phone: Phone, address: str, tmp_path: Path, inbox: KeepingInbox
) -> None:
    """What comes is counted, whatever size was told before."""
    file_id = (await phone.upload("big", bytes(600_000)))["file_id"]
    path = (await phone.call("getFile", file_id=file_id))["file_path"]
    with pytest.raises(DeliveryFailed, match=r"larger than 0\.477 MiB"):
        await download_file(
            f"{address}/file/bot{DEFAULT_TOKEN}/{path}", tmp_path / "stored", limit_bytes=500_000, timeout_s=5
        )
    assert not list(tmp_path.iterdir())


async def test_a_download_that_breaks_off_leaves_nothing(
    connected: Connected, phone: Phone, inbox: KeepingInbox, tmp_path: Path
) -> None:
    """A broken download is worth another try, leaves no file, and the next try succeeds."""
    async with connected() as channel:
        await phone.upload("x", b"content")
        (file,) = decoded(channel, (await inbox.raw(1))[0]).pending_files
        await phone.post("fault", kind="reset", method="download")
        with pytest.raises(DeliveryFailed) as failed:
            await channel.fetch(file, tmp_path / "stored", 100)
        assert not failed.value.permanent
        assert DEFAULT_TOKEN not in str(failed.value)
        assert await channel.fetch(file, tmp_path / "stored", 100) == 7


async def test_a_file_that_telegram_does_not_know_is_refused_for_good(connected: Connected, tmp_path: Path) -> None:
    """A file id from nowhere will not exist later either."""
    async with connected() as channel:
        with pytest.raises(DeliveryFailed) as failed:
            file = PendingFile(reference="nothing", name="x", media_type="x", size=None)
            await channel.fetch(file, tmp_path / "stored", 100)
    assert failed.value.permanent


@pytest.mark.parametrize(
    ("name", "shown"),
    [("../../x", "x"), ("résumé 😀\u202e\n.pdf", "résumé 😀 .pdf"), ("..", "file"), ('a"b.txt', 'a"b.txt')],
)
async def test_a_file_goes_out_under_a_safe_name(
    connected: Connected, phone: Phone, tmp_path: Path, name: str, shown: str
) -> None:
    """An agent's file arrives whole, with its caption, under the last part of its name."""
    path = tmp_path / "made-by-the-host"
    path.write_bytes(b"content" * 50_000)
    async with connected() as channel:
        await channel.send(OutboundMessage(chat=ADA, text="**here**", file_path=str(path), file_name=name))
    (seen,) = await phone.sees()
    assert seen["document"]["file_name"] == shown
    assert (seen["caption"], seen["caption_entities"][0]["type"]) == ("here", "bold")
    assert await phone.file(seen["document"]["file_id"]) == b"content" * 50_000


async def test_a_picture_goes_out_as_one_and_as_a_file_if_refused(
    connected: Connected, phone: Phone, tmp_path: Path
) -> None:
    """A picture is sent as a photo; one that Telegram cannot read is sent as a file."""
    (tmp_path / "a").write_bytes(PNG)
    (tmp_path / "b").write_bytes(b"no picture")
    async with connected() as channel:
        for name in ("a", "b"):
            await channel.send(OutboundMessage(chat=ADA, file_path=str(tmp_path / name), file_name=f"{name}.png"))
    photo, document = await phone.sees()
    assert "photo" in photo
    assert document["document"]["file_name"] == "b.png"


async def test_a_file_that_is_gone_fails_for_good(connected: Connected, tmp_path: Path) -> None:
    """A file that the host no longer has cannot be sent later either."""
    async with connected() as channel:
        with pytest.raises(DeliveryFailed, match="cannot be read") as failed:
            await channel.send(OutboundMessage(chat=ADA, file_path=str(tmp_path / "gone")))
    assert failed.value.permanent


async def test_an_update_comes_again_until_it_is_stored(
    connected: Connected, phone: Phone, inbox: KeepingInbox
) -> None:
    """A channel that dies before the update is stored has not acknowledged it: the next one gets it."""
    inbox.gate.clear()
    async with connected():
        await phone.type("do not lose me")
        await inbox.until(lambda: len(inbox.offered) == 1)
        assert (await phone.get("world"))["pending_updates"]
    assert not inbox.stored
    inbox.gate.set()
    async with connected() as channel:
        (raw,) = await inbox.raw(1)
        assert decoded(channel, raw).text == "do not lose me"
    assert len(inbox.offered) == 2
    assert inbox.offered[0] == inbox.offered[1]
    assert not (await phone.get("world"))["pending_updates"]


async def test_an_update_that_was_stored_but_not_acknowledged_has_the_same_id(
    connected: Connected, phone: Phone, inbox: KeepingInbox
) -> None:
    """A channel that dies between storing and acknowledging is given the update again, under the id it had."""
    await phone.post("fault", kind="lost_answer", method="getUpdates", count=1)
    async with connected():
        await phone.type("once")
        await inbox.raw(1)
        await phone.post("fault", kind="reset", method="getUpdates", count=-1)
    await phone.clear_faults()
    assert (await phone.get("world"))["pending_updates"]
    async with connected():
        await phone.type("twice")
        await inbox.raw(2)
    assert len(inbox.offered) >= 3
    assert len(set(inbox.offered)) == 2


async def test_a_store_that_fails_ends_the_channel(connected: Connected, phone: Phone, inbox: KeepingInbox) -> None:
    """When the host cannot store, the channel ends with the host's own error instead of going quiet."""
    inbox.refuse = RuntimeError("the disk is full")
    with pytest.raises(BaseExceptionGroup) as failed:
        async with connected():
            await phone.type("x")
            await asyncio.Event().wait()
    assert failed.group_contains(RuntimeError, match="the disk is full")


async def test_what_cannot_be_decoded_does_not_stop_what_follows(
    connected: Connected, phone: Phone, inbox: KeepingInbox
) -> None:
    """An update that neither the SDK nor we understand is stored, is named undecodable, and the next one comes."""
    async with connected() as channel:
        await phone.post("update", update={"message": {"message_id": "nine", "chat": 7, "text": "x"}})
        await phone.post("update", update={"callback_query": {"id": 5, "from": [], "message": None}})
        await phone.post("update", update={"new_kind_of_update": {"x": 1}})
        await phone.type("still here")
        first, second, third, fourth = await inbox.raw(4)
        with pytest.raises(Undecodable):
            channel.decode(first)
        assert channel.decode(second) is None
        assert channel.decode(third) is None
        assert decoded(channel, fourth).text == "still here"
        assert channel.health() == "ok"


async def test_flood_control_is_told_with_its_seconds(connected: Connected, phone: Phone) -> None:
    """A 429 is a failure with the platform's own waiting time; no call to that chat is made meanwhile, others go on."""
    async with connected() as channel:
        await phone.post("fault", kind="flood", method="sendMessage", retry_after=7)
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(say("x"))
        assert (failed.value.retry_after_s, failed.value.permanent) == (7, False)
        with pytest.raises(NotYet) as not_yet:
            await channel.send(say("too soon"))
        assert 6 < (not_yet.value.retry_after_s or 0) <= 7
        assert len(await phone.calls("sendMessage")) == 1
        await channel.send(say("elsewhere", GROUP))


@pytest.mark.parametrize("fault", [{"kind": "error", "status": 500}, {"kind": "reset"}, {"kind": "garbage"}])
async def test_a_passing_failure_may_be_tried_again(
    connected: Connected, phone: Phone, fault: dict[str, object]
) -> None:
    """A server error, a reset, an answer that is none: not permanent, and the next try succeeds."""
    async with connected() as channel:
        await phone.post("fault", method="sendMessage", **fault)
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(say("x"))
        assert not failed.value.permanent
        await channel.send(say("x"))
    assert [message["text"] for message in await phone.sees()] == ["x"]


async def test_a_blocked_bot_fails_for_good(connected: Connected, phone: Phone) -> None:
    """Who blocked the bot cannot be written to, now or later."""
    async with connected() as channel:
        await phone.post("block", chat=1001)
        with pytest.raises(DeliveryFailed, match="blocked by the user") as failed:
            await channel.send(say("x"))
        assert failed.value.permanent
        with pytest.raises(DeliveryFailed, match="hat not found") as missing:
            await channel.send(say("x", ChatKey("telegram:4711")))
        assert missing.value.permanent
        with pytest.raises(DeliveryFailed, match="names no chat"):
            await channel.send(say("x", ChatKey("discord:1")))


async def test_a_group_that_moved_is_written_to_at_its_new_place(connected: Connected, phone: Phone) -> None:
    """A group that became a supergroup gets the message under its new id."""
    async with connected() as channel:
        await phone.post("move", chat=-1001000000001, to=-1002000000002)
        await channel.send(say("found you", GROUP))
    assert [message["text"] for message in await phone.sees(-1002000000002)] == ["found you"]


async def test_a_long_answer_that_broke_off_goes_on_where_it_was(connected: Connected, phone: Phone) -> None:
    """The second try of a message in several parts does not repeat the parts that were sent."""
    text = "\n\n".join(f"part {number} " + "x" * 3500 for number in range(3))
    async with connected() as channel:
        await channel.send(say("first"))
        await phone.post("fault", kind="delay", method="sendMessage", delay_s=0)
        await phone.post("fault", kind="error", method="sendMessage")
        with pytest.raises(DeliveryFailed):
            await channel.send(say(text, key="task/1"))
        receipt = await channel.send(say(text, key="task/1"))
    seen = [message["text"][:6] for message in await phone.sees()]
    assert seen == ["first", "part 0", "part 1", "part 2"]
    assert len(receipt.platform_message_ids) == 3


async def test_a_megabyte_becomes_a_beginning_and_a_file(connected: Connected, phone: Phone) -> None:
    """An answer of 1 MB is one message and a file with every character of it."""
    text = "**A long story.** " + "word 😀 " * 130_000
    async with connected() as channel:
        await channel.send(OutboundMessage(chat=ADA, text=text))
    beginning, document = await phone.sees()
    assert beginning["text"].startswith("A long story.")
    assert document["document"]["file_name"] == "answer.md"
    assert (await phone.file(document["document"]["file_id"])).decode() == text


async def test_an_empty_message_sends_nothing(connected: Connected, phone: Phone) -> None:
    """White space is not sent, and is no failure."""
    async with connected() as channel:
        assert (await channel.send(say(" \n"))).platform_message_ids == ()
    assert not await phone.sees()


async def test_typing_is_shown_while_work_goes_on(connected: Connected, phone: Phone) -> None:
    """From `accepted` on a person sees typing; an answer ends it."""
    async with connected() as channel:
        await channel.send(say("connected"))
        await channel.show(ADA, "accepted", "")
        await channel.show(ADA, "delta", "He")
        async with asyncio.timeout(5):
            while not (await phone.get("chat"))["typing"]:
                await phone.until_event("call")
        await channel.show(ADA, "done", "")
        await channel.send(say("answer"))
        assert not (await phone.get("chat"))["typing"]
    assert len(await phone.calls("sendChatAction")) == 1


async def test_showing_is_quiet_without_a_connection(twin: tuple[object, str]) -> None:
    """Showing returns at once, and raises nothing, when there is no connection."""

    async def no_secret() -> str:
        raise ConnectionRefusedError

    channel = TelegramChannel(CHANNEL, no_secret, twin[1], QUICK)
    await channel.show(ADA, "accepted", "")
    assert channel.health() == "not connected yet"
    with pytest.raises(DeliveryFailed, match="not connected"):
        await channel.send(say("x"))


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "status": 502, "count": 2},
        {"kind": "reset", "count": 2},
        {"kind": "garbage", "count": 2},
        {"kind": "conflict", "count": 1},
        {"kind": "flood", "count": 1, "retry_after": 1},
    ],
)
async def test_receiving_goes_on_after_a_failure(
    connected: Connected, phone: Phone, inbox: KeepingInbox, fault: dict[str, object]
) -> None:
    """Polls that meet errors, resets, nonsense, another poller or flood control are repeated, and nothing is lost."""
    async with connected() as channel:
        await phone.type("before")
        await inbox.raw(1)
        await phone.post("fault", method="getUpdates", **fault)
        await phone.type("after")
        raws = await inbox.raw(2)
        assert [decoded(channel, raw).text for raw in raws] == ["before", "after"]
        await healthy(channel, phone)


async def test_another_poller_is_named(connected: Connected, phone: Phone) -> None:
    """When another program polls with the same token, health says so."""
    async with connected() as channel:
        await healthy(channel, phone)
        await phone.post("fault", kind="conflict", method="getUpdates", count=-1)
        await health_becomes(channel, "another program", phone)


async def test_a_revoked_token_is_named_and_a_new_one_taken(
    connected: Connected, phone: Phone, inbox: KeepingInbox, vault: dict[str, str]
) -> None:
    """The SDK goes silent on a refused token; the channel says so, and comes back with the vault's new token."""
    async with connected() as channel:
        await phone.type("before")
        await inbox.raw(1)
        renewed = "7000000001:" + "n" * 35
        await phone.post("token", token=renewed)
        await health_becomes(channel, "token refused", phone)
        with pytest.raises(DeliveryFailed) as failed:
            await channel.send(say("x"))
        assert not failed.value.permanent
        vault["token"] = renewed
        await phone.type("after")
        raws = await inbox.raw(2)
        assert decoded(channel, raws[1]).text == "after"
        await healthy(channel, phone)


async def test_a_vault_that_is_away_is_waited_for(
    connected: Connected, phone: Phone, inbox: KeepingInbox, vault: dict[str, str]
) -> None:
    """Without a token the channel waits, says why, and connects when the vault answers."""
    vault.clear()
    async with connected() as channel:
        await health_becomes(channel, "the credential proxy is away", phone)
        vault["token"] = DEFAULT_TOKEN
        await phone.type("hello")
        await inbox.raw(1)


async def test_a_poll_that_never_ends_is_given_up(address: str, phone: Phone, inbox: KeepingInbox) -> None:
    """When polling falls silent, the client is built anew, and what was said meanwhile arrives."""

    async def fetch_secret() -> str:
        return DEFAULT_TOKEN

    channel = TelegramChannel(CHANNEL, fetch_secret, address, replace(QUICK, poll_s=1, poll_slack_s=0.1))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(channel.run(inbox))
        await healthy(channel, phone)
        await phone.post("fault", kind="delay", method="getUpdates", delay_s=3600)
        await phone.type("not lost")
        (raw,) = await inbox.raw(1)
        assert decoded(channel, raw).text == "not lost"
        running.cancel()
    assert len(await phone.calls("getMe")) == 2


async def test_a_client_that_only_fails_is_built_anew(
    address: str, phone: Phone, inbox: KeepingInbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it has got into: polls that fail on and on have the whole client built again, its token fetched anew."""
    fetches = []

    async def fetch_secret() -> str:
        fetches.append(1)
        return DEFAULT_TOKEN

    channel = TelegramChannel(CHANNEL, fetch_secret, address, replace(QUICK, poll_s=1, unhealthy_s=0.3))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(channel.run(inbox))
        await healthy(channel, phone)
        await phone.post("fault", kind="error", method="getUpdates", count=-1)
        await phone.type("not lost")
        async with asyncio.timeout(20):
            while len(await phone.calls("getMe")) < 2:
                await phone.until_event("call")
        await phone.clear_faults()
        (raw,) = await inbox.raw(1)
        assert decoded(channel, raw).text == "not lost"
        running.cancel()
    assert len(fetches) >= 2
    assert "nothing but failures: 502" in caplog.text


async def test_the_token_is_in_no_log(
    connected: Connected, phone: Phone, inbox: KeepingInbox, vault: dict[str, str]
) -> None:
    """Whatever happens, at whatever level: no log record holds the token, tracebacks included."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        async with connected() as channel:
            await phone.type("x")
            await inbox.raw(1)
            await phone.post("fault", kind="reset", method="getUpdates", count=1)
            await phone.post("fault", kind="garbage", method="sendMessage")
            with pytest.raises(DeliveryFailed):
                await channel.send(say("x"))
            await phone.post("token", token="7000000001:" + "n" * 35)
            await health_becomes(channel, "token refused", phone)
            with pytest.raises(TokenRefused):
                await check_token(DEFAULT_TOKEN, phone.address())
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    text = "\n".join(line for line in written.getvalue().splitlines() if "/twin/" not in line)
    assert "telegram" in text
    assert DEFAULT_TOKEN.partition(":")[2] not in text


async def test_a_token_is_checked_and_the_bot_named(address: str) -> None:
    """A good token gives the bot's name, a bad one and a dead server a plain word."""
    assert await check_token(DEFAULT_TOKEN, address) == "@rehearsal_bot"
    with pytest.raises(TokenRefused, match="BotFather"):
        await check_token("1:wrong", address)
    with pytest.raises(Unreachable, match="no answer"):
        await check_token(DEFAULT_TOKEN, "http://127.0.0.1:9")


async def test_the_registry_builds_what_it_lists(address: str) -> None:
    """Each listed platform gives a channel with its name; another one is refused by name."""

    async def fetch_secret() -> str:
        return DEFAULT_TOKEN

    for platform in PLATFORMS:
        assert build_channel(ChannelId("work"), platform, fetch_secret, address).channel_id == "work"
    with pytest.raises(UnknownPlatform, match="no platform `smoke`"):
        build_channel(ChannelId("work"), "smoke", fetch_secret)


async def test_a_host_with_telegram_loads_no_command_line_library() -> None:
    """The SDK's HTTP library would load click, rich and pygments for a command line that no host has."""
    program = (
        "import sys; from channels.registry import build_channel; build_channel('telegram', 'telegram', None); "
        "print([name for name in ('click', 'rich', 'pygments') if name in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        written, _ = await process.communicate()
    assert (process.returncode, written) == (0, b"[]\n")
