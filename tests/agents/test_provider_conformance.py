"""What each model API must be to the agent: one suite, the real agent, the twin of each API."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any, Literal

import pytest

from protocol.link import Delta, Progress, Steer, SteerMessage, StepTaken
from protocol.record import replace
from protocol.task import ModelRoute, TaskStatus
from protocol.transcript import Entry, Thought
from tests.agents.conftest import Agent, Api
from tests.agents.scripted_host import ScriptedHost, assignment
from tests.agents.twin_socket import TwinAtSocket

PATHS = {"anthropic": "/v1/messages", "openai": "/v1/chat/completions", "responses": "/v1/responses"}
THINKS: dict[str, Literal["adaptive", "effort"]] = {"anthropic": "adaptive", "openai": "effort", "responses": "effort"}
PDF = b"%PDF-1.7\n" + b"\0" * 40
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40


def route(api: Api, name: str = "main", **more: Any) -> ModelRoute:
    return ModelRoute(route=name, api=api, model="scripted", **more)


def start(agent: Agent, model: ModelRoute, *fallbacks: ModelRoute, transcript: tuple[Entry, ...] = ()) -> None:
    agent.start(replace(assignment("go on", transcript=transcript), model=model, fallbacks=fallbacks))


def test_words_stream_and_use_is_counted(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """The words come as they are said, and the turn carries what it used."""
    twin.script({"text": "one two three"})
    start(agent, route(api))
    result = host.result()
    assert (result.status, result.text) == (TaskStatus.REPLY, "one two three")
    assert "".join(frame.text for frame in host.all(Delta)) == "one two three"
    usage = host.steps()[-1].usage
    assert usage is not None and usage.model_calls == 1 and usage.input_tokens > 0 and usage.output_tokens > 0
    assert twin.paths == [f"/m/main{PATHS[api]}"]


def test_what_was_cached_and_thought_is_counted(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """Input is all that was read, what came from the cache with it; thoughts are told apart where the API does."""
    twin.script({"think": "x" * 400, "text": "so", "cached": 300})
    start(agent, route(api, thinks=THINKS[api], effort="high", max_output_tokens=64_000))
    host.result()
    usage = host.steps()[-1].usage
    assert usage is not None and usage.cache_read_tokens == 300 < usage.input_tokens
    assert (
        usage.reasoning_tokens == (0 if api == "anthropic" else 100) and usage.output_tokens >= usage.reasoning_tokens
    )
    asked_bytes = len(json.dumps(twin.bodies[0], ensure_ascii=False, separators=(",", ":")).encode())
    assert usage.input_tokens == asked_bytes // 4


def test_a_slow_answer_is_waited_for(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """Pieces that come one at a time, none later than the patience with silence, are one answer."""
    twin.script({"text": "one two three four", "pace_s": 0.2})
    start(agent, route(api))
    assert host.result().text == "one two three four"
    assert [frame.text for frame in host.all(Delta)] == ["one", " two", " three", " four"]
    assert len(twin.bodies) == 1


def test_calls_in_parallel_are_each_answered(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """Two calls of one turn both run, in order, and the model reads both outputs by their calls."""
    calls = [{"tool": "shell", "arguments": {"command": f"echo out-{word}"}} for word in ("a", "b")]
    twin.script({"text": "both", "calls": calls}, {"text": "{outputs}"})
    start(agent, route(api))
    assert host.result().text == "out-a\nout-b"


def test_thoughts_go_back_with_their_turn(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """What a model thought before a call is stored with the turn and given back unchanged, and is no answer."""
    twin.script({"think": "deep 思い", "calls": [{"tool": "shell", "arguments": {"command": "true"}}]}, {"text": "so"})
    start(agent, route(api, thinks=THINKS[api], effort="high", max_output_tokens=64_000))
    result = host.result()
    assert (result.status, result.text) == (TaskStatus.REPLY, "so")
    entry = host.steps()[0].entry
    assert entry is not None and entry.thinker == "main/scripted" and len(entry.thoughts) == 1
    sealed = base64.b64encode("deep 思い".encode()).decode()
    assert {"responses": sealed}.get(api, "deep 思い") in str(twin.bodies[1])
    assert "deep" not in "".join(frame.text for frame in host.all(Delta))


def test_another_models_thoughts_stay_here(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """A conversation that another model began goes on without that one's thoughts."""
    twin.script({"text": "so"})
    thoughts = (Thought(block={"type": "thinking", "thinking": "foreign", "signature": "foreign"}),)
    past = (Entry(role="user", text="a"), Entry(role="assistant", text="b", thoughts=thoughts, thinker="main/older"))
    start(agent, route(api, thinks=THINKS[api], effort="low"), transcript=past)
    assert host.result().text == "so"
    assert "foreign" not in str(twin.bodies[0])


@pytest.mark.parametrize(
    ("turn", "status", "code", "text"),
    [
        ({"text": "half of", "stop": "length"}, TaskStatus.REPLY, "", "half of"),
        ({"stop": "length"}, TaskStatus.FAILED, "model_length", ""),
        ({"stop": "refused"}, TaskStatus.FAILED, "model_refused", ""),
        ({}, TaskStatus.NOTHING_TO_SAY, "", ""),
    ],
)
def test_each_stop_is_told_apart(
    agent: Agent,
    host: ScriptedHost,
    twin: TwinAtSocket,
    api: Api,
    turn: dict[str, Any],
    status: TaskStatus,
    code: str,
    text: str,
) -> None:
    """A full stop, a length stop, a refusal and silence each end the task in their own way."""
    twin.script(turn)
    start(agent, route(api))
    result = host.result()
    assert (result.status, result.code) == (status, code)
    assert text in result.text


@pytest.mark.parametrize("kind", ["reset", "half_stream", "error_event", "garbage", "silence"])
def test_a_broken_answer_is_asked_again(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, kind: str
) -> None:
    """An answer that breaks off, says nothing or is another thing is dropped, and the second one counts."""
    twin.script({"text": "whole"})
    twin.fail(kind=kind, seconds=3)
    start(agent, route(api))
    assert host.result().text == "whole"
    assert len(twin.bodies) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
def test_a_service_that_is_not_well_is_asked_again(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, status: int
) -> None:
    """Too many questions, or a bad moment: after a short wait, told as it begins."""
    twin.script({"text": "well again"})
    twin.fail(kind="status", status=status, retry_after="0", message="one moment")
    start(agent, route(api))
    assert host.result().text == "well again"
    (told,) = [frame.text for frame in host.all(Progress) if frame.kind == "retry"]
    assert str(status) in told and "Asking again" in told
    assert len(twin.bodies) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_is_told_and_not_waited(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, status: int
) -> None:
    """A service that asks for an hour is asked once."""
    twin.script({"text": "never"})
    twin.fail(kind="status", status=status, retry_after="3600")
    start(agent, route(api))
    assert "60 min" in host.result().reason
    assert len(twin.bodies) == 1


@pytest.mark.parametrize(("status", "code"), [(401, "model_refused_key"), (404, "model_unknown")])
def test_a_refusal_of_the_service_is_told(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, status: int, code: str
) -> None:
    """An error that waiting does not mend ends the task at once, with the service's own words."""
    twin.script({"text": "never"})
    twin.fail(kind="status", status=status, message="not with me")
    start(agent, route(api))
    result = host.result()
    assert (result.code, "not with me" in result.reason, len(twin.bodies)) == (code, True, 1)


def test_the_next_service_answers_and_says_so(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api) -> None:
    """Where the first service refuses its key, the next route's answers, to the task's end, and the person reads it."""
    twin.script({"calls": [{"tool": "shell", "arguments": {"command": "true"}}]}, {"text": "here I am"})
    twin.fail(kind="status", status=401, message="no such key")
    others: dict[Api, Api] = {"anthropic": "responses", "openai": "anthropic", "responses": "openai"}
    start(agent, route(api), route(others[api], "second"))
    result = host.result()
    assert result.status is TaskStatus.REPLY and result.text.startswith("here I am\n\n*")
    assert "no such key" in result.text and "second/scripted answers instead" in result.text
    assert [path.split("/")[2] for path in twin.paths] == ["main", "second", "second"]
    assert any("second/scripted" in frame.text for frame in host.all(Progress) if frame.kind == "note")


def test_a_refused_request_is_no_reason_for_another_service(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api
) -> None:
    """What is wrong with the question itself is not asked elsewhere."""
    twin.script({"text": "never"})
    twin.fail(kind="status", status=400, message="tools: bad")
    start(agent, route(api), route("anthropic", "second"))
    assert host.result().code == "model_rejected_request"
    assert len(twin.paths) == 1


def test_an_image_is_looked_at(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, root: Path) -> None:
    """view_image puts the image itself before a model that can see; no stored step holds its bytes."""
    (root / "workspace/a.png").write_bytes(PNG)
    twin.script({"calls": [{"tool": "view_image", "arguments": {"path": "a.png"}}]}, {"text": "seen"})
    start(agent, route(api, sees=("image",)))
    assert host.result().text == "seen"
    data = base64.b64encode(PNG).decode()
    assert data in str(twin.bodies[1])
    assert data not in str(host.steps())


def test_an_image_that_the_service_cannot_read_ends_nothing(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, root: Path
) -> None:
    """It is asked once more without any, for the rest of the task: one picture would end every task of the chat."""
    (root / "inbox/f1.png").write_bytes(PNG)
    twin.script({"calls": [{"tool": "shell", "arguments": {"command": "true"}}]}, {"text": "I cannot see it."})
    twin.fail(kind="status", status=400, message="Could not process image")
    given = assignment("look")
    task = replace(given.task, files=("/inbox/f1.png",))
    agent.start(replace(given, task=task, model=route(api, sees=("image",))))
    assert host.result().text == "I cannot see it."
    data = base64.b64encode(PNG).decode()
    assert [data in str(body) for body in twin.bodies] == [True, False, False]
    assert "the service rejected it" in str(twin.bodies[-1])


def test_a_pdf_is_read(agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, root: Path) -> None:
    """As a document of the API's, with its name; a model that reads none is told so instead."""
    (root / "workspace/a.pdf").write_bytes(PDF)
    twin.script({"calls": [{"tool": "view_image", "arguments": {"path": "a.pdf"}}]}, {"text": "read"})
    start(agent, route(api, sees=("image", "pdf")))
    assert host.result().text == "read"
    assert base64.b64encode(PDF).decode() in str(twin.bodies[1])
    assert base64.b64encode(PDF).decode() not in str(host.steps())


def test_a_pdf_that_the_model_cannot_read(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, root: Path
) -> None:
    """It reads that it cannot, and the file is not sent."""
    (root / "workspace/a.pdf").write_bytes(PDF)
    twin.script({"calls": [{"tool": "view_image", "arguments": {"path": "a.pdf"}}]}, {"text": "{output}"})
    start(agent, route(api, sees=("image",)))
    assert "cannot" in host.result().text
    assert base64.b64encode(PDF).decode() not in str(twin.bodies)


def test_a_sent_image_is_seen_at_once(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, root: Path
) -> None:
    """What a person sent along goes with their words, if the model sees it; what it cannot see is left to the tools."""
    (root / "inbox/f1.png").write_bytes(PNG)
    (root / "inbox/f2.txt").write_text("words")
    twin.script({"text": "seen"})
    given = assignment("look")
    task = replace(given.task, files=("/inbox/f1.png", "/inbox/f2.txt", "/inbox/gone.png"))
    agent.start(replace(given, task=task, model=route(api, sees=("image",))))
    assert host.result().text == "seen"
    assert str(twin.bodies[0]).count(base64.b64encode(PNG).decode()) == 1


def test_an_image_that_is_sent_meanwhile_is_seen_too(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, root: Path
) -> None:
    """It goes with the words that it came with, and is in their step: who goes on later sees it, too."""
    (root / "inbox/f1.png").write_bytes(PNG)
    os.mkfifo(root / "workspace/go")
    command = "if [ -p go ]; then read line < go; rm go; fi"  # the twin begins its script anew with what is said
    twin.script({"calls": [{"tool": "shell", "arguments": {"command": command}}]}, {"text": "seen"})
    start(agent, route(api, sees=("image",)))
    while host.next(StepTaken).step.kind != "tool_started":
        pass
    host.send(Steer(messages=(SteerMessage(message_id="msg_1", text="this one", files=("/inbox/f1.png",)),)))
    (root / "workspace/go").write_text("go\n")
    assert host.result().text == "seen"
    assert str(twin.bodies[1]).count(base64.b64encode(PNG).decode()) == 1
    (entry,) = [step.entry for step in host.steps() if step.kind == "steered"]
    assert entry is not None
    assert [file.path for file in entry.files] == [f"{root}/inbox/f1.png"]


def test_an_image_that_changed_is_not_shown(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, api: Api, root: Path
) -> None:
    """A file that is no longer what was looked at is named, and not sent."""
    (root / "workspace/a.png").write_bytes(PNG)
    change = {"tool": "shell", "arguments": {"command": "echo more >> a.png"}}
    twin.script(
        {"calls": [{"tool": "view_image", "arguments": {"path": "a.png"}}, change]},
        {"text": "ok"},
    )
    start(agent, route(api, sees=("image",)))
    assert host.result().text == "ok"
    assert "has changed or is gone" in str(twin.bodies[1])


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", b"words", "no PNG, JPEG, GIF, WebP or PDF"),
        ("a.jpg", b"\xff\xd8\xff" + b"\0" * 4_000_000, "the limit is"),
        ("gone.png", b"", "No such file"),
    ],
)
def test_what_no_model_sees_is_refused_with_the_mend(
    agent: Agent, host: ScriptedHost, twin: TwinAtSocket, root: Path, name: str, data: bytes, says: str
) -> None:
    """Text, files too large and files that are not there give the model a plain error."""
    if data:
        (root / "workspace" / name).write_bytes(data)
    twin.script({"calls": [{"tool": "view_image", "arguments": {"path": name}}]}, {"text": "{output}"})
    start(agent, route("anthropic", sees=("image",)))
    assert says in host.result().text
