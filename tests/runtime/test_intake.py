"""Intake: from a raw update to a filed message, whatever comes and whenever the host dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from channels.channel import DeliveryFailed, Inbox, ShownKind, Undecodable
from protocol.ids import ChannelId, ChatKey, GroupId, PersonKey, PlatformMessageId
from protocol.message import InboundMessage, OutboundMessage, PendingFile, Receipt
from runtime.inbound_filing import VoiceDesk
from runtime.intake import Intake
from runtime.intake_ends import IntakeEnds
from runtime.people import pairing
from runtime.store import access_rows
from runtime.store.records import Binding, MessageState, PersonLimits, StoredMessage
from runtime.store.store import Store, open_store

MAIN = GroupId("main")
CHANNEL = ChannelId("wire")
ANNA = PersonKey("wire:anna")
CHAT = ChatKey("wire:1")
TIMEOUT_S = 20


class Wire:
    """A platform in small: updates are JSON, files are given by the test, some only when it says so."""

    channel_id = CHANNEL

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.decoded: list[str] = []
        self.fetched: list[str] = []
        self.held = asyncio.Event()
        """A file named `held` comes when this is set."""
        self.holding = asyncio.Event()

    async def run(self, inbox: Inbox) -> None:
        raise NotImplementedError

    def decode(self, raw: bytes) -> InboundMessage | None:
        if raw == b"bug":
            raise KeyError("a bug in the decoder")
        try:
            said: dict[str, Any] = json.loads(raw)
        except ValueError as error:
            raise Undecodable(f"not JSON: {error}") from error
        if not said:
            return None
        self.decoded.append(said["event"])
        names = said.get("files", [])
        return InboundMessage(
            channel_id=CHANNEL,
            event_id=said["event"],
            chat=ChatKey(said.get("chat", CHAT)),
            chat_kind=said.get("chat_kind", "direct"),
            person=PersonKey(said.get("person", ANNA)),
            sender_name="Anna",
            text=said.get("text", ""),
            sent_at="2026-01-31T09:00:00Z",
            platform_message_id=PlatformMessageId(f"p-{said['event']}"),
            pending_files=tuple(
                PendingFile(
                    reference=name,
                    name=name,
                    media_type="audio/ogg" if name.startswith("voice") else "text/plain",
                    size=said.get("size"),
                    is_voice=name.startswith("voice"),
                )
                for name in names
            ),
        )

    async def send(self, message: OutboundMessage) -> Receipt:
        raise NotImplementedError

    async def fetch(self, file: PendingFile, into: Path, max_bytes: int) -> int:
        self.fetched.append(file.reference)
        if file.reference == "held":
            self.holding.set()
            await self.held.wait()
        if file.reference == "half":
            into.write_bytes(b"half a f")
            raise DeliveryFailed("the connection broke")
        if file.reference not in self.files:
            raise DeliveryFailed("the platform does not have it")
        into.write_bytes(self.files[file.reference])
        return len(self.files[file.reference])

    async def show(self, chat: ChatKey, kind: ShownKind, text: str) -> None:
        raise NotImplementedError

    def health(self) -> str:
        return "ok"


class House:
    """An intake on a real store, and what came out of its ends."""

    def __init__(
        self,
        home: Path,
        store: Store,
        wire: Wire,
        *,
        max_in_hand: int = 100,
        fetch_timeout_s: float = TIMEOUT_S / 2,
        voices: VoiceDesk | None = None,
    ) -> None:
        self.home = home
        self.store = store
        self.wire = wire
        self.queued: list[StoredMessage] = []
        self.commands: list[StoredMessage] = []
        self.told: list[str] = []
        """What came out of the ends, in order; commands when they are carried out."""
        self.open_command = asyncio.Event()
        """Commands take until this is set."""
        self.open_command.set()
        self.outbox_wakes = 0
        self.channels: dict[ChannelId, Wire] = {CHANNEL: wire}
        self.changed = asyncio.Event()
        ends = IntakeEnds(
            queued=self._take_queued, command=self._take_command, outbox=self._take_outbox, **self.more_ends()
        )
        self.intake = Intake(
            store,
            lambda: self.channels,
            lambda: {MAIN: PersonLimits()},
            ends,
            inbox=lambda group: home / "groups" / group / "inbox",
            max_file_bytes=lambda: 1_000,
            rehearsing=lambda: [MAIN],
            fetch_timeout_s=fetch_timeout_s,
            max_in_hand=max_in_hand,
            voices=voices,
        )

    def more_ends(self) -> dict[str, Any]:
        """Return where more of intake's results go."""
        return {}

    def _take_queued(self, message: StoredMessage) -> None:
        self.queued.append(message)
        self.told.append(message.inbound.text)
        self.changed.set()

    async def _take_command(self, message: StoredMessage) -> None:
        self.commands.append(message)
        self.changed.set()
        await self.open_command.wait()
        self.told.append(message.inbound.text)
        self.changed.set()

    def _take_outbox(self) -> None:
        self.outbox_wakes += 1
        self.changed.set()

    @property
    def texts(self) -> list[str]:
        return [message.inbound.text for message in self.queued]

    async def say(self, event: str, text: str = "hi", **more: Any) -> None:
        raw = json.dumps({"event": event, "text": text, **more}).encode()
        await self.intake.accept(CHANNEL, event, raw)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def message(self, number: int = 0) -> StoredMessage:
        """Return the newest message in the store, waiting until there is one more than `number`."""
        async with asyncio.timeout(TIMEOUT_S):
            while len(found := await self.store.recent_messages(100)) <= number:
                continue
        return found[0]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as work:
            runner = work.create_task(self.intake.run())
            yield
            runner.cancel()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_store(tmp_path) as store:
        await store.save_person(ANNA, "Anna", "owner", "cli")
        for chat in (CHAT, ChatKey("wire:2")):
            await store.bind(Binding(chat=chat, chat_kind="direct", group_id=MAIN))
        yield House(tmp_path, store, Wire())


async def test_a_message_is_queued_and_told_on(house: House) -> None:
    """An accepted update becomes a queued message, and the dispatcher hears of it."""
    async with house.running():
        await house.say("1", "hello")
        await house.until(lambda: house.texts == ["hello"])
    assert await house.store.waiting_messages() == tuple(house.queued)
    assert await house.store.pending_raws([CHANNEL]) == ()


async def test_accepting_means_stored(house: House) -> None:
    """When accept returns the raw update is in the store, even if nothing files it yet."""
    await house.say("1", "hello")
    (update,) = await house.store.pending_raws([CHANNEL])
    assert json.loads(update.raw)["text"] == "hello"


async def test_an_event_is_filed_once(house: House) -> None:
    """A platform that sends an event again, at once or later, gets one message."""
    async with house.running():
        await asyncio.gather(*(house.say("1") for _ in range(10)))
        await house.until(lambda: len(house.queued) == 1)
        await house.say("1")
        await house.say("2")
        await house.until(lambda: len(house.queued) == 2)
    assert len(await house.store.recent_messages()) == 2


async def test_what_a_crash_left_is_filed_after_it_in_order(house: House) -> None:
    """Updates stored and not filed are filed at the next start, before newer ones and in their order."""
    for number in range(20):
        await house.say(str(number), str(number))
    after = House(house.home, house.store, house.wire)
    await after.say("20", "20")
    async with after.running():
        await after.say("21", "21")
        await after.until(lambda: len(after.queued) == 22)
    assert after.texts == [str(number) for number in range(22)]


async def test_chats_keep_their_order(house: House) -> None:
    """Many messages of two chats at once are filed in each chat's order."""
    async with house.running():
        for number in range(50):
            await house.say(f"a{number}", str(number))
            await house.say(f"b{number}", str(number), chat="wire:2")
        await house.until(lambda: len(house.queued) == 100)
    for chat in (CHAT, "wire:2"):
        texts = [message.inbound.text for message in house.queued if message.inbound.chat == chat]
        assert texts == [str(number) for number in range(50)]


async def test_more_than_memory_takes_is_filed_too(house: House) -> None:
    """A flood beyond the bound waits in the store and is filed in order, nothing twice."""
    house = House(house.home, house.store, house.wire, max_in_hand=4)
    async with house.running():
        await asyncio.gather(*(house.say(f"a{number:03}", f"{number:03}") for number in range(60)))
        await house.until(lambda: len(house.queued) == 60)
    assert house.texts == sorted(house.texts)
    assert await house.store.pending_raws([CHANNEL]) == ()


async def test_no_file_is_larger_than_it_may_be(house: House) -> None:
    """Whatever the platform says of its size, and its channel takes: it is not kept, and the message says so."""
    house.wire.files = {"small": b"x" * 1_000, "large": b"x" * 1_001}
    async with house.running():
        await house.say("1", "look", files=["small", "large"])
        await house.until(lambda: len(house.queued) == 1)
    (message,) = house.queued
    assert [(each.name, each.size) for each in message.inbound.attachments] == [("small", 1_000)]
    assert "The file 'large' could not be fetched: it is larger than" in message.note
    assert [path.stat().st_size for path in (house.home / "groups/main/inbox").iterdir()] == [1_000]


@pytest.mark.parametrize("raw", [b"{", b"bug", b"\xff\x00"])
async def test_what_cannot_be_decoded_blocks_nothing(house: House, raw: bytes) -> None:
    """A dead letter, or a bug in the decoder, is recorded, and the next update goes on."""
    async with house.running():
        await house.intake.accept(CHANNEL, "bad", raw)
        await house.say("2")
        await house.until(lambda: len(house.queued) == 1)
    assert (await house.store.status()).dead_letters == 1
    assert await house.store.pending_raws([CHANNEL]) == ()


async def test_a_decoders_hostile_id_is_a_dead_letter(house: House) -> None:
    """A message whose chat is not of its channel is not filed."""
    async with house.running():
        await house.say("1", chat="other:1")
        await house.say("2")
        await house.until(lambda: len(house.queued) == 1)
    assert (await house.store.status()).dead_letters == 1


async def test_an_update_that_says_nothing_is_done_with(house: House) -> None:
    """An update without a message is neither filed nor read again."""
    async with house.running():
        await house.intake.accept(CHANNEL, "nothing", b"{}")
        await house.say("2")
        await house.until(lambda: len(house.queued) == 1)
    assert await house.store.pending_raws([CHANNEL]) == ()
    assert (await house.store.status()).dead_letters == 0


async def test_updates_of_an_absent_channel_wait_for_it(house: House) -> None:
    """While a channel does not run its updates stay, and are filed when it is back."""
    house.channels.clear()
    async with house.running():
        await house.say("1")
        house.channels[CHANNEL] = house.wire
        house.intake.recover()
        await house.until(lambda: len(house.queued) == 1)


async def test_a_stranger_is_refused_with_one_reply(house: House) -> None:
    """Somebody unknown is refused and told once, with their id and a code; nothing of theirs is queued."""
    async with house.running():
        for number in range(3):
            await house.say(str(number), person="wire:eve", chat="wire:eve")
        await house.message(2)
    assert house.queued == []
    notices = [row.message for row in await house.store.claim_outbox() if row.message.chat == "wire:eve"]
    assert [("wire:eve" in notice.text, "nightyard person approve" in notice.text) for notice in notices] == [
        (True, True)
    ]
    assert {message.state for message in await house.store.recent_messages()} == {MessageState.REFUSED}


async def test_a_command_passes_the_queue_by(house: House) -> None:
    """A command word is handed over at once and is not queued; one not carried out comes again after a restart."""
    async with house.running():
        await house.say("1", "/status")
        await house.until(lambda: len(house.commands) == 1)
    after = House(house.home, house.store, house.wire)
    async with after.running():
        await after.until(lambda: len(after.commands) == 1)
    assert after.commands == house.commands
    assert house.queued == []


async def test_stop_reaches_what_came_before_it_and_nothing_else(house: House) -> None:
    """While a file is being fetched /stop is heard at once: no file is waited for, what came before is filed before it
    is carried out, what came after it afterwards."""
    house.wire.files = {"held": b"content", "other": b"content"}
    async with house.running():
        await house.say("1", "look at this", files=["held"])
        await house.say("2", "and this", files=["other"])
        await house.say("3", "/stop")
        await house.say("4", "rather this", files=["other"])
        await house.until(lambda: len(house.told) == 4)
    assert house.told == ["look at this", "and this", "/stop", "rather this"]
    assert house.wire.fetched == ["held", "other"]
    assert ["/stop came after it" in message.note for message in house.queued] == [True, True, False]
    assert [len(message.inbound.attachments) for message in house.queued] == [0, 0, 1]


async def test_status_does_not_wait_behind_a_file(house: House) -> None:
    """Other commands are heard at once too, and cut nothing short."""
    house.wire.files["held"] = b"content"
    async with house.running():
        await house.say("1", "look at this", files=["held"])
        await house.say("2", "/status")
        await house.until(lambda: len(house.commands) == 1)
        assert house.queued == []
        house.wire.held.set()
        await house.until(lambda: len(house.queued) == 1)
    assert len(house.queued[0].inbound.attachments) == 1


async def test_a_strangers_stop_stops_nothing(house: House) -> None:
    """Whoever may not speak in a chat cuts nobody's file short there."""
    house.wire.files["held"] = b"content"
    async with house.running():
        await house.say("1", "look at this", files=["held"])
        await house.say("2", "/stop", person="wire:eve")
        assert (await house.message()).state is MessageState.REFUSED
        house.wire.held.set()
        await house.until(lambda: len(house.queued) == 1)
    assert len(house.queued[0].inbound.attachments) == 1
    assert house.commands == []


async def test_stop_is_carried_out_before_its_turn_if_that_takes_long(house: House) -> None:
    """What is before it does not come to an end: what can be stopped is stopped at once, the rest in its turn."""
    house.open_command.clear()
    async with house.running():
        await house.say("1", "/new")
        await house.until(lambda: len(house.commands) == 1)
        await house.say("2", "hello")
        await house.say("3", "/stop")
        await house.until(lambda: len(house.commands) == 2)
        assert house.queued == []
        house.open_command.set()
        await house.until(lambda: len(house.told) == 4)
    assert house.told == ["/new", "/stop", "hello", "/stop"]


@pytest.mark.parametrize("word", ["/new", "/stop"])
async def test_a_command_that_a_crash_left_comes_before_what_was_said_after_it(house: House, word: str) -> None:
    """Stored and not carried out, it is carried out by the next start before the chat's next message is filed; other
    chats do not wait for it."""
    async with house.running():
        house.open_command.clear()
        await house.say("1", word)
        await house.until(lambda: len(house.commands) == 1)
    after = House(house.home, house.store, house.wire)
    after.open_command.clear()
    await after.say("2", "hello")
    async with after.running():
        await after.say("3", "beside", chat="wire:2")
        await after.until(lambda: after.told == ["beside"])
        after.open_command.set()
        await after.until(lambda: len(after.told) == 3)
    assert after.told == ["beside", word, "hello"]


async def test_pairing_makes_an_owner(house: House) -> None:
    """The code, said directly by a stranger, pairs them; their next message is queued."""
    await house.store.add_pairing_code("7K3M-9QXA", MAIN, "cli")
    async with house.running():
        await house.say("1", " 7k3m9qxa ", person="wire:bob", chat="wire:bob")
        await house.say("2", "hello", person="wire:bob", chat="wire:bob")
        await house.until(lambda: house.texts == ["hello"])
    bob = await house.store.person(PersonKey("wire:bob"))
    assert bob is not None
    assert bob.role == "owner"
    assert house.commands == []
    (notice,) = await house.store.claim_outbox()
    assert notice.message.text == pairing.paired_notice(MAIN, is_rehearsal=True)
    assert "This is a rehearsal" in notice.message.text


async def test_wrong_codes_are_answered_and_locked(house: House) -> None:
    """Wrong codes get a word, too many lock the person out."""
    await house.store.add_pairing_code("7K3M-9QXA", MAIN, "cli")
    async with house.running():
        for number in range(pairing.MAX_WRONG_PER_PERSON):
            await house.say(str(number), "0000-0000", person="wire:eve", chat="wire:eve")
        await house.say("right", "7K3M-9QXA", person="wire:eve", chat="wire:eve")
        await house.message(pairing.MAX_WRONG_PER_PERSON)
    assert await house.store.person(PersonKey("wire:eve")) is None
    message = await house.message()
    assert (message.state, message.end_reason) == (MessageState.REFUSED, "pairing code locked")


async def test_files_are_in_the_inbox_before_the_message_is_queued(house: House) -> None:
    """A file is stored under a host-made name, whatever it is called, and named in the message."""
    name = "../../x\u202etxt.TXT"
    house.wire.files[name] = b"content"
    async with house.running():
        await house.say("1", files=[name])
        await house.until(lambda: len(house.queued) == 1)
    (attachment,) = house.queued[0].inbound.attachments
    assert (attachment.name, attachment.size, house.queued[0].note) == (name, 7, "")
    inbox = house.home / "groups" / "main" / "inbox"
    assert [path.name for path in inbox.iterdir()] == [attachment.stored_name]
    assert (inbox / attachment.stored_name).read_bytes() == b"content"
    assert house.queued[0].inbound.pending_files == ()


@pytest.mark.parametrize(
    ("file", "size", "note"),
    [
        ("missing", None, "the platform does not have it"),
        ("half", None, "the connection broke"),
        ("large", 5_000_000, "larger than"),
    ],
)
async def test_a_file_that_cannot_be_had_holds_nothing_up(house: House, file: str, size: int | None, note: str) -> None:
    """The message goes on with a note, and no half file stays."""
    async with house.running():
        await house.say("1", "see", files=[file], size=size)
        await house.until(lambda: len(house.queued) == 1)
    assert note in house.queued[0].note
    assert house.queued[0].inbound.attachments == ()
    assert list((house.home / "groups" / "main" / "inbox").iterdir()) == []


async def test_a_file_that_never_comes_is_given_up(house: House) -> None:
    """A fetch that hangs ends with the timeout, and the message goes on."""
    house = House(house.home, house.store, house.wire, fetch_timeout_s=0.02)
    async with house.running():
        await house.say("1", files=["held"])
        await house.until(lambda: len(house.queued) == 1)
    assert "did not arrive within 0.02 s" in house.queued[0].note


async def test_a_strangers_files_are_not_fetched(house: House) -> None:
    """Nobody unknown can make the host download anything."""
    async with house.running():
        await house.say("1", person="wire:eve", files=["missing"])
        await house.message()
    assert house.wire.fetched == []


async def test_a_stranger_cannot_fill_the_disk(house: House) -> None:
    """Of a refused text only the beginning is kept, a little more of the last ones that wait for an owner's yes, and of
    their raw updates nothing."""
    async with house.running():
        for number in range(access_rows.MAX_WAITING_MESSAGES + 1):
            await house.say(str(number), "x" * 1_000_000, person="wire:eve")
        await house.message(access_rows.MAX_WAITING_MESSAGES)
        messages = await house.store.recent_messages(100)
    lengths = [len(message.inbound.text) for message in messages]
    assert max(lengths) < 8_100 and lengths[-1] < 1_100
    assert messages[0].inbound.text.endswith("[cut here: 992000 more characters]")
    assert await house.store.pending_raws([CHANNEL]) == ()


async def test_many_files_are_bounded(house: House) -> None:
    """Beyond the bound files are named in the note instead of fetched."""
    house.wire.files = {f"f{number}": b"x" for number in range(25)}
    async with house.running():
        await house.say("1", files=list(house.wire.files))
        await house.until(lambda: len(house.queued) == 1)
    assert len(house.queued[0].inbound.attachments) == 20
    assert "5 more files" in house.queued[0].note


async def test_a_cancelled_intake_loses_nothing(house: House) -> None:
    """Cut off in the middle of a fetch, the update is filed by the next intake, with its file."""
    house.wire.files["held"] = b"content"
    async with house.running():
        await house.say("1", files=["held"])
        async with asyncio.timeout(TIMEOUT_S):
            await house.wire.holding.wait()
    assert house.queued == []
    house.wire.held.set()
    after = House(house.home, house.store, house.wire)
    async with after.running():
        await after.until(lambda: len(after.queued) == 1)
    assert len(after.queued[0].inbound.attachments) == 1


async def test_an_enormous_text_is_cut(house: House) -> None:
    """A text beyond the cap is filed with a marker instead of its end."""
    async with house.running():
        await house.say("1", "x" * 2_000_010)
        await house.until(lambda: len(house.queued) == 1)
    assert house.queued[0].inbound.text.endswith("[cut here: 10 more characters]")
