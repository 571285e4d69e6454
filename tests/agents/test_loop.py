"""The agent's real program from the task to the last word, against a scripted host and a scripted model."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from agents.conversation import MAY_HAVE_HAPPENED
from protocol.link import (
    AgentCard,
    Answered,
    Ask,
    Delta,
    FileOffer,
    Finished,
    Progress,
    SkillCard,
    Steer,
    SteerMessage,
    StepTaken,
)
from protocol.record import replace
from protocol.task import Limits, TaskStatus
from protocol.tools import BROWSER_TOOLS
from protocol.transcript import Entry, Step, ToolCall, ToolOutput
from tests.agents.conftest import Agent
from tests.agents.scripted_host import STOP, ScriptedHost, assignment
from tests.agents.scripted_model import (
    CHUNKED,
    Line,
    ScriptedModel,
    call_events,
    calls,
    chunked,
    closing,
    data,
    error,
    event,
    head,
    opening,
    says,
    stream,
    text_events,
)


def test_answer_streams_to_the_host_and_ends_as_a_reply(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Words reach the host as they come; the turn is stored with its usage, and the reply is the whole text."""
    model.will(says("Hello", " there"))
    agent.start(assignment("hi"))
    result = host.result()
    assert (result.status, result.text) == (TaskStatus.REPLY, "Hello there")
    assert "".join(frame.text for frame in host.all(Delta)) == "Hello there"
    (step,) = host.steps()
    assert step.usage is not None and (step.usage.input_tokens, step.usage.output_tokens) == (10, 5)
    assert agent.exit_code() == 0
    (request,) = model.requests
    assert request.path == "/m/main/v1/messages"
    assert "x-api-key" not in request.headers and "authorization" not in request.headers


def test_words_are_shown_before_the_answer_is_over(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A delta reaches the host while the model is still talking."""

    seen = threading.Event()

    def slowly(line: Line) -> None:
        line.send(head(200, CHUNKED) + chunked(opening() + text_events("first"), end=False))
        seen.wait(20)
        line.send(chunked(text_events(" second", index=1) + closing()))

    model.will(slowly)
    agent.start(assignment())
    assert host.next(Delta).text == "first"
    seen.set()
    assert host.result().text == "first second"


def test_tool_call_runs_between_stored_steps(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Turn, tool's start and tool's end are stored in this order; the model sees the output and answers."""
    model.will(calls("shell", {"command": "echo made > made.txt; cat made.txt"}), says("Done."))
    agent.start(assignment("make a file"))
    assert host.result().text == "Done."
    assert [step.kind for step in host.steps()] == ["model_turn", "tool_started", "tool_finished", "model_turn"]
    assert [step.index for step in host.steps()] == [0, 1, 2, 3]
    assert (agent.root / "workspace/made.txt").read_text() == "made\n"
    assert [frame.tool for frame in host.all(Progress)] == ["shell"]
    answer = model.requests[1].json()["messages"][-1]["content"][0]
    assert (answer["type"], answer["tool_use_id"], answer["content"]) == ("tool_result", "toolu_1", "made\n")


def test_tool_does_not_run_before_its_start_is_stored(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Without the host's ack of the start nothing happens; with it the tool runs."""
    host.acks_only_first = True
    model.will(calls("shell", {"command": "touch ran"}), says("ok"))
    agent.start(assignment())
    while host.next(StepTaken).step.kind != "tool_started":
        pass
    while host.next_beat().doing != "loop":
        pass
    assert {host.next_beat().doing for _ in range(4)} == {"loop"}
    assert not (agent.root / "workspace/ran").exists()
    host.acks_only_first = False
    host.hang_up()
    assert host.result().text == "ok"
    assert (agent.root / "workspace/ran").exists()


def test_finished_follows_the_last_step_without_waiting(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The last word is sent right behind the last step, so that a slow store costs one wait and not two."""
    host.acks = False
    model.will(says("bye"))
    agent.start(assignment())
    assert (host.next(StepTaken).seq, host.next(Finished).seq) == (1, 2)


@pytest.mark.parametrize("api", ["anthropic", "openai"])
def test_hi_costs_less_than_five_kilobytes(agent: Agent, host: ScriptedHost, model: ScriptedModel, api: str) -> None:
    """The request for "hi", tools and a system prompt of 1.5 kB included, is under 5 kB."""
    done = stream(data({"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}), b"data: [DONE]\n\n")
    model.will(done if api == "openai" else says("hi"))
    given = assignment("hi", api=api, instructions="You are kind. " * 107)
    agent.start(replace(given, without=("web_fetch", *BROWSER_TOOLS)))  # as in a group without grants
    assert host.result().text == "hi"
    assert len(model.requests[0].body) < 5000


def test_openai_conversation_with_a_tool(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Chat completions: fragments of a call are joined, its output goes back as a tool message."""
    first = {"index": 0, "id": "call_abc", "function": {"name": "shell", "arguments": '{"comm'}}
    rest = {"index": 0, "function": {"arguments": 'and": "echo 42"}'}}
    model.will(
        stream(
            data({"choices": [{"delta": {"role": "assistant", "content": None, "tool_calls": [first]}}]}),
            data({"choices": [{"delta": {"tool_calls": [rest]}}]}),
            data({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}),
            data({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
            b"data: [DONE]\n\n",
        ),
        stream(data({"choices": [{"delta": {"content": "42"}, "finish_reason": "stop"}]}), b"data: [DONE]\n\n"),
    )
    agent.start(assignment(api="openai"))
    assert host.result().text == "42"
    assert model.requests[0].path == "/m/main/v1/chat/completions"
    usage = host.steps()[0].usage
    assert usage is not None and (usage.input_tokens, usage.output_tokens) == (7, 3)
    assert model.requests[1].json()["messages"][-1] == {"role": "tool", "tool_call_id": "call_abc", "content": "42\n"}


# -- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code", "word"),
    [
        (error(401, "invalid x-api-key"), "model_refused_key", "invalid x-api-key"),
        (error(403, "no"), "model_refused_key", "route main"),
        (error(404, "model: some-model"), "model_unknown", "some-model"),
        (error(400, "tools: bad"), "model_rejected_request", "tools: bad"),
        (error(400, "prompt is too long: 9 > 8"), "conversation_too_long", "/new"),
        (error(402, "Limit reached", headers={"x-nightyard": "limit_reached"}), "limit_reached", "Limit reached"),
        (error(403, "Denied", headers={"x-nightyard": "denied"}), "denied", "Denied"),
        (error(424, "No secret KEY", headers={"x-nightyard": "secret_missing"}), "secret_missing", "No secret KEY"),
        (error(503, "All is frozen", headers={"x-nightyard": "frozen"}), "frozen", "All is frozen"),
        (error(400, "x", headers={"x-nightyard": "A;b\x7f"}), "proxy_refused", "x"),
        (error(429, "slow", headers={"retry-after": "3600"}), "model_rate_limited", "slow"),
        (stream(event({"type": "error", "error": {"type": "authentication_error", "message": "bad key"}})),
         "model_refused_key", "bad key"),
        (stream(opening(), closing("refusal")), "model_refused", "declined"),
        (stream(opening(), closing("max_tokens")), "model_length", "limit"),
    ],
)  # fmt: skip
def test_failure_that_waiting_does_not_mend_is_told_at_once(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, reply: bytes, code: str, word: str
) -> None:
    """The task fails with a code of its own and a reason that names what failed, after one request."""
    model.will(reply)
    agent.start(assignment())
    result = host.result()
    assert (result.status, result.code) == (TaskStatus.FAILED, code)
    assert word in result.reason
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        error(429, headers={"retry-after": "0"}),
        error(500),
        error(529),
        error(502, headers={"x-nightyard": "upstream_unreachable"}),
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        head(200, CHUNKED),
        head(200, CHUNKED) + b"zz\r\n",
        b"what is this\r\n\r\n",
        stream(opening(), text_events("half a"), end=False),
        stream(opening(), text_events("half a")),
        stream(opening(), text_events("half a"), event({"type": "error", "error": {"type": "overloaded_error"}})),
        stream(opening(), b"data: {not json\n\n"),
        stream(b"data: [1,2]\n\n"),
        head(200, {"content-type": "text/html"}) + b"<html>",
        lambda line: line.wait_closed(),
        lambda line: (line.send(head(200, CHUNKED) + chunked(opening(), end=False)), line.wait_closed()),
    ],
)
def test_failure_that_may_pass_is_retried(agent: Agent, host: ScriptedHost, model: ScriptedModel, reply: bytes) -> None:
    """A second request is made, the person is told so, and nothing of the broken answer is in the reply."""
    model.will(reply, says("whole"))
    agent.start(assignment())
    assert host.result().text == "whole"
    assert len(model.requests) == 2
    (progress,) = [frame for frame in host.all(Progress) if frame.kind == "retry"]
    was_shown = any(frame.text == "half a" for frame in host.all(Delta))
    assert ("is dropped" in progress.text) == was_shown


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (error(429), "model_rate_limited"),
        (error(500), "model_unavailable"),
        (stream(opening(), end=False), "model_stream_broken"),
        (lambda line: line.wait_closed(), "model_silent"),
        (b"nonsense\r\n\r\n", "model_misbehaved"),
        (error(502, "dial: refused", headers={"x-nightyard": "upstream_unreachable"}), "upstream_unreachable"),
    ],
)
def test_retries_end(agent: Agent, host: ScriptedHost, model: ScriptedModel, reply: bytes, code: str) -> None:
    """A service that does not recover fails the task with its code, within the budget of waiting."""
    model.will(reply)
    agent.start(assignment())
    result = host.result()
    assert (result.status, result.code) == (TaskStatus.FAILED, code)
    assert len(model.requests) > 1


def test_proxy_that_restarts_is_waited_for(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Without its proxy the agent tries again until it is back."""
    model.will(says("back"))
    model.vanish()
    agent.start(assignment())
    assert "proxy" in host.next(Progress).text
    model.listen()
    assert host.result().text == "back"


def test_empty_answer_is_nothing_to_say(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """An answer without words and calls ends the task as nothing_to_say."""
    model.will(says("  \n"))
    agent.start(assignment())
    assert host.result().status is TaskStatus.NOTHING_TO_SAY


def test_cut_answer_says_that_it_is_cut(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """An answer that met the output limit is a reply with a note."""
    model.will(stream(opening(), text_events("Once upon a"), closing("max_tokens")))
    agent.start(assignment())
    text = host.result().text
    assert text.startswith("Once upon a") and "cut" in text


def test_round_limit_has_a_plain_last_word(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A model that never stops calling tools is stopped after the task's rounds."""
    model.will(calls("shell", {"command": "true"}))
    agent.start(assignment(limits=Limits(rounds=3)))
    result = host.result()
    assert (result.status, result.code) == (TaskStatus.FAILED, "round_limit")
    assert "3 rounds" in result.reason
    assert len(model.requests) == 3


# -- hostile or broken model output ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("shell", '{"command": ', "not valid JSON"),
        ("shell", "[1]", "must be a JSON object"),
        ("shell", '{"command": "\\ud800"}', "surrogate"),
        ("shell", '{"command": NaN}', "not valid JSON"),
        ("shell", '{"timeout_s": 1e999}', "not valid JSON"),
        ("shell", '{"command": ' + "[" * 50 + "]" * 50 + "}", "nested too deeply"),
        ("shell", '{"command": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ("shell", json.dumps({"command": "x" * 10_000_000}), "Send less at once"),
        ("write_file", '{"path": "a", "content": [' + "1e15," * 40_000 + "1]}", "the limit is"),
        ("shell", "{}", "'command' is missing"),
        ("shell", '{"command": 7}', "must be text"),
        ("shell", '{"command": "echo \\u0000"}', "zero byte"),
        ("fly", "{}", "there is no tool 'fly'"),
        ("../../etc", "{}", "there is no tool"),
        ("", "{}", "there is no tool 'unnamed'"),
        ("read_file", '{"path": "../run/yard/host.sock"}', "outside"),
        ("read_file", '{"path": "/etc/passwd"}', "outside"),
        ("read_file", '{"path": "/proc/self/mem"}', "outside"),
        ("write_file", '{"path": "../evil", "content": ""}', "outside"),
        ("send_file", '{"path": "/proc/self/environ"}', "outside"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_call_that_makes_no_sense_is_told_to_the_model(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, name: str, arguments: str, problem: str
) -> None:
    """Nothing runs, the model reads what was wrong, and the task goes on."""
    model.will(calls(name, arguments), says("sorry"))
    agent.start(assignment())
    assert host.result().text == "sorry"
    (output,) = [step.output for step in host.steps() if step.output is not None]
    assert output.is_error
    assert problem in output.text
    assert model.requests[1].json()["messages"][-1]["content"][0]["is_error"] is True


@pytest.mark.parametrize(
    "odd",
    [
        event({"type": "content_block_delta", "index": "x", "delta": {"type": "text_delta", "text": 5}}),
        event({"type": "content_block_delta", "index": 1 << 70, "delta": None}),
        event({"type": "content_block_start", "content_block": {"type": "tool_use", "id": {}, "name": [], "input": 3}}),
        event({"type": "message_start", "message": "no"}),
        event({"type": "message_delta", "delta": [], "usage": {"output_tokens": "many"}}),
        event({"type": "something_new", "delta": {}}),
        event({"no type": 1}),
        b": a comment\n\n",
        text_events("\ud83d"),
    ],
)
def test_odd_event_is_survived(agent: Agent, host: ScriptedHost, model: ScriptedModel, odd: bytes) -> None:
    """Shapes that the API does not have never crash the agent: the task ends with an answer."""
    model.will(stream(opening(), text_events("fine"), odd, closing()), says("fine"))
    agent.start(assignment())
    assert host.result().text.startswith("fine")
    assert agent.exit_code() == 0


@pytest.mark.parametrize(
    "flood",
    [
        stream(opening(), *[text_events("x" * 60_000)] * 10, closing()),
        stream(opening(), text_events(*["\x01" * 1000] * 100), closing()),
        stream(b"data: " + b"x" * (5 << 20)),
        stream(opening(), *[call_events(f"c{index}", "shell", "{}", index) for index in range(200)], closing()),
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000,
    ],
)
def test_flood_of_an_answer_fails_the_task(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, flood: bytes
) -> None:
    """More than any answer needs is cut off and named, not gathered."""
    model.will(flood)
    agent.start(assignment())
    result = host.result()
    assert (result.status, result.code) == (TaskStatus.FAILED, "model_misbehaved")


def test_call_ids_are_unique_in_a_conversation(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A server that gives the same id, or none, in each answer gets ids of ours back."""
    model.will(
        calls("shell", {"command": "echo 1"}, "same"),
        calls("shell", {"command": "echo 2"}, "same"),
        calls("shell", {"command": "echo 3"}, ""),
        calls("shell", {"command": "echo 4"}, "not an id!"),
        says("ok"),
    )
    agent.start(assignment())
    assert host.result().text == "ok"
    ids = [step.call.call_id for step in host.steps() if step.call is not None]
    assert len(ids) == len(set(ids)) == 4
    assert host.outputs() == ["1\n", "2\n", "3\n", "4\n"]


# -- going on where an earlier attempt ended ------------------------------------------------------------------------

CALL = ToolCall(call_id="toolu_9", name="shell", arguments={"command": "echo again >> log"})
TURN = Step(index=0, kind="model_turn", entry=Entry(role="assistant", text="Let me see.", calls=(CALL,)))
STARTED = Step(index=1, kind="tool_started", call=CALL)
ENDED = Step(index=2, kind="tool_finished", output=ToolOutput(call_id="toolu_9", text="done\n"))


def test_call_under_way_is_not_repeated(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A call that had started is shown to the model as one that may have happened."""
    model.will(says("I will look first."))
    agent.start(assignment(steps=(TURN, STARTED)))
    assert host.result().text == "I will look first."
    assert not (agent.root / "workspace/log").exists()
    assert model.requests[0].json()["messages"][-1]["content"][0]["content"] == MAY_HAVE_HAPPENED
    assert [step.index for step in host.steps()] == [2, 3]


def test_call_not_yet_begun_is_run(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A call of the last turn that had not started is run by the next attempt."""
    model.will(says("ok"))
    agent.start(assignment(steps=(TURN,)))
    assert host.result().text == "ok"
    assert (agent.root / "workspace/log").read_text() == "again\n"
    assert [step.kind for step in host.steps()] == ["tool_started", "tool_finished", "model_turn"]


def test_finished_calls_are_given_as_they_were(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A turn that was done is part of the conversation; nothing of it happens again."""
    model.will(says("ok"))
    agent.start(assignment(steps=(TURN, STARTED, ENDED)))
    assert host.result().text == "ok"
    assert model.requests[0].json()["messages"][-1]["content"][0]["content"] == "done\n"
    assert host.steps()[0].index == 3


def test_answer_that_was_stored_is_not_asked_for_again(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """An attempt that died between its last turn and its last word costs no second model call."""
    model.will(says("never asked"))
    agent.start(assignment(steps=(Step(index=0, kind="model_turn", entry=Entry(role="assistant", text="It is 4.")),)))
    assert host.result().text == "It is 4."
    assert model.requests == []


def test_files_and_skills(agent: Agent, host: ScriptedHost, model: ScriptedModel, root: Path) -> None:
    """A skill's card is in the prompt, its file is opened on demand, and a file reaches the host whole."""
    (root / "skills/tour").mkdir()
    (root / "skills/tour/SKILL.md").write_text("# How to tour\n")
    content = bytes(range(256)) * 3000
    (root / "workspace/big.bin").write_bytes(content)
    (root / "workspace/empty").touch()
    model.will(
        calls("skill", {"name": "tour"}, "a"),
        calls("send_file", {"path": "big.bin", "caption": "here"}, "b"),
        calls("send_file", {"path": "empty"}, "c"),
        says("ok"),
    )
    agent.start(assignment(skills=(SkillCard(name="tour", description="Shows around"),)))
    assert host.result().text == "ok"
    assert "- tour: Shows around" in model.requests[0].json()["system"][0]["text"]
    assert host.outputs()[0] == "# How to tour\n"
    assert list(host.files.values()) == [content, b""]
    assert [(offer.name, offer.caption) for offer in host.all(FileOffer)] == [("big.bin", "here"), ("empty", "")]


def test_several_files_are_offered_as_one_message(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, root: Path
) -> None:
    """One after the other under the call's id and their place; nothing is offered where one of them is not there."""
    for name in ("a.txt", "b.txt"):
        (root / "workspace" / name).write_text(name)
    model.will(
        calls("send_file", {"paths": ["a.txt", "b.txt"], "caption": "both"}, "a"),
        calls("send_file", {"paths": ["a.txt", "gone.txt"]}, "b"),
        calls("send_file", {"paths": "b.txt"}, "c"),
        calls("send_file", {"paths": ["b.txt"] * 11}, "d"),
        says("ok"),
    )
    agent.start(assignment())
    assert host.result().text == "ok"
    offers = host.all(FileOffer)
    assert [(offer.name, offer.place, offer.of, offer.caption) for offer in offers] == [
        ("a.txt", 1, 2, "both"),
        ("b.txt", 2, 2, "both"),
    ]
    assert offers[0].call_id == f"{offers[1].call_id}.1"
    outputs = host.outputs()
    assert outputs[0] == "Sent a.txt (5 bytes), b.txt (5 bytes)."
    assert "gone.txt" in outputs[1]
    assert "must be a list of paths" in outputs[2]
    assert "at most 10 files" in outputs[3]


def steer(*texts: str) -> Steer:
    return Steer(messages=tuple(SteerMessage(message_id=f"msg_{text}", text=text) for text in texts))


def test_what_is_said_meanwhile_reaches_the_model_between_rounds(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """After the tools' outputs, in order; its step is stored with the turn that has seen it, not before."""
    model.will(calls("shell", {"command": "read line < go; echo ran"}), says("All done."))
    os.mkfifo(agent.root / "workspace/go")
    agent.start(assignment("work"))
    while host.next(StepTaken).step.kind != "tool_started":
        pass
    host.send(steer("first", "second"))
    host.send(steer("second"))
    (agent.root / "workspace/go").write_text("go\n")
    assert host.result().text == "All done."
    kinds = [step.kind for step in host.steps()]
    assert kinds == ["model_turn", "tool_started", "tool_finished", "steered", "steered", "model_turn"]
    assert [step.index for step in host.steps()] == list(range(6))
    assert [step.message_ids for step in host.steps() if step.kind == "steered"] == [("msg_first",), ("msg_second",)]
    content = model.requests[1].json()["messages"][-1]["content"]
    assert [block.get("text", block["type"]) for block in content] == ["tool_result", "first", "second"]


def test_what_the_model_has_not_seen_is_not_claimed(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """Said while the model gives its last answer, or before it fails: no step says that it was taken in."""
    answering, told = threading.Event(), threading.Event()

    def slowly(line: Line) -> None:
        line.send(head(200, CHUNKED) + chunked(opening() + text_events("bye"), end=False))
        answering.set()
        told.wait(20)
        line.send(chunked(closing()))

    model.will(slowly)
    agent.start(assignment())
    answering.wait(20)
    host.send(steer("too late"))
    told.set()
    assert host.result().text == "bye"
    assert [step.kind for step in host.steps()] == ["model_turn"]


def test_a_second_attempt_has_what_the_first_was_told(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """A steered step stands where it was said."""
    call = ToolCall(call_id="toolu_1", name="shell", arguments={"command": "true"})
    steps = (
        Step(index=0, kind="model_turn", entry=Entry(role="assistant", calls=(call,))),
        Step(index=1, kind="tool_started", call=call),
        Step(index=2, kind="tool_finished", output=ToolOutput(call_id="toolu_1", text="ok")),
        Step(index=3, kind="steered", entry=Entry(role="user", text="also this"), message_ids=("msg_1",)),
    )
    model.will(says("Both."))
    agent.start(assignment("work", steps=steps))
    assert host.result().text == "Both."
    roles = [message["role"] for message in model.requests[0].json()["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert model.requests[0].json()["messages"][-1]["content"][-1]["text"] == "also this"
    assert host.steps()[0].index == 4


def test_a_structured_result_ends_the_task(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """The model gives it by the tool made of the schema; its words are not read, and no tool runs after."""
    schema = {
        "type": "object",
        "properties": {"files": {"$ref": "#/$defs/count"}},
        "$defs": {"count": {"type": "integer"}},
    }
    given = {"found": {"files": 7}, "why": "counted", "confidence": 1, "no_alternatives": "none fit", "evidence": []}
    model.will(calls("task_result", given))
    task = assignment("count")
    agent.start(replace(task, task=replace(task.task, result_schema=schema)))
    result = host.result()
    assert (result.status, result.structured) == (TaskStatus.STRUCTURED, given)
    (card,) = [tool for tool in model.requests[0].json()["tools"] if tool["name"] == "task_result"]
    assert card["input_schema"]["$defs"] == {"count": {"type": "integer"}}
    assert card["input_schema"]["properties"]["found"] == {name: schema[name] for name in ("type", "properties")}
    assert [step.kind for step in host.steps()] == ["model_turn"]


@pytest.mark.parametrize("arguments", ['{"found": {"files": 7', "{}"])
def test_a_result_that_cannot_be_read_is_not_asked_for_again(
    agent: Agent, host: ScriptedHost, model: ScriptedModel, arguments: str
) -> None:
    """One model call, and a code that says what was wrong."""
    model.will(calls("task_result", arguments))
    task = assignment("count")
    agent.start(replace(task, task=replace(task.task, result_schema={"type": "object"})))
    assert (host.result().status, host.all(Finished)[0].result.code) == (TaskStatus.FAILED, "result_not_json")
    assert len(model.requests) == 1


def test_a_question_is_asked_again_over_a_lost_connection(
    agent: Agent, host: ScriptedHost, model: ScriptedModel
) -> None:
    """The same call, until the host answers; the answer is the tool's output."""
    model.will(calls("delegate", {"agent": "other", "prompt": "count"}), says("Seven."))
    task = assignment("ask the other")
    agent.start(replace(task, delegates=(AgentCard(name="other", description=""),)))
    asked = host.next(Ask)
    host.hang_up()
    assert host.next(Ask) == asked
    host.send(Answered(call_id="another", answer="not this"))
    host.send(Answered(call_id=asked.call_id, answer="there are seven"))
    assert host.result().text == "Seven."
    assert host.outputs() == ["there are seven"]


def test_a_stop_ends_an_agent_that_waits_for_an_answer(agent: Agent, host: ScriptedHost, model: ScriptedModel) -> None:
    """It says its last word at once, and no end of the tool is stored."""
    model.will(calls("delegate", {"agent": "other", "prompt": "count"}))
    task = assignment("ask the other")
    agent.start(replace(task, delegates=(AgentCard(name="other", description=""),)))
    host.next(Ask)
    host.send(STOP)
    assert host.result().status is TaskStatus.STOPPED
    assert [step.kind for step in host.steps()] == ["model_turn", "tool_started"]
