"""Voice notes: through the real proxy to a service for transcriptions, and into the message that an agent reads."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest

from credproxy.admin_client.audit import read_model_use
from credproxy.admin_client.link import ProxyAdmin, connect
from protocol.ids import ChatKey
from protocol.task import Purse
from runtime.config import parse_settings
from runtime.envelope import build_envelope
from runtime.group import Group, Groups
from runtime.group_reading import build_group
from runtime.home import Home
from runtime.money.payers import Payer
from runtime.schedules.zones import zone_of
from runtime.store.records import Binding, StoredMessage
from runtime.store.store import open_store
from runtime.voice.transcriber import AT_ONCE, MAX_BYTES, MAX_NOTES, Transcriber
from tests.credproxy.process import ProxyProcess
from tests.runtime.host_bench import FreeMoney
from tests.runtime.test_intake import ANNA, CHAT, MAIN, House, Wire
from twins.models.server import Fault, ModelTwin, serve_models

KEY = "sk-the-key-of-the-service"


class Purses(FreeMoney):
    """Tasks pay from one purse of so many calls."""

    def __init__(self) -> None:
        self.calls = 100
        self.asked: list[str] = []

    def purses_of(self, group: Group, submitter: str, payer: Payer | None = None) -> tuple[Purse, ...]:
        self.asked.append(submitter)
        return (Purse(name=f"group:{group.group_id}", model_calls=self.calls),)


@dataclass(slots=True)
class Studio:
    """A house whose agents have voice notes transcribed, with all that stands behind it."""

    house: House
    wire: Wire
    twin: ModelTwin
    admin: ProxyAdmin
    money: Purses

    async def hear(self, event: str, *files: str, text: str = "") -> StoredMessage:
        """Send voice notes; return the message that waits for the agent."""
        before = len(self.house.queued)
        await self.house.say(event, text, files=list(files))
        await self.house.until(lambda: len(self.house.queued) > before)
        return self.house.queued[-1]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Sockets have short paths."""
    folder = Path(mkdtemp(prefix="ny-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def studio(tmp_path: Path, short_folder: Path) -> AsyncIterator[Studio]:
    proxy, money, wire = ProxyProcess(short_folder), Purses(), Wire()
    async with serve_models(required_key=KEY) as (port, twin):
        text = f"routes:\n  local: {{api: openai, url: 'http://127.0.0.1:{port}', secret: service}}\n"
        (proxy.fork / "nightyard.yaml").write_text(text)
        settings = parse_settings(text).settings
        of_group = "model: local/m\ntranscription: local/whisper-1\n"
        group, problems = build_group(MAIN, of_group, "Be kind.", settings)
        assert not problems
        with proxy.started():
            async with connect(proxy.admin_path) as admin, open_store(tmp_path) as store:
                await admin.secret_add("service", KEY, "key")
                await store.save_person(ANNA, "Anna", "owner", "cli")
                await store.bind(Binding(chat=CHAT, chat_kind="direct", group_id=MAIN))
                await store.bind(
                    Binding(chat=ChatKey("wire:yard"), chat_kind="many", group_id=MAIN, when="mention", rest="context")
                )
                voices = Transcriber(
                    Home(proxy.home),
                    admin,
                    money,
                    groups=lambda: Groups(ready={MAIN: group}, suspended={}),
                    routes=lambda: settings.routes,
                    timeout_s=5.0,
                )
                house = House(tmp_path, store, wire, voices=voices)
                async with house.running():
                    yield Studio(house, wire, twin, admin, money)


async def test_a_voice_note_is_read_as_what_it_says(studio: Studio) -> None:
    """Marked as a transcript and by whom, behind what was typed with it; the recording stays with the message; the key
    is the proxy's, the use is the group's."""
    studio.wire.files["voice.oga"] = b"OggSbuy milk, please"
    message = await studio.hear("1", "voice.oga", text="for today")
    assert message.inbound.text == "for today\n\n[voice note, transcribed by local/whisper-1]\nbuy milk, please"
    (attachment,) = message.inbound.attachments
    assert (studio.house.home / "groups/main/inbox" / attachment.stored_name).read_bytes().startswith(b"OggS")
    assert message.note == ""
    ((seen,)) = studio.twin.log
    assert (seen["model"], seen["key"], seen["file"]) == ("whisper-1", KEY, "voice.ogg")
    assert studio.money.asked == [f"person:{ANNA}"]
    shown = build_envelope([message], [], {ANNA: "owner"}, zone_of("UTC")).text
    assert "buy milk, please" in shown and f'path="/inbox/{attachment.stored_name}"' in shown
    async with asyncio.timeout(10):
        while not (rows := await read_model_use(studio.admin)):
            continue
    (row,) = rows
    assert (row.group, row.model, row.model_calls) == (MAIN, "whisper-1", 1)
    assert 0 < row.input_tokens < 100


async def test_several_notes_and_files_of_a_message(studio: Studio) -> None:
    """Each note under its own mark, in order; a file that is none is only a file."""
    studio.wire.files |= {"voice1": b"one", "notes.txt": b"two", "voice3": b"three"}
    message = await studio.hear("1", "voice1", "notes.txt", "voice3")
    marks = "[voice note, transcribed by local/whisper-1]"
    assert message.inbound.text == f"{marks}\none\n\n{marks}\nthree"
    assert len(message.inbound.attachments) == 3


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(kind="status", status=500), "local/whisper-1 refused (500)"),
        (Fault(kind="reset"), "refused (502)"),
        (Fault(kind="garbage"), "answered oddly: it is no JSON"),
        (Fault(kind="silence"), "did not answer within 5 s"),
    ],
)
async def test_what_cannot_be_transcribed_stays_a_file(studio: Studio, fault: Fault, words: str) -> None:
    """The message goes on with a note that says why, and the next one is transcribed."""
    studio.wire.files["voice"] = b"hello"
    studio.twin.faults.append(fault)
    message = await studio.hear("1", "voice")
    assert message.inbound.text == ""
    assert words in message.note
    assert len(message.inbound.attachments) == 1
    assert "hello" in (await studio.hear("2", "voice")).inbound.text


async def test_nothing_is_sent_beyond_a_purse(studio: Studio) -> None:
    """The proxy refuses, as it does for an agent."""
    studio.wire.files["voice"] = b"hello"
    studio.money.calls = 0
    message = await studio.hear("1", "voice")
    assert "could not be transcribed" in message.note
    assert list(studio.twin.log) == []


async def test_only_what_is_meant_for_the_agent_is_sent(studio: Studio) -> None:
    """A note that people send each other in a chat is kept as a file."""
    studio.wire.files["voice"] = b"gossip"
    await studio.house.say("1", "", files=["voice"], chat="wire:yard", chat_kind="many")
    message = await studio.house.message(0)
    assert (message.state, message.inbound.text) == ("context", "")
    assert list(studio.twin.log) == []


async def test_many_notes_at_once_hold_nobody_up(studio: Studio) -> None:
    """More chats than there are doors: all are heard, and a slow one is waited for by itself."""
    studio.wire.files["voice"] = b"hello"
    for number in range(2 * AT_ONCE):
        await studio.house.store.bind(Binding(chat=ChatKey(f"wire:c{number}"), chat_kind="direct", group_id=MAIN))
    studio.twin.faults.append(Fault(kind="silence"))
    for number in range(2 * AT_ONCE):
        await studio.house.say(str(number), "", files=["voice"], chat=f"wire:c{number}")
    await studio.house.until(lambda: len(studio.house.queued) == 2 * AT_ONCE)
    assert sum("hello" in text for text in studio.house.texts) == 2 * AT_ONCE - 1
    assert studio.house.texts[-1] == ""


async def test_a_stop_cuts_a_long_transcription_off(studio: Studio) -> None:
    """What was said before it is stopped at once, without its words."""
    studio.wire.files["voice"] = b"hello"
    studio.twin.faults.append(Fault(kind="silence"))
    await studio.house.say("1", "", files=["voice"])
    async with asyncio.timeout(5):
        while not studio.twin.log:
            await studio.house.store.recent_messages(1)
    await studio.house.say("2", "/stop")
    await studio.house.until(lambda: len(studio.house.queued) == 1 and len(studio.house.commands) == 1)
    assert "not transcribed: /stop came after it" in studio.house.queued[0].note


async def test_too_much_is_not_sent(studio: Studio) -> None:
    """More notes than a message may have, and one that no service takes, are named."""
    studio.wire.files |= {f"voice{number}": b"x" for number in range(MAX_NOTES + 1)}
    message = await studio.hear("1", *studio.wire.files)
    assert message.inbound.text.count("[voice note") == MAX_NOTES
    assert "1 more voice notes were not" in message.note
    assert MAX_BYTES == 25_000_000
