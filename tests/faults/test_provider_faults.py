"""The model service fails in every way: retried where that helps, else the person reads which key or service it is and
the one command that mends it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.installation import Installation, installation
from tests.faults.house import Talk, add_key, talk, until_true, write_group
from twins.models.server import Fault, ModelTwin, serve_models

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

KEY = "sk-right"
LONG_WAIT = "3600"
WORK = {"calls": [{"tool": "shell", "arguments": {"command": "echo x"}}]}
SCRIPT = {"rules": [{"when": "^work", "turns": [WORK] * 9}, {"when": "", "turns": [{"text": "ok {said}"}]}]}

Service = tuple[Installation, ModelTwin]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def service(agent_image: str) -> AsyncIterator[Service]:
    """An installation with a route to a service that wants a key, and groups that each have something wrong."""
    async with serve_models(required_key=KEY) as (port, twin):
        routes = "".join(
            f"  {name}:\n    api: {api}\n    url: http://127.0.0.1:{port}\n    secret: {secret}\n"
            for name, api, secret in (
                ("claude", "anthropic", "right-key"),
                ("other", "openai", "right-key"),
                ("stale", "anthropic", "wrong-key"),
                ("keyless", "anthropic", "missing-key"),
            )
        )
        nowhere = "  nowhere:\n    api: anthropic\n    url: http://127.0.0.1:9\n"
        async with installation(script=SCRIPT, settings=routes + nowhere) as home:
            await add_key(home, "right-key", KEY)
            await add_key(home, "wrong-key", "sk-wrong")
            for group, model in {
                "main": "claude/echo",
                "openai": "other/echo",
                "stale": "stale/echo",
                "keyless": "keyless/echo",
                "typo": "claude/ecoh",
                "nowhere": "nowhere/echo",
                "poor": "bench/scripted",
                "short": "bench/scripted",
            }.items():
                limits = {"poor": "limits: {model_calls: 2}\n", "short": "limits: {rounds: 2}\n"}.get(group, "")
                write_group(home, group, f"model: {model}\n{limits}")
            assert await home.control.request("reload") == {"problems": []}
            yield home, twin


@pytest.fixture
def twin(service: Service) -> ModelTwin:
    service[1].faults.clear()
    service[1].log.clear()
    return service[1]


@pytest_asyncio.fixture(loop_scope="module")
async def chat(service: Service, request: pytest.FixtureRequest) -> AsyncIterator[Talk]:
    async with talk(service[0], name="providers") as opened:
        yield opened


def check_words(said: str, *named: str) -> None:
    """A failure is one line of what happened and one of what mends it, and every name in it helps."""
    print(f"\n{said}")
    assert said.startswith("⚠ ")
    assert all(name in said for name in named), (said, named)
    assert KEY not in said


@pytest.mark.parametrize("group", ["main", "openai"])
async def test_the_right_key_is_answered(service: Service, twin: ModelTwin, group: str) -> None:
    """Both APIs answer through their route, the key added by the proxy."""
    async with talk(service[0], group) as chat:
        assert "hello" in await chat.ask("hello")
    assert {entry["key"] for entry in twin.log} == {KEY}


async def test_a_refused_key_is_named(service: Service, twin: ModelTwin) -> None:
    """401: asked once, and the person reads which secret it is and how to replace it."""
    async with talk(service[0], "stale") as chat:
        check_words(await chat.ask("hello"), "route stale", "401", "`nightyard secret add wrong-key --replace`")
    assert len(twin.log) == 1


async def test_a_forbidden_key_is_named(chat: Talk, twin: ModelTwin) -> None:
    """403: the same; a key without the right to a model is mended by another key."""
    twin.faults.append(Fault(kind="status", status=403, message="your key may not use this model"))
    said = await chat.ask("hello")
    check_words(said, "route claude", "403", "may not use this model", "`nightyard secret add right-key --replace`")
    assert len(twin.log) == 1


async def test_an_unknown_model_is_named(service: Service, twin: ModelTwin) -> None:
    """404: the person reads which model is not known and in which file it is named."""
    async with talk(service[0], "typo") as chat:
        check_words(await chat.ask("hello"), "route claude", "model ecoh", "groups/typo/group.yaml", "config reload")
    assert len(twin.log) == 1


async def test_a_missing_secret_is_named(service: Service, twin: ModelTwin) -> None:
    """A key that is not in the vault: nothing goes out, and the person reads the command that adds it."""
    async with talk(service[0], "keyless") as chat:
        check_words(await chat.ask("hello"), "missing-key", "`nightyard secret add missing-key`")
    assert not twin.log


async def test_a_short_wait_is_waited(chat: Talk, twin: ModelTwin) -> None:
    """429 with a short retry-after: the person sees that it is asked again, then the answer."""
    twin.faults.append(Fault(kind="status", status=429, retry_after="1"))
    assert "hello" in await chat.ask("hello")
    assert any("429" in text and "Asking again in 1 s" in text for text in chat.read("progress"))
    assert len(twin.log) == 2
    assert twin.log[1]["arrived"] - twin.log[0]["arrived"] >= 1.0


async def test_a_long_wait_is_told(chat: Talk, twin: ModelTwin) -> None:
    """429 with an hour to wait: nobody is kept waiting without a word."""
    twin.faults.append(Fault(kind="status", status=429, retry_after=LONG_WAIT))
    check_words(await chat.ask("hello"), "route claude", "429", "60 min")
    assert len(twin.log) == 1


async def test_a_failing_service_is_asked_again(chat: Talk, twin: ModelTwin) -> None:
    """500, 529 and a reset are asked again until the answer comes."""
    twin.faults += [Fault(kind="status", status=500), Fault(kind="reset"), Fault(kind="status", status=529)]
    assert "hello" in await chat.ask("hello")
    assert len(twin.log) == 4


async def test_a_service_that_stays_away_is_told(chat: Talk, twin: ModelTwin) -> None:
    """A service that says it is out of order for long: told, with the route's name."""
    twin.faults.append(Fault(kind="status", status=503, retry_after=LONG_WAIT, message="maintenance"))
    check_words(await chat.ask("hello"), "route claude", "503", "maintenance", "nightyard ")


async def test_half_a_stream_is_asked_again(chat: Talk, twin: ModelTwin) -> None:
    """A stream that breaks off is asked again; what was shown of it is taken back, the answer comes once."""
    twin.faults.append(Fault(kind="half_stream"))
    text = "a longer sentence of which a half is shown"
    assert text in await chat.ask(text)
    assert any("broke off" in text for text in chat.read("progress"))
    assert len(twin.log) == 2


async def test_garbage_is_asked_again_and_told(chat: Talk, twin: ModelTwin) -> None:
    """What is not the API: asked again twice, then told with the route's name."""
    twin.faults.append(Fault(kind="garbage", times=9))
    check_words(await chat.ask("hello"), "route claude", "not its API", "nightyard ")
    assert len(twin.log) == 3
    twin.faults.clear()
    assert "again" in await chat.ask("again")


async def test_a_silent_service_can_be_stopped(chat: Talk, twin: ModelTwin) -> None:
    """A service that says nothing: `/stop` ends the wait at once, and the next message is answered."""
    twin.faults.append(Fault(kind="silence"))
    await chat.say("hello")
    await until_true(lambda: bool(twin.log))
    assert await chat.ask("/stop") == "Stopped."
    assert "again" in await chat.ask("again")


async def test_nobody_at_the_address_is_told(service: Service) -> None:
    """A route to an address where nobody listens: tried a few times, then told with its name."""
    async with talk(service[0], "nowhere") as chat:
        check_words(await chat.ask("hello"), "route nowhere", "127.0.0.1", "nightyard ")


async def test_the_proxys_limit_is_told(service: Service) -> None:
    """A task at its limit of model calls waits, and an owner reads which limit it is and what may be done."""
    async with talk(service[0], "poor") as chat:
        said = await chat.ask("work")
        print("\n" + said, chat.read("message"))
        assert said.startswith("⏸ ")
        card = await chat.until("message", "model calls")
        assert "2 model calls" in card.text
        await chat.say("/stop")
        await chat.until("message", "Stopped")
        assert await chat.ask("hello") == "ok hello"


async def test_the_round_limit_is_told(service: Service) -> None:
    """A task at its limit of rounds says so, and the person reads how to go on."""
    async with talk(service[0], "short") as chat:
        check_words(await chat.ask("work"), "2 rounds", "limits.rounds", "groups/short/group.yaml")


async def test_a_replaced_key_counts_at_once(service: Service, twin: ModelTwin) -> None:
    """After the command that the person read, the next message is answered without a restart."""
    async with talk(service[0], "stale") as chat:
        await add_key(service[0], "wrong-key", KEY, replace=True)
        assert "thanks" in await chat.ask("thanks")
