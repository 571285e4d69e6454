"""Money with real containers and the real proxy: budgets that run out, sums, and that nobody asks a model unasked."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from bench.installation import ROOT, Installation, installation
from client.tasks import TaskClient
from credproxy.admin_client.link import connect
from credproxy.admin_client.tokens import add_token
from protocol.ids import GroupId
from protocol.task import Limits
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
TOOLS_PORT = free_port()
DARK = f"  dark:\n    api: anthropic\n    url: http://127.0.0.1:{free_port()}\n"
"""Goes on the routes: a model's server that is not there."""
IDLE_S = 8.0
"""How long the house is watched while nobody asks anything."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def home(agent_image: str) -> AsyncIterator[Installation]:
    groups = ("main", "poor", "tight", "idle", "program", "paid", "capped", "dark", "tools")
    settings = f"{DARK}api: {{port: {API_PORT}}}\nhost_door_port: {TOOLS_PORT}\n"
    async with installation(groups=groups, script=SCRIPT, settings=settings) as running:
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
        await chat.until("message", "of today is used up, so this waits")  # the card may come before
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


async def test_a_script_learns_by_the_exit_code_how_its_task_ended(home: Installation, tmp_path: Path) -> None:
    """A task that fails, here at a limit that its own spec sets, prints its envelope and ends with 1; one that has not
    ended in time with 4. Nobody is asked about it, and no dead letter is left: trying again is the script's."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"group": "program", "input": "work", "limits": {"model_calls": 1}}))
    code, out = await run_command(home, "task", "run", str(spec))
    envelope = json.loads(out)
    assert (code, envelope["result"]["status"], envelope["result"]["code"]) == (1, "failed", "limit_calls")
    spec.write_text(json.dumps({"group": "program", "input": "slowly"}))
    code, out = await run_command(home, "task", "run", str(spec), "--timeout", "0.2")
    assert (code, json.loads(out).get("result")) == (4, None)
    waiting: Any = await home.control.request("approval_list")
    assert [each for each in waiting["waiting"] if each["task"] == envelope["task"]] == []
    letters: Any = await home.control.request("letters", {"with_ended": True})
    assert envelope["task"] not in [each["letter"] for each in letters["letters"]]


async def test_a_program_waits_with_a_card_at_a_limit_of_its_group(home: Installation) -> None:
    """Used up what its agent's tasks may, it is suspended, an owner is asked; after a yes it goes on where it was."""
    write_group(home, "capped", "limits: {model_calls: 2}\n")
    await home.control.request("reload")
    added: Any = await home.control.request("program_add", {"program": "caps", "groups": ["capped"]})
    client = TaskClient(home.home / "run" / "task.sock", token=added["token"])
    submission = (await client.submit("capped", "work")).submission
    async with asyncio.timeout(60):
        while (await client.result(submission)).state != "suspended":  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.05)

    async def card() -> str:
        waiting: Any = await home.control.request("approval_list")
        task = (await client.result(submission)).task
        return next((str(each["approval"]) for each in waiting["waiting"] if each["task"] == task), "")

    async with asyncio.timeout(30):
        while not await card():  # noqa: ASYNC110 - another process is looked at
            await asyncio.sleep(0.05)
    await home.control.request("approval_approve", {"approval": await card()})
    async with asyncio.timeout(60):
        done = await client.wait(submission)
    assert done.result is not None and done.result.text == "worked"
    assert (done.attempts, done.usage.model_calls) == (2, 4)
    steps = home.home / "groups" / "capped" / "workspace" / "steps.txt"
    assert len(steps.read_text().splitlines()) == 3


async def test_the_envelope_names_what_answered(home: Installation) -> None:
    """Asked for a model of its own, a program is told that one; where the group's model is away, the fallback that
    answered, and every model that was asked. Task and attempt are those of the host."""
    write_group(home, "dark", "model: dark/first\nfallbacks: [bench/scripted]\n")
    await home.control.request("reload")
    added: Any = await home.control.request("program_add", {"program": "night", "groups": ["dark"]})
    client = TaskClient(home.home / "run" / "task.sock", token=added["token"])
    async with asyncio.timeout(90):
        done = await client.wait((await client.submit("dark", "hello")).submission)
        chosen = await client.wait((await client.submit("dark", "hello", model_hint="bench/echo")).submission)
    assert done.result is not None and done.result.text.startswith("ok hello")
    assert (done.provider, done.model, set(done.models_used)) == ("bench", "scripted", {"first", "scripted"})
    assert (chosen.provider, chosen.model, chosen.models_used) == ("bench", "echo", ("echo",))
    assert done.attempts == 1 and done.attempt != chosen.attempt
    trace: Any = await home.control.request("trace", {"reference": done.task})
    assert [each["attempt"] for each in trace["attempts"]] == [done.attempt]
    assert done.started_at is not None and done.ended_at is not None
    assert done.submitted_at <= done.started_at <= done.ended_at


async def test_a_tool_of_the_machine_is_held_to_its_groups_budget(home: Installation) -> None:
    """What a person's task has used of the day is used for a token's bearer as well, who is refused with the limit."""
    write_group(home, "tools", "limits: {calls_per_day: 2}\n")
    await home.control.request("reload")
    async with connect(home.home / "run" / "proxy.sock") as proxy:
        token = await add_token(proxy, GroupId("tools"), for_s=600, limits=Limits(), routes=("bench",))
    async with talk(home, "tools") as chat:
        assert await chat.ask("hello") == "ok hello"

    def ask() -> tuple[int, str]:
        asked = {"model": "scripted", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
        headers = {"x-api-key": token.text, "content-type": "application/json"}
        url = f"http://127.0.0.1:{TOOLS_PORT}/m/bench/v1/messages"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode(), headers)) as answer:
                return answer.status, ""
        except urllib.error.HTTPError as error:
            return error.code, str(error.headers["x-nightyard"])

    assert await asyncio.to_thread(ask) == (200, "")
    assert await asyncio.to_thread(ask) == (402, "limit_day_calls")


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
    """Run the command as a script does, to its good end; return what it prints."""
    code, out = await run_command(home, *arguments)
    assert code == 0, out
    return out


async def run_command(home: Installation, *arguments: str) -> tuple[int | None, str]:
    """Run the command as a script does; return its exit code and what it prints."""
    code = "from cli.main import main; main()"
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments, cwd=ROOT, env=dict(home.environment), stdout=subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, _ = await made.communicate()
    return made.returncode, out.decode()
