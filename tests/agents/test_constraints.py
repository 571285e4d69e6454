"""Calls that a constraint names, in the agent's real program: asked before, made after a yes, never made otherwise."""

from __future__ import annotations

import hashlib

import pytest

from protocol.codec import Json
from protocol.link import AgentCard, Answered, Ask
from protocol.record import replace
from protocol.task import TaskStatus
from protocol.tool_rules import ToolRule
from tests.agents.conftest import Agent
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says

ASK = ToolRule(rule_id="group.yaml:1", then="ask", words=("touch",))
NEVER = ToolRule(rule_id="group.yaml:2", then="deny", words=("touch",))


def begin(agent: Agent, model: ScriptedModel, rule: ToolRule) -> None:
    model.will(calls("shell", {"command": "touch made"}), says("ok"))
    agent.start(replace(assignment("touch it"), constraints=(rule,)))


def test_yes_lets_the_call_run(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The host is asked with the tool and its exact arguments, before anything is done."""
    begin(agent, model, ASK)
    asked = host.next(Ask)
    assert (asked.kind, asked.payload) == (
        "approval",
        {"tool": "shell", "arguments": {"command": "touch made"}},
    )
    assert not (agent.root / "workspace/made").exists()
    host.send(Answered(call_id=asked.call_id, answer="approved: go on"))
    assert host.result().status is TaskStatus.REPLY
    assert [step.output.is_error for step in host.steps() if step.output is not None] == [False]


@pytest.mark.parametrize(
    "answer",
    [
        Answered(call_id="", answer="A person said no.", is_error=True),
        Answered(call_id="", answer="approved", is_error=True),
        Answered(call_id="", answer="perhaps"),
    ],
)
def test_all_but_a_yes_is_a_no(agent: Agent, host: ScriptedHost, model: ScriptedModel, answer: Answered) -> None:
    """The call is not made, and the model reads the answer as the call's error."""
    begin(agent, model, ASK)
    asked = host.next(Ask)
    host.send(replace(answer, call_id=asked.call_id))
    assert host.result().status is TaskStatus.REPLY
    (output,) = [step.output for step in host.steps() if step.output is not None]
    assert (output.text, output.is_error) == (answer.answer, True)
    assert not (agent.root / "workspace/made").exists()


def test_a_file_is_asked_about_with_its_size_and_its_digest(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """A person says yes to bytes, not to a name; of a file that is not there nothing is said, and it is not sent."""
    (agent.root / "workspace").mkdir(exist_ok=True)
    (agent.root / "workspace/a.txt").write_bytes(b"hello")
    rule = ToolRule(rule_id="group.yaml:1", then="ask", tool="send_file")
    model.will(calls("send_file", {"path": "a.txt"}, "a"), calls("send_file", {"path": "b.txt"}, "b"), says("ok"))
    agent.start(replace(assignment("send them"), constraints=(rule,)))
    asked = host.next(Ask)
    file: Json = {"bytes": 5, "sha256": hashlib.sha256(b"hello").hexdigest()}
    assert asked.payload == {"tool": "send_file", "arguments": {"path": "a.txt"}, "file": file}
    host.send(Answered(call_id=asked.call_id, answer="no", is_error=True))
    asked = host.next(Ask)
    assert asked.payload == {"tool": "send_file", "arguments": {"path": "b.txt"}}
    host.send(Answered(call_id=asked.call_id, answer="approved: go on"))
    assert host.result().status is TaskStatus.REPLY
    assert "b.txt" in host.outputs()[-1]


def test_several_files_are_asked_about_by_their_bytes(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """In the order in which they go."""
    (agent.root / "workspace").mkdir(exist_ok=True)
    (agent.root / "workspace/a.txt").write_bytes(b"hello")
    rule = ToolRule(rule_id="group.yaml:1", then="ask", tool="send_file")
    arguments: Json = {"paths": ["none.txt", "a.txt"]}
    model.will(calls("send_file", arguments, "a"), says("ok"))
    agent.start(replace(assignment("send them"), constraints=(rule,)))
    asked = host.next(Ask)
    file: Json = {"bytes": 5, "sha256": hashlib.sha256(b"hello").hexdigest()}
    assert asked.payload == {"tool": "send_file", "arguments": arguments, "files": [{}, file]}
    host.send(Answered(call_id=asked.call_id, answer="no", is_error=True))
    assert host.result().status is TaskStatus.REPLY


def test_files_for_another_agent_are_asked_about_by_their_bytes(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """One after the other as the call names them; what cannot be read says nothing."""
    (agent.root / "workspace").mkdir(exist_ok=True)
    (agent.root / "workspace/a.txt").write_bytes(b"hello")
    rule = ToolRule(rule_id="group.yaml:1", then="ask", tool="delegate")
    arguments: Json = {"agent": "side", "prompt": "x", "files": ["none.txt", "a.txt", 7]}
    model.will(calls("delegate", arguments, "a"), says("ok"))
    cards = (AgentCard(name="side", description=""),)
    agent.start(replace(assignment("ask around"), constraints=(rule,), delegates=cards))
    asked = host.next(Ask)
    file: Json = {"bytes": 5, "sha256": hashlib.sha256(b"hello").hexdigest()}
    assert asked.payload == {"tool": "delegate", "arguments": arguments, "files": [{}, file, {}]}
    host.send(Answered(call_id=asked.call_id, answer="no", is_error=True))
    assert host.result().status is TaskStatus.REPLY


def test_what_is_ruled_out_is_not_even_asked(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The model is told so at once."""
    begin(agent, model, NEVER)
    assert host.result().status is TaskStatus.REPLY
    assert host.all(Ask) == []
    assert "rules this call out" in host.outputs()[0]


def test_other_calls_are_made_as_ever(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A constraint is about what it names."""
    model.will(calls("shell", {"command": "echo hello"}), says("ok"))
    agent.start(replace(assignment("say it"), constraints=(ASK, NEVER)))
    assert host.result().status is TaskStatus.REPLY
    assert host.all(Ask) == []
    assert "hello" in host.outputs()[0]
