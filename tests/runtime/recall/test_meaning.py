"""Searches by meaning: through the real proxy to a service for embeddings, at the cost of the task that searches."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp

import pytest

from credproxy.admin_client.link import ProxyAdmin, connect
from protocol.codec import Json
from protocol.ids import ChatKey, GroupId, PersonKey, TaskId
from protocol.task import Purse
from protocol.transcript import ToolCall
from runtime.approvals.records import Taint, TaintSource
from runtime.config import parse_settings
from runtime.group import Group
from runtime.group_reading import build_group
from runtime.home import Home
from runtime.money.payers import Payer
from runtime.recall.meaning import Meaning
from runtime.recall.room import Recall
from runtime.store import taint_rows
from runtime.store.records import Binding
from tests.credproxy.process import ProxyProcess
from tests.runtime.host_bench import MAIN, FreeMoney, HostBench, Script, ScriptedAgent, open_bench
from twins.models.server import Fault, ModelTwin, serve_models

CALL = ToolCall(call_id="call_1", name="memory", arguments={})
CHATS = {"ada": "stage:1", "bob": "stage:2"}
KEY = "sk-the-key-of-the-service"


class Purses(FreeMoney):
    """Tasks pay from one purse of so many calls."""

    def __init__(self) -> None:
        self.calls = 100

    def purses_of(self, group: Group, submitter: str, payer: Payer | None = None) -> tuple[Purse, ...]:
        return (Purse(name=f"group:{group.group_id}", model_calls=self.calls),)


@dataclass(slots=True)
class Library:
    """A group that is searched by meaning, with all that stands behind it."""

    bench: HostBench
    twin: ModelTwin
    proxy: ProxyProcess
    admin: ProxyAdmin
    money: Purses = field(default_factory=Purses)

    async def talk(self, name: str, text: str, script: Script | None = None) -> str:
        """Say something in somebody's direct chat and return the answer."""
        before = len(self.bench.channel.sent)
        if script is not None:
            self.bench.room.scripts = [script]
        await self.bench.hear(text, chat=CHATS[name], person=f"stage:{name}")
        answer = (await self.bench.channel.texts(before + 1))[before]
        await self.bench.idle()
        return answer

    async def find(self, name: str, query: str) -> str:
        return await self.talk(name, "find", looking_for(query))

    @property
    def last_task(self) -> TaskId:
        return self.bench.room.assignments[-1].task.task_id

    @property
    def asked(self) -> list[int]:
        """How many texts each question to the service had."""
        return [entry["texts"] for entry in self.twin.log]


def looking_for(query: str) -> Script:
    async def script(agent: ScriptedAgent) -> None:
        payload: Json = {"query": query, "limit": 3}
        await agent.turn(0, "", CALL)
        await agent.tool_started(1, CALL)
        answered = await agent.ask("memory", call=CALL, payload=payload)
        await agent.tool_finished(2, CALL, answered.answer)
        await agent.answer(3, answered.answer)

    return script


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Sockets have short paths."""
    folder = Path(mkdtemp(prefix="ny-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def library(tmp_path: Path, short_folder: Path) -> AsyncIterator[Library]:
    proxy = ProxyProcess(short_folder)
    async with serve_models(required_key=KEY) as (port, twin):
        settings = f"routes:\n  local: {{api: openai, url: 'http://127.0.0.1:{port}', secret: service}}\n"
        (proxy.fork / "nightyard.yaml").write_text(settings)
        with proxy.started():
            groups = {"main": "embeddings: local/small\nmodel: local/m\n"}
            async with (
                connect(proxy.admin_path) as admin,
                open_bench(tmp_path, settings=settings, groups=groups) as bench,
            ):
                await admin.secret_add("service", KEY, "key")
                library = Library(bench, twin, proxy, admin)
                bench.rooms["memory"] = recall_of(library).asked
                for name in CHATS:
                    await bench.store.save_person(PersonKey(f"stage:{name}"), name, "member", "cli")
                    chat = ChatKey(CHATS[name])
                    await bench.store.bind(Binding(chat=chat, chat_kind="direct", group_id=MAIN, added_by="cli"))
                async with bench.host():
                    yield library


def recall_of(library: Library) -> Recall:
    bench = library.bench

    async def taint_of(task_id: TaskId) -> Taint:
        return await bench.store.read(taint_rows.taint_of, task_id)

    async def mark(task_id: TaskId, source: TaintSource, origin: str) -> None:
        await bench.store.write(taint_rows.mark, task_id, source, origin)

    meaning = Meaning(
        Home(library.proxy.home),
        library.admin,
        library.money,
        groups=lambda: bench.around.groups,
        routes=lambda: bench.around.settings.settings.routes,
    )
    return Recall(bench.home, bench.store, taint_of=taint_of, mark=mark, meaning=meaning)


async def test_what_shares_no_word_is_found(library: Library) -> None:
    """And only what who asks may see; the next search asks for nothing that is known. The task pays for it."""
    await library.talk("ada", "my automobile is parked at the station")
    await library.talk("bob", "the automobile of Bob is blue")
    found = await library.find("ada", "car")
    assert "station" in found
    assert "Bob" not in found
    assert library.asked == [3]
    (use,) = await library.admin.usage(task_id=library.last_task)
    assert (use.group_id, use.model, use.usage.model_calls) == (MAIN, "small", 1)
    assert use.usage.input_tokens > 0
    await library.find("ada", "car")
    assert library.asked == [3, 2], "the question, and what the first search had said"


async def test_words_count_too(library: Library) -> None:
    """What both ways find comes first."""
    await library.talk("ada", "a puppy sleeps")
    await library.talk("ada", "the dog of the neighbour barks")
    await library.talk("ada", "nothing of the kind")
    found = await library.find("ada", "dog")
    assert found.index("neighbour") < found.index("puppy")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(kind="status", status=500), "local/small refused (500)"),
        (Fault(kind="garbage"), "local/small answered oddly"),
        (Fault(kind="reset"), "local/small refused (502)"),
    ],
)
async def test_a_service_that_fails_leaves_the_words(library: Library, fault: Fault, said: str) -> None:
    """The search is answered, and says that it went by words alone; the next one asks again."""
    await library.talk("ada", "my automobile is parked at the station")
    library.twin.faults.append(replace(fault))
    found = await library.find("ada", "station")
    assert "parked" in found
    assert f"[searched by words alone: {said}" in found
    assert "parked" in await library.find("ada", "car")


async def test_no_money_is_no_meaning(library: Library) -> None:
    """A purse that is empty refuses the question like any other model call; nothing leaves the machine."""
    library.money.calls = 0
    await library.talk("ada", "my automobile is parked at the station")
    assert "[searched by words alone: local/small refused (402)]" in await library.find("ada", "station")
    assert library.asked == []


async def test_a_proxy_that_is_away_leaves_the_words(library: Library) -> None:
    """As does one that dies."""
    await library.talk("ada", "my automobile is parked at the station")
    library.proxy.end(signal.SIGKILL)
    found = await library.find("ada", "station")
    assert "parked" in found
    assert "[searched by words alone: local/small cannot be reached" in found


async def test_owners_search_by_words(library: Library) -> None:
    """Nobody's task pays for theirs."""
    await library.talk("ada", "my automobile is parked at the station")
    assert await recall_of(library).for_owner(MAIN, "car") == []
    assert len(await recall_of(library).for_owner(MAIN, "station")) == 1
    assert library.asked == []


async def test_the_door_is_gone_after_it(library: Library) -> None:
    """Nothing is left that could be asked without a task."""
    await library.find("ada", "car")
    assert (await library.admin.health()).doors == ()
    assert not (library.proxy.home / "run" / "m" / "recall.sock").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("embeddings: small", "should be ROUTE/MODEL-NAME"),
        ("embeddings: nowhere/small", "names the route 'nowhere'"),
        ("embeddings: claude/small", "the route 'claude' has the api anthropic, which has no embeddings"),
    ],
)
def test_a_model_that_cannot_embed_is_a_fault_of_the_group(text: str, said: str) -> None:
    """Named before anybody searches."""
    settings = parse_settings("routes: {claude: {api: anthropic, url: 'https://x.example'}}").settings
    _, problems = build_group(GroupId("main"), f"model: claude/m\n{text}\n", "", settings)
    assert said in "\n".join(map(str, problems))
