"""Tools whose work is the host's: what the model is told of them, what is asked, and calls that a person approved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.places import Places
from agents.tools.browser import browser_tools
from agents.tools.toolbox import Toolbox
from protocol.link import AgentCard, Answered, Ask, Assignment, FileOffer, FileRefused
from protocol.record import replace
from protocol.task import ModelRoute
from protocol.tool_rules import ToolRule
from protocol.tools import BROWSER_TOOLS, TOOLS, is_without, left_out
from protocol.transcript import Entry, Step, ToolCall
from tests.agents.conftest import Agent
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says

HOST_TOOLS = {"send_message", "edit_message", "react", "ask_user", "schedule"}
PUSH = ToolCall(call_id="call_1", name="shell", arguments={"command": "touch made"})
RULE = ToolRule(rule_id="group.yaml:1", then="ask", words=("touch",))


def tools_of(model: ScriptedModel) -> dict[str, dict[str, object]]:
    return {tool["name"]: tool["input_schema"] for tool in model.requests[0].json()["tools"]}


def may_send(*names: str, without: tuple[str, ...] = ()) -> Assignment:
    return replace(assignment("go"), destinations=names, without=without)


def test_the_model_is_told_where_it_may_send(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The names of the destinations stand in the schema; without any there is no such argument."""
    model.will(says("ok"))
    agent.start(may_send("team", "news"))
    assert host.result().text == "ok"
    for name in ("send_message", "send_file", "schedule"):
        assert "team, news; default: this chat" in json.dumps(tools_of(model)[name])


def test_without_destinations_there_is_one_place(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """And the model is not told of another."""
    model.will(says("ok"))
    agent.start(may_send())
    assert host.result().text == "ok"
    assert tools_of(model).keys() >= HOST_TOOLS
    assert not any('"to"' in json.dumps(tools_of(model)[name]) for name in ("send_message", "send_file", "schedule"))


def test_a_tool_that_is_left_out_is_not_there(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Its card is not, and a call of it is an error that names those that are."""
    model.will(calls("react", {"message": "m1", "emoji": "👍"}), says("ok"))
    agent.start(may_send(without=("react", "shell")))
    assert host.result().text == "ok"
    assert tools_of(model).keys().isdisjoint({"react", "shell"})
    assert "there is no tool 'react'; there are: read_file" in host.outputs()[0]


@pytest.mark.parametrize(
    ("tool", "kind", "arguments"),
    [
        ("send_message", "send", {"text": "hi", "to": "team"}),
        ("edit_message", "edit", {"message": "s1", "text": "ho"}),
        ("react", "react", {"message": "m1", "emoji": "👍"}),
        ("schedule", "schedule", {"action": "list"}),
    ],
)
def test_the_hosts_word_is_the_output(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tool: str, kind: str, arguments: dict[str, object]
) -> None:
    """The arguments go there as they are (what is null is left out), and a refusal is the call's error."""
    model.will(calls(tool, {**arguments, "extra": None}), says("ok"))
    agent.start(may_send("team"))
    asked = host.next(Ask)
    assert (asked.kind, asked.payload) == (kind, arguments)
    host.send(Answered(call_id=asked.call_id, answer="not today", is_error=True))
    assert host.result().text == "ok"
    (output,) = [step.output for step in host.steps() if step.output is not None]
    assert (output.text, output.is_error) == ("not today", True)


def test_a_person_is_asked(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """With the options and the time; the answer is the output."""
    arguments = {"question": " Which? ", "options": ["Blue", "Green"], "timeout_minutes": 5}
    model.will(calls("ask_user", arguments), says("ok"))
    agent.start(may_send())
    asked = host.next(Ask)
    assert (asked.kind, asked.text, asked.options, asked.timeout_s) == ("question", "Which?", ("Blue", "Green"), 300.0)
    host.send(Answered(call_id=asked.call_id, answer="Blue"))
    assert host.result().text == "ok"
    assert host.outputs() == ["Blue"]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("ask_user", {"question": "  "}, "a question has 1 to 4000 characters"),
        ("ask_user", {"question": "x" * 4_001}, "a question has 1 to 4000 characters"),
        ("ask_user", {"question": "x", "options": "yes"}, "must be a list of texts"),
        ("ask_user", {"question": "x", "options": ["a"] * 11}, "at most 10 options"),
        ("ask_user", {"question": "x", "options": ["a", "A "]}, "two options are the same"),
        ("ask_user", {"question": "x", "options": ["a" * 61]}, "of 1 to 60 characters"),
        ("send_message", {"text": "x" * 100_001}, "more than 100000 characters"),
        ("send_file", {"path": "/workspace/a", "to": "nobody"}, "no destination 'nobody' that you may send to"),
    ],
)
def test_a_call_out_of_form_asks_nobody(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, tool: str, arguments: dict[str, object], words: str
) -> None:
    """The model reads what is wrong, and nothing leaves the container."""
    model.will(calls(tool, arguments), says("ok"))
    agent.start(may_send("team"))
    assert host.result().text == "ok"
    assert words in host.outputs()[0]
    assert host.all(Ask) == [] and host.all(FileOffer) == []


def test_a_file_that_the_host_does_not_take_is_an_error(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Also when it has come whole: the host knows best where files may go."""
    host.takes_files = False
    (agent.root / "workspace/a.txt").write_text("hello")
    model.will(calls("send_file", {"path": "a.txt", "to": "team"}), says("ok"))
    agent.start(may_send("team"))
    offer = host.next(FileOffer)
    assert offer.to == "team"
    host.send(FileRefused(call_id=offer.call_id, reason="team is not there any more"))
    assert host.result().text == "ok"
    assert "was not sent: team is not there any more" in host.outputs()[0]


def pending(*calls_of_turn: ToolCall, approved: tuple[str, ...] = ()) -> Assignment:
    """Return an assignment of a second attempt: the first one's turn called these, and the first was begun."""
    steps = (
        Step(index=0, kind="model_turn", entry=Entry(role="assistant", calls=calls_of_turn)),
        Step(index=1, kind="tool_started", call=calls_of_turn[0]),
    )
    return replace(assignment("touch it", steps=steps), constraints=(RULE,), approved=approved)


def test_a_call_that_was_approved_meanwhile_is_made(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Nobody is asked again, and what it gives is its output; the calls after it come as ever."""
    after = ToolCall(call_id="call_2", name="shell", arguments={"command": "echo after"})
    model.will(says("done"))
    agent.start(pending(PUSH, after, approved=("call_1",)))
    assert host.result().text == "done"
    assert (agent.root / "workspace/made").exists()
    assert host.all(Ask) == []
    assert host.outputs() == ["(no output)", "after\n"]
    assert [(step.index, step.kind) for step in host.steps()][:3] == [
        (2, "tool_finished"),
        (3, "tool_started"),
        (4, "tool_finished"),
    ]


def test_a_call_that_was_not_approved_may_have_happened(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """It is not made by itself."""
    model.will(says("done"))
    agent.start(pending(PUSH))
    assert host.result().text == "done"
    assert not (agent.root / "workspace/made").exists()
    assert "may have happened" in host.outputs()[0]


def test_every_tool_has_its_name_in_the_list() -> None:
    """A group's settings choose by it (`protocol/tools.py`)."""
    nothing: dict[str, Any] = {**dict.fromkeys(("link", "interrupt", "refusals")), "search": "brave"}
    model = ModelRoute(route="r", api="openai", model="m", sees=("image",), patches=True)
    card = AgentCard(name="b", description="")
    for without in ((), ("shell",)):  # a shell makes some others needless
        toolbox = Toolbox(  # cards need none of that
            **nothing, places=Places(), skill_names=frozenset({"a"}), delegates=(card,), model=model, without=without
        )
        assert {each.name for each in toolbox.cards()} <= set(TOOLS)
    browser = browser_tools(Places(), "", sees=True)  # which an image must have, for the toolbox to offer it
    assert {each.card.name for each in browser} == set(BROWSER_TOOLS)
    assert toolbox.offer_packages()  # once a command has found something missing
    assert {each.name for each in toolbox.cards()} | set(BROWSER_TOOLS) == set(TOOLS) - {"shell"}


def test_a_choice_of_tools_names_them_or_leaves_them_out() -> None:
    """Named: those alone; with a `-`: all others."""
    assert left_out(()) == ()
    assert left_out(("-shell", "-react")) == ("shell", "react")
    assert set(left_out(("shell", "read_file"))) == set(TOOLS) - {"shell", "read_file"} | {"mcp__*"}


@pytest.mark.parametrize(
    ("chosen", "there", "not_there"),
    [
        ((), ("shell", "mcp__a__b"), ()),
        (("shell",), ("shell",), ("mcp__a__b", "react")),
        (("shell", "mcp__a__*", "mcp__b__c"), ("mcp__a__b", "mcp__b__c"), ("mcp__b__d", "react")),
        (
            ("-shell", "-mcp__a__b", "-mcp__c*"),
            ("mcp__a__bb", "react"),
            ("shell", "mcp__a__b", "mcp__c__d", "mcp__cc__d"),
        ),
    ],
)
def test_a_choice_may_name_tools_of_servers(
    chosen: tuple[str, ...], there: tuple[str, ...], not_there: tuple[str, ...]
) -> None:
    """Each, or how they begin; where others are named they are left out like all that is not named."""
    without = left_out(chosen)
    assert not any(is_without(tool, without) for tool in there)
    assert all(is_without(tool, without) for tool in not_there)
