"""Money with real containers and the real proxy: budgets that run out, sums, and that nobody asks a model unasked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
import pytest_asyncio

from bench.installation import ROOT, Installation, installation
from client.tasks import TaskClient
from tests.faults.house import talk, until_true, write_group

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="module")]

TOOL = {"calls": [{"tool": "shell", "arguments": {"command": "date >> steps.txt"}}]}
SCRIPT = {
    "rules": [
        {"when": "^work", "turns": [TOOL, TOOL, TOOL, {"text": "worked"}]},
        {"when": "^slowly", "turns": [{"text": "word " * 40, "pace_s": 0.05}]},
        {"when": "", "turns": [{"text": "ok {said}"}]},
    ]
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


API_PORT = free_port()
IDLE_S = 8.0
"""How long the house is watched while nobody asks anything."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home(agent_image: str) -> AsyncIterator[Installation]:
    groups = ("main", "poor", "tight", "idle", "program", "paid")
    async with installation(groups=groups, script=SCRIPT, settings=f"api: {{port: {API_PORT}}}\n") as running:
        prices = "scripted: {input: 100.0, output: 100.0}\n"
        (running.fork / "prices.yaml").write_text(prices, "utf-8")
        await running.control.request("reload")
        yield running


def model_calls(home: Installation) -> int:
    return len(home.twin("GET", "/twin/log"))


async def usage(home: Installation, **more: object) -> dict[str, Any]:
    return cast(dict[str, Any], await home.control.request("usage", {"days": 1, **more}))


async def budget_state(home: Installation, name: str) -> str:
    return next(str(each["state"]) for each in (await usage(home))["budgets"] if each["budget"] == name)


async def until_budget(home: Installation, name: str, state: str) -> None:
    async with asyncio.timeout(30):
        while await budget_state(home, name) != state:  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.05)


async def test_a_task_in_the_middle_waits_and_goes_on_where_it_was(home: Installation) -> None:
    """Its day used up between two calls, a task is suspended; raised, it goes on from its last step."""
    write_group(home, "poor", "limits: {calls_per_day: 2}\n")
    await home.control.request("reload")
    async with talk(home, "poor") as chat:
        await chat.say("work")
        await chat.until("message", "of today is used up")
        await until_budget(home, "group:poor", "asked")
        steps = home.home / "groups" / "poor" / "workspace" / "steps.txt"
        assert len(steps.read_text().splitlines()) == 2
        await home.control.request("budget", {"budget": "poor", "word": "raise"})
        await chat.until("message", "worked")
        assert len(steps.read_text().splitlines()) == 3
        await until_budget(home, "group:poor", "asked")  # 4 of 4 calls are used up again


async def test_messages_wait_for_money_and_are_answered_then(home: Installation) -> None:
    """A group that may spend nothing more keeps its messages; a higher limit in the file lets them go on."""
    write_group(home, "tight", "limits: {calls_per_day: 1}\n")
    await home.control.request("reload")
    async with talk(home, "tight") as chat:
        assert await chat.ask("one") == "ok one"
        await until_budget(home, "group:tight", "asked")
        await chat.say("two")
        await chat.until("message", "used up")
        write_group(home, "tight", "limits: {calls_per_day: 100}\nfooter: true\n")
        await home.control.request("reload")
        answer = (await chat.until("message", "ok two")).text
        assert "1 model call" in answer and "$" in answer


async def test_sums_are_what_the_provider_counted(home: Installation) -> None:
    """By group, by model, by task: the same calls that the model's server has seen, with a known price."""
    async with talk(home, "paid") as chat:
        for number in range(3):
            assert await chat.ask(f"hello {number}") == f"ok hello {number}"
    seen = model_calls(home)

    async def told() -> int:
        return sum(row["model_calls"] for row in (await usage(home))["rows"])

    async with asyncio.timeout(20):
        while await told() < seen:  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.05)
    for by in ("group", "model", "task", "person", "day"):
        answer = await usage(home, by=by)
        assert sum(row["model_calls"] for row in answer["rows"]) == seen == model_calls(home), by
        assert sum(row["calls_without_price"] for row in answer["rows"]) == 0
        assert all(row["cost_usd"] > 0 for row in answer["rows"] if row["key"])


async def test_nobody_asks_a_model_unasked(home: Installation) -> None:
    """Spares wait, groups are held back, a schedule that would be due is paused, the host is restarted: no call."""
    async with talk(home, "idle") as chat:
        assert await chat.ask("hello") == "ok hello"
    made: Any = await home.control.request("schedule_add", {"when": "every 1m", "text": "hello", "group": "idle"})
    await home.control.request("schedule_pause", {"schedule": made["schedule"]})
    seen = model_calls(home)
    host = home.processes()["host"]
    os.kill(host, signal.SIGKILL)
    await until_true(lambda: home.processes().get("host", 0) not in (0, host))
    await asyncio.sleep(IDLE_S)
    assert model_calls(home) == seen


async def test_programs_and_scripts_are_served(home: Installation) -> None:
    """`send`, `task run` and task.sock reach a real agent; the envelope names model and cost."""
    answer = await nightyard(home, "send", "program", "hello")
    assert answer == "ok hello\n"
    spec = home.fork / "spec.json"
    spec.write_text(json.dumps({"group": "program", "input": "from a file", "idempotency_key": "k"}))
    envelope = json.loads(await nightyard(home, "task", "run", str(spec)))
    assert envelope["result"]["text"] == "ok from a file" and envelope["usage"]["cost_usd"] > 0
    again = json.loads(await nightyard(home, "task", "run", str(spec)))
    assert again["submission"] == envelope["submission"]
    added: Any = await home.control.request("program_add", {"program": "pipes", "groups": ["program"]})
    client = TaskClient(home.home / "run" / "task.sock", token=added["token"])
    done = await client.wait((await client.submit("program", "over the socket")).submission)
    assert done.result is not None and done.result.text == "ok over the socket"
    assert done.models_used == ("scripted",) and done.usage.model_calls == 1
    assert "program" in await nightyard(home, "usage", "--by", "group")
    assert "ok hello" not in await nightyard(home, "task", "list")


async def test_the_openai_endpoint_reaches_an_agent(home: Installation) -> None:
    """A streamed answer grows as the model writes it, and ends with the whole."""
    added: Any = await home.control.request("program_add", {"program": "desk", "groups": ["program"], "attended": True})
    asked = {"model": "program", "stream": True, "messages": [{"role": "user", "content": "slowly"}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{API_PORT}/v1/chat/completions",
        json.dumps(asked).encode(),
        {"Authorization": f"Bearer {added['token']}"},
    )

    def read() -> list[str]:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [line.decode()[6:].strip() for line in answer if line.startswith(b"data: ")]

    *events, last = await asyncio.to_thread(read)
    deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
    assert last == "[DONE]" and "".join(deltas).split() == ["word"] * 40
    assert len([delta for delta in deltas if delta]) > 1


async def nightyard(home: Installation, *arguments: str) -> str:
    """Run the command as a script does; return what it prints."""
    code = "from cli.main import main; main()"
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, cwd=ROOT, env=dict(home.environment), stdout=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, _ = await made.communicate()
    assert made.returncode == 0, out.decode()
    return out.decode()
