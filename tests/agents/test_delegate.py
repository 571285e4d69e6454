"""The tool that asks another agent: files first, then the question, whose answer is its output."""

from __future__ import annotations

import pytest

from protocol.link import AgentCard, Answered, Ask, Assignment, FileOffer
from protocol.record import replace
from tests.agents.conftest import Agent
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.scripted_model import ScriptedModel, calls, says

CARDS = (AgentCard(name="side", description="knows the books"), AgentCard(name="third", description=""))


def may_ask(cards: tuple[AgentCard, ...] = CARDS) -> Assignment:
    return replace(assignment("ask around"), delegates=cards)


def test_only_who_may_ask_has_the_tool(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Without anybody named there is no such tool, and the model is not told of one."""
    model.will(says("Nobody."))
    agent.start(may_ask(()))
    assert host.result().text == "Nobody."
    assert "delegate" not in {tool["name"] for tool in model.requests[0].json()["tools"]}


def test_the_model_is_told_whom_it_may_ask(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The tool names the agents with what they are for."""
    model.will(says("Fine."))
    agent.start(may_ask())
    assert host.result().text == "Fine."
    (card,) = [tool for tool in model.requests[0].json()["tools"] if tool["name"] == "delegate"]
    assert card["description"].endswith("Agents: side: knows the books; third")
    assert card["input_schema"]["properties"]["files"]["items"] == {"type": "string"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"agent": "fourth", "prompt": "x"}, "there is no agent 'fourth' that you may ask; there are: side, third"),
        ({"agent": "side"}, "the argument 'prompt' is missing"),
        ({"agent": "side", "prompt": "x", "files": "a.txt"}, "the argument 'files' must be a list of paths"),
        ({"agent": "side", "prompt": "x", "files": ["a"] * 11}, "at most 10 files"),
        ({"agent": "side", "prompt": "x", "files": ["/workspace/none"]}, "none"),
    ],
)
def test_a_call_that_cannot_be_made_asks_nobody(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, arguments: dict[str, object], words: str
) -> None:
    """A wrong name, shape or path is told to the model, and nothing leaves the container."""
    model.will(calls("delegate", arguments), says("I see."))
    agent.start(may_ask())
    assert host.result().text == "I see."
    assert words in str(model.requests[1].json()["messages"][-1]["content"])
    assert host.all(FileOffer) == []


def test_files_go_first_and_the_answer_is_the_output(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The file is at the host, meant for an agent, before the question; what comes back is what the model reads."""
    (agent.root / "workspace/books.csv").write_text("1,2\n")
    arguments = {"agent": "side", "prompt": "Add these up", "files": ["books.csv"], "show": True}
    model.will(calls("delegate", arguments), says("It is 3."))
    agent.start(may_ask())
    question = host.next(Ask)
    (offer,) = host.all(FileOffer)
    assert (offer.name, offer.is_for_agent) == ("books.csv", True)
    assert question.kind == "delegate"
    assert question.payload == {"to": "side", "prompt": "Add these up", "files": [offer.call_id], "deliver": True}
    host.send(Answered(call_id=question.call_id, answer="side answers:\n\n3"))
    assert host.result().text == "It is 3."
    assert "side answers:" in str(model.requests[1].json()["messages"][-1]["content"])


def test_a_refusal_is_an_error_that_the_model_reads(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """What the host refuses comes back as the tool's error."""
    model.will(calls("delegate", {"agent": "side", "prompt": "x"}), says("Then not."))
    agent.start(may_ask())
    host.send(Answered(call_id=host.next(Ask).call_id, answer="that would go round in a circle.", is_error=True))
    assert host.result().text == "Then not."
    assert "go round in a circle" in str(model.requests[1].json()["messages"][-1]["content"])
