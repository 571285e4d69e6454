"""What Claude Code's lines come to, as the program writes them; and what is written to it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.harness.claude_code import ClaudeCode
from agents.harness.frame import (
    Awaits,
    Began,
    Brief,
    Broke,
    Ended,
    Event,
    Noted,
    Opened,
    Prompt,
    Ran,
    Ready,
    Said,
    Took,
    Turned,
    Write,
)
from agents.places import Places
from protocol.link import McpServer, SkillCard, SteerMessage
from protocol.task import ModelRoute

MODEL = ModelRoute(route="claude", api="anthropic", model="claude-opus-5-5", effort="low")
OWN = McpServer(
    name="nightyard", command="/usr/bin/python3", args=("-I", "/opt/agent", "mcp"), env={"NIGHTYARD_MCP": "x y"}
)
SESSION = "0b2b7a0e-0000-4000-8000-000000000000"


def started(brief: Brief | None = None) -> ClaudeCode:
    """Return a program that was started and is up."""
    adapter = ClaudeCode()
    adapter.launch(brief or Brief(session="", instructions="Be brief.", model=MODEL), Places(), OWN, SESSION)
    assert take(adapter, {"type": "control_response", "response": {"request_id": "start"}}) == [Ready()]
    return adapter


def take(adapter: ClaudeCode, *values: object) -> list[Event]:
    return [event for value in values for event in adapter.take(json.dumps(value).encode())]


def stream(kind: str, **more: object) -> dict[str, object]:
    return {"type": "stream_event", "parent_tool_use_id": None, "event": {"type": kind, **more}}


def block(content: dict[str, object], message: str = "m1", parent: str | None = None) -> dict[str, object]:
    inner = {"id": message, "model": "claude-opus-5-5", "content": [content], "usage": {"input_tokens": 5}}
    return {"type": "assistant", "message": inner, "parent_tool_use_id": parent}


def start(message: str = "m1") -> dict[str, object]:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5, "output_tokens": 1}
    return stream("message_start", message={"id": message, "usage": usage})


def hook(call: str, name: str, arguments: object, callback: str = "tool", request: str = "r1") -> dict[str, object]:
    given = {"tool_use_id": call, "tool_name": name, "tool_input": arguments, "hook_event_name": "PostToolUse"}
    return {
        "type": "control_request",
        "request_id": request,
        "request": {"subtype": "hook_callback", "callback_id": callback, "input": given},
    }


END = (stream("message_delta", usage={"output_tokens": 7}), stream("message_stop"))
BASH: dict[str, object] = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}}


def kinds(events: Sequence[Event]) -> list[type]:
    return [type(event) for event in events]


def test_a_call_begins_when_its_turn_is_whole() -> None:
    """The hook asks while the turn still comes: the step with the turn, its tokens in it, is before the call's."""
    adapter = started()
    said = stream("content_block_delta", delta={"type": "text_delta", "text": "Let me see."})
    before = take(adapter, start(), said, block({"type": "text", "text": "Let me see."}), block(BASH))
    assert before == [Said(text="Let me see.")]
    assert take(adapter, hook("toolu_1", "Bash", {"command": "ls"})) == []
    turned, began = take(adapter, *END)
    assert isinstance(turned, Turned) and isinstance(began, Began)
    assert turned.entry.text == "Let me see." and [call.name for call in turned.entry.calls] == ["shell"]
    assert turned.usage is not None
    assert (turned.usage.input_tokens, turned.usage.cache_read_tokens, turned.usage.output_tokens) == (100, 90, 7)
    assert began.call == turned.entry.calls[0] and began.call.arguments == {"command": "ls"}
    assert json.loads(adapter.answer(began.gate, ""))["response"]["response"] == {}
    refused = json.loads(adapter.answer(began.gate, "ask first"))["response"]["response"]["hookSpecificOutput"]
    assert (refused["permissionDecision"], refused["permissionDecisionReason"]) == ("deny", "ask first")
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "made", "is_error": False}
    user = {"type": "user", "message": {"content": [result]}, "parent_tool_use_id": None}
    assert [event.output.text for event in take(adapter, user, user) if isinstance(event, Ran)] == ["made"]


def test_a_turn_that_broke_off_is_stored_as_far_as_it_came() -> None:
    """A call that it made already runs all the same; the answer comes anew."""
    adapter = started()
    take(adapter, start(), block(BASH), hook("toolu_1", "Bash", {"command": "ls"}))
    assert kinds(take(adapter, start("m2"))) == [Turned, Began]
    events = take(adapter, block({"type": "text", "text": "done"}, "m2"), *END)
    assert kinds(events) == [Turned]


def test_calls_of_our_own_tools_are_announced_elsewhere() -> None:
    """Their turn is said, they go on at once, and neither their start nor their output is."""
    adapter = started()
    call: dict[str, object] = {
        "type": "tool_use",
        "id": "toolu_9",
        "name": "mcp__nightyard__send_message",
        "input": {"text": "hm"},
    }
    events = take(adapter, start(), block(call), hook("toolu_9", "mcp__nightyard__send_message", {"text": "hm"}))
    assert kinds(events) == [Turned, Write]
    result = {"type": "tool_result", "tool_use_id": "toolu_9", "content": [{"type": "text", "text": "sent"}]}
    assert take(adapter, *END, {"type": "user", "message": {"content": [result]}}) == []


def test_a_sub_agents_turns_are_of_its_call() -> None:
    """They come without stream events, and carry the call as their branch."""
    adapter = started()
    agent: dict[str, object] = {"type": "tool_use", "id": "toolu_1", "name": "Agent", "input": {"prompt": "do"}}
    take(adapter, start(), block(agent), hook("toolu_1", "Agent", {"prompt": "do"}), *END)
    inner = {**BASH, "id": "toolu_2"}
    turned, began = take(
        adapter, block(inner, "m5", "toolu_1"), hook("toolu_2", "Bash", {"command": "ls"}, request="r2")
    )
    assert isinstance(turned, Turned) and isinstance(began, Began)
    assert (turned.branch, began.branch) == ("toolu_1", "toolu_1")


def test_what_is_told_is_taken_when_it_comes_back() -> None:
    """Under the UUID that was written; the prompt itself is nothing that was told."""
    adapter = started()
    prompt = json.loads(adapter.begin(Prompt(text="do it", message_id="4" * 8)))
    message = SteerMessage(message_id="message_1", text="and that")
    told = adapter.tell(message)
    assert told is not None
    back = [{"type": "user", "uuid": each["uuid"], "isReplay": True} for each in (prompt, json.loads(told))]
    assert take(adapter, *back, back[1]) == [Took(message_id="message_1")]


@pytest.mark.parametrize(
    ("result", "code"),
    [
        ({"api_error_status": 401, "result": "Failed to authenticate. API Error: 401 no"}, "model_refused_key"),
        ({"api_error_status": 429, "result": "API Error: Request rejected (429) · slow"}, "model_rate_limited"),
        ({"api_error_status": 529, "result": "API Error: 529 overloaded."}, "model_unavailable"),
        ({"api_error_status": None, "result": "API Error: Connection dropped"}, "model_stream_broken"),
        (
            {"api_error_status": 400, "result": "Prompt is too long · x", "terminal_reason": "prompt_too_long"},
            "conversation_too_long",
        ),
        ({"subtype": "error_during_execution", "errors": ["boom"]}, "model_stream_broken"),
    ],
)
def test_an_error_has_the_words_of_our_own_loop(result: dict[str, object], code: str) -> None:
    """A refused key, a service that is not well, a stream that broke, a window that is full."""
    event = take(started(), {"type": "result", "is_error": True, **result})[0]
    assert isinstance(event, Broke) and event.failure.code == code


def test_asking_again_is_told_and_has_an_end() -> None:
    """A pause is a note; one of more than a minute, or with the same refused key, is the end."""
    adapter = started()
    retry: dict[str, object] = {"type": "system", "subtype": "api_retry", "error": "overloaded", "error_status": 529}
    events = take(
        adapter,
        {**retry, "retry_delay_ms": 500},
        {**retry, "retry_delay_ms": 7_200_000},
        {**retry, "retry_delay_ms": 500, "error_status": 401},
    )
    assert kinds(events) == [Noted, Broke, Broke]
    assert isinstance(events[1], Broke) and "120 min" in events[1].failure.reason


def test_summing_up_is_told_once_and_fails_for_its_own_reason() -> None:
    """A person reads why it takes long; where it fails and the window is full, what the service said is the reason."""
    status: dict[str, object] = {"type": "system", "subtype": "status"}
    begins = {**status, "status": "compacting"}
    failed = {**status, "status": None, "compact_result": "failed"}
    full: dict[str, object] = {
        "type": "result",
        "is_error": True,
        "terminal_reason": "blocking_limit",
        "result": "Prompt is too long · x",
    }
    refused = "Failed to authenticate. API Error: 401 no such key"
    noted, broke = take(started(), begins, begins, {**failed, "compact_error": refused}, full)
    assert isinstance(noted, Noted) and "summed up" in noted.text
    assert isinstance(broke, Broke) and broke.failure.code == "model_refused_key"
    noted, broke = take(started(), begins, {**failed, "compact_error": "too_few_groups"}, full)
    assert isinstance(broke, Broke) and broke.failure.code == "conversation_too_long"


def test_an_answer_ends_the_turn() -> None:
    """Its text, why it stopped, and which session it was."""
    init = {"type": "system", "subtype": "init", "session_id": "s"}
    done = {"type": "result", "is_error": False, "result": "all is well", "stop_reason": "max_tokens"}
    assert take(started(), init, done) == [Opened(session="s"), Ended(text="all is well", stop="length")]


def test_a_warm_up_says_nothing() -> None:
    """A question on the side, then a prompt that its hook blocks; then it is ready again."""
    adapter = started()
    assert b"side_question" in adapter.warm_up()
    prompt = take(adapter, {"type": "control_response", "response": {"request_id": "question"}})[0]
    assert isinstance(prompt, Write)
    words = json.loads(prompt.data)["message"]["content"]
    asked = hook("", "", {}, "prompt")
    asked["request"]["input"] = {"prompt": words}  # type: ignore[index]  # a literal just made
    blocked = take(adapter, asked)[0]
    assert isinstance(blocked, Write) and b'"block"' in blocked.data
    init = {"type": "system", "subtype": "init", "session_id": "s"}
    [again] = take(adapter, init, {"type": "result", "is_error": False, "result": ""})
    assert isinstance(again, Write) and b"initialize" in again.data and b"UserPromptSubmit" not in again.data
    assert take(adapter, {"type": "control_response", "response": {"request_id": "start"}}) == [Ready()]


def test_what_the_proxy_refused_is_said_beside_the_output() -> None:
    """The hook after a command waits for it."""
    adapter = started()
    event = take(adapter, hook("toolu_1", "Bash", {}, "output"))[0]
    assert isinstance(event, Awaits)
    answer = json.loads(adapter.comment(event.gate, "refused"))["response"]["response"]
    assert answer["hookSpecificOutput"] == {"hookEventName": "PostToolUse", "additionalContext": "refused"}
    assert json.loads(adapter.comment(event.gate, ""))["response"]["response"] == {}


def test_what_it_is_started_with() -> None:
    """A session to go on with, the tools that the agent has, the route's address, settings that no task has left."""
    brief = Brief(
        session="s-1",
        instructions="Be brief.",
        model=MODEL,
        skills=(SkillCard(name="notes", description="d"),),
        servers=(McpServer(name="maps", url="https://maps.example/mcp", headers={"X-A": "b"}),),
        without=("shell", "sub_agent"),
    )
    launch = ClaudeCode().launch(brief, Places(), OWN, SESSION)
    command = " ".join(launch.command)
    assert "--resume s-1" in command and SESSION not in command
    assert "--tools Read,Write,Edit,NotebookEdit,Glob,Grep,Skill,TodoWrite" in command
    assert launch.environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:3128/m/claude"
    assert launch.environment["CLAUDE_CODE_EFFORT_LEVEL"] == "low"
    assert launch.links["/tmp/claude-code/skills/notes"] == "/skills/notes"
    assert launch.gone == ("/tmp/claude-code",)
    servers = json.loads(launch.files["/tmp/claude-code/servers.json"])["mcpServers"]
    assert servers["maps"] == {"type": "http", "url": "https://maps.example/mcp", "headers": {"X-A": "b"}}
    assert servers["nightyard"]["env"] == {"NIGHTYARD_MCP": "x y"}
    fresh = ClaudeCode().launch(Brief(session="", instructions="", model=MODEL), Places(), OWN, SESSION)
    assert f"--session-id {SESSION}" in " ".join(fresh.command)
    first = ClaudeCode().launch(
        Brief(session="", instructions="", model=MODEL, is_last_model=False), Places(), OWN, SESSION
    )
    tries = [int(each.environment["CLAUDE_CODE_MAX_RETRIES"]) for each in (first, fresh)]
    assert tries[0] < tries[1]  # another model waits to be asked


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "type": st.sampled_from(
                    ["assistant", "user", "system", "result", "stream_event", "control_request", "x"]
                )
            },
            optional={
                "message": JSON,
                "event": JSON,
                "request": JSON,
                "subtype": st.sampled_from(["init", "api_retry", "status", "x"]),
                "parent_tool_use_id": JSON,
                "result": JSON,
                "retry_delay_ms": JSON,
                "error_status": JSON,
                "status": st.sampled_from(["compacting", None]),
                "compact_result": JSON,
                "compact_error": JSON,
                "terminal_reason": st.sampled_from(["blocking_limit", "x"]),
                "is_error": JSON,
            },
        ),
        max_size=6,
    )
)
def test_no_line_of_any_shape_is_too_much(values: list[dict[str, object]]) -> None:
    """Whatever the fields hold: events, or nothing."""
    take(started(), *values)
