"""The tool for what the agent is to remember."""

from __future__ import annotations

import pytest

from protocol.link import Answered, Ask
from protocol.record import replace
from tests.agents.conftest import Agent
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says


def test_a_note_is_written_and_read(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """By its name in the memory folder, with or without that folder's."""
    write = {"action": "write", "file": "people/anna.md", "text": "likes tulips"}
    model.will(
        calls("memory", write), calls("memory", {"action": "read", "file": "/memory/people/anna.md"}), says("ok")
    )
    agent.start(assignment("go"))
    assert host.result().text == "ok"
    assert host.outputs() == ["Wrote 12 bytes.", "likes tulips"]
    assert (agent.root / "memory/people/anna.md").read_text() == "likes tulips"


def test_who_has_other_tools_for_files_is_told_of_search_alone(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """And one that has none is told of all."""
    model.will(says("ok"))
    agent.start(assignment("go"))
    assert host.result().text == "ok"
    cards = {tool["name"]: tool["input_schema"] for tool in model.requests[0].json()["tools"]}
    assert list(cards["memory"]["properties"]) == ["query"]


def test_without_file_tools_notes_are_read_and_written_here(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """The card says so."""
    model.will(says("ok"))
    agent.start(replace(assignment("go"), without=("read_file", "shell")))
    assert host.result().text == "ok"
    cards = {tool["name"]: tool["input_schema"] for tool in model.requests[0].json()["tools"]}
    assert list(cards["memory"]["properties"]) == ["action", "query", "file", "text"]


def test_a_search_is_the_hosts(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The words go there, and what it finds is the output."""
    model.will(calls("memory", {"action": "search", "query": "tulips"}), says("ok"))
    agent.start(assignment("go"))
    asked = host.next(Ask)
    assert (asked.kind, asked.payload) == ("memory", {"query": "tulips"})
    host.send(Answered(call_id=asked.call_id, answer="Anna likes them"))
    assert host.result().text == "ok"
    assert host.outputs() == ["Anna likes them"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"action": "sing"}, "there is no action 'sing'; there are: search, read, write"),
        ({"action": "read", "file": "../../etc/passwd"}, "is no note"),
        ({"action": "write", "file": "/etc/passwd", "text": ""}, "is no note"),
        ({"action": "read", "file": "none.md"}, "No such file"),
        ({"action": "search"}, "query"),
    ],
)
def test_a_wrong_call_says_what_is_right(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, arguments: dict[str, object], words: str
) -> None:
    """And touches nothing."""
    model.will(calls("memory", arguments), says("ok"))
    agent.start(assignment("go"))
    assert host.result().text == "ok"
    assert words in host.outputs()[0]
    assert not list((agent.root / "memory").iterdir())
