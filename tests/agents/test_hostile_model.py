"""Calls that make no sense, in each API's own way of saying them: the model reads what was wrong, and nothing runs."""

from __future__ import annotations

from typing import Any

from protocol.record import replace
from protocol.task import ModelRoute, TaskStatus
from tests.agents.conftest import Agent, Api
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.twin_socket import TwinAtSocket

MB = 1_000_000
ODD = [
    ("shell", "[1]", "must be a JSON object"),
    ("shell", '"echo"', "must be a JSON object"),
    ("shell", '{"command": "ec', "not valid JSON"),
    ("shell", '{"command": "\\ud800"}', "surrogate"),
    ("shell", '{"command": NaN}', "not valid JSON"),
    ("shell", '{"command": ' + "[" * 50 + "]" * 50 + "}", "nested too deeply"),
    ("shell", '{"command": ["echo", "x"]}', "must be text"),
    ("shell", '{"comand": "echo"}', "'command' is missing"),
    ("write_file", '{"path": {"a": 1}, "content": ""}', "must be text"),
    ("send_file", '{"path": "../run/yard/host.sock"}', "outside"),
    ("launch_missiles", "{}", "there is no tool 'launch_missiles'"),
    ("../../bin/sh", "{}", "there is no tool"),
    ("\x1b]0;owned\x07\x1b[2Jshell", "{}", "there is no tool"),
    ("", "{}", "there is no tool 'unnamed'"),
    ("ask_user", '{"question": "' + "?" * 5_000 + '"}', "characters"),
    ("ask_user", '{"question": "Which?", "options": "all"}', "list of texts"),
]


def start(agent: Agent, api: Api) -> None:
    route = ModelRoute(route="main", api=api, model="scripted")
    agent.start(replace(assignment("go on"), model=route))


def lost(tool: str, raw: str) -> dict[str, Any]:
    return {"tool": tool, "raw": raw}


def test_calls_of_every_wrong_shape(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """Each is answered with what is wrong with it; what goes to the service next is still the API's."""
    calls = [lost(tool, raw) for tool, raw, _ in ODD]
    twin.script({"calls": calls}, {"text": "I was wrong."})
    start(agent, api)
    result = host.result()
    assert (result.status, result.text) == (TaskStatus.REPLY, "I was wrong.")
    outputs = [step.output for step in host.steps() if step.output is not None]
    assert len(outputs) == len(ODD)
    for (_, _, problem), output in zip(ODD, outputs, strict=True):
        assert output.is_error and problem in output.text
        assert "\x1b" not in output.text
    assert not list((agent.root / "workspace").iterdir())
    assert len(twin.bodies) == 2


def test_ten_megabytes_of_arguments(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """They are counted and not kept. The Responses API says a call once more in one piece: that is more than any event
    has, and the person reads so; the others' model is told to send less."""
    raw = '{"command": "' + "x" * (10 * MB) + '"}'
    twin.script({"calls": [lost("shell", raw)]}, {"text": "Less, then."})
    start(agent, api)
    result = host.result()
    if api == "responses":
        assert (result.status, result.code) == (TaskStatus.FAILED, "model_misbehaved")
        assert "an event without end" in result.reason
        return
    assert (result.status, result.text) == (TaskStatus.REPLY, "Less, then.")
    (output,) = [step.output for step in host.steps() if step.output is not None]
    assert output.is_error and "Send less at once" in output.text
    assert len(str(twin.bodies[1])) < 100_000


def test_more_calls_than_anybody_needs(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """Two hundred calls in one turn are no turn; the person reads it in a plain sentence."""
    twin.script({"calls": [lost("shell", '{"command": "echo x >> log"}')] * 200})
    start(agent, api)
    result = host.result()
    assert (result.status, result.code) == (TaskStatus.FAILED, "model_misbehaved")
    assert "more than 32 tool calls at once" in result.reason
    assert not (agent.root / "workspace/log").exists()
