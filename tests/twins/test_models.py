"""The model twin, through a real HTTP client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpx
import pytest

from twins.models import anthropic, openai, responses
from twins.models.script import Conversation, ScriptError, decide_turn, parse_script
from twins.models.server import load_scripts, serve_models

TOOLS = [{"name": "shell", "input_schema": {}}, {"name": "write_file", "input_schema": {}}]


@pytest.fixture
async def twin() -> AsyncIterator[httpx.AsyncClient]:
    async with serve_models() as (port, _), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


def messages_request(said: str, **more: Any) -> dict[str, Any]:
    return {"model": "guide", "max_tokens": 10, "messages": [{"role": "user", "content": said}], **more}


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


async def test_a_messages_call_gets_a_tool_call_and_then_the_answer(twin: httpx.AsyncClient) -> None:
    """The walkthrough asks for a tool first and quotes what the tool returned afterwards."""
    asked = messages_request("what's in my workspace?", tools=TOOLS)
    first = (await twin.post("/v1/messages", json=asked)).json()
    assert first["stop_reason"] == "tool_use"
    call = next(block for block in first["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "a.txt"}]}
    asked["messages"] += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": [result]}]
    second = (await twin.post("/v1/messages", json=asked)).json()
    assert second["stop_reason"] == "end_turn"
    assert "a.txt" in second["content"][0]["text"]


async def test_a_streamed_messages_answer_has_the_published_events(twin: httpx.AsyncClient) -> None:
    """A stream opens and closes each block, ends with message_stop, and its pieces make the whole text."""
    answer = await twin.post("/v1/messages", json=messages_request("hello", stream=True))
    events = events_of(answer.text)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and kinds[-2] == "message_delta"
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    assert "rehearsal" in text
    assert events[-2]["usage"]["output_tokens"] > 0


async def test_a_streamed_chat_completion_carries_tool_calls_by_fragments(twin: httpx.AsyncClient) -> None:
    """Tool arguments come in fragments by index, usage comes last, and [DONE] ends the stream."""
    tools = [
        {"type": "function", "function": {"name": "write_file"}},
        {"type": "function", "function": {"name": "shell"}},
    ]
    asked = messages_request("make a file", stream=True, tools=tools)
    answer = await twin.post("/v1/chat/completions", json=asked)
    assert answer.text.rstrip().endswith("data: [DONE]")
    events = events_of(answer.text)
    pieces = [call for event in events for choice in event["choices"] for call in choice["delta"].get("tool_calls", ())]
    arguments = json.loads("".join(piece["function"]["arguments"] for piece in pieces))
    assert arguments["path"] == "hello.txt"
    assert events[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_fault_fails_as_often_as_it_was_told(twin: httpx.AsyncClient, path: str) -> None:
    """A status fault answers with that status and its Retry-After, then the twin is well again."""
    fault = {"kind": "status", "status": 429, "retry_after": "2", "times": 2}
    assert (await twin.post("/twin/fault", json=fault)).status_code == 200
    for _ in range(2):
        failed = await twin.post(path, json=messages_request("hi"))
        assert failed.status_code == 429 and failed.headers["retry-after"] == "2"
        assert "error" in failed.json()
    assert (await twin.post(path, json=messages_request("hi"))).status_code == 200


@pytest.mark.parametrize("kind", ["reset", "half_stream"])
async def test_a_broken_connection_is_really_broken(twin: httpx.AsyncClient, kind: str) -> None:
    """A reset reaches the client as a broken connection, before or in the middle of the stream."""
    await twin.post("/twin/fault", json={"kind": kind})
    with pytest.raises(httpx.TransportError):
        await twin.post("/v1/messages", json=messages_request("hi", stream=True))
    assert (await twin.post("/v1/messages", json=messages_request("hi"))).status_code == 200


async def test_a_wrong_key_is_refused_in_the_providers_words() -> None:
    """A twin that wants a key answers 401 without it, and its log tells which key arrived."""
    async with serve_models(required_key="right") as (port, twin), httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{port}/v1/messages"
        refused = await client.post(url, json=messages_request("hi"), headers={"x-api-key": "wrong"})
        assert refused.status_code == 401 and refused.json()["error"]["type"] == "authentication_error"
        accepted = await client.post(url, json=messages_request("hi"), headers={"authorization": "Bearer right"})
        assert accepted.status_code == 200
        assert [seen["key"] for seen in twin.log] == ["wrong", "right"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/messages", b"{", 400),
        ("POST", "/v1/messages", b'{"model":"guide"}', 400),
        ("POST", "/v1/messages", b'{"model":"gpt-unknown","messages":[]}', 404),
        ("GET", "/v1/messages", b"", 404),
        ("POST", "/twin/fault", b'{"kind":"flood"}', 400),
        ("POST", "/twin/script", b'{"rules":[{"when":"("}]}', 400),
        ("GET", "/elsewhere", b"", 404),
    ],
)
async def test_bad_requests_are_told_so(
    twin: httpx.AsyncClient, method: str, path: str, body: bytes, status: int
) -> None:
    """A request that no provider would take is answered with the provider's kind of error."""
    answer = await twin.request(method, path, content=body)
    assert answer.status_code == status and "error" in answer.json()


@pytest.mark.parametrize(
    ("tool", "called"),
    [
        ({"type": "function", "name": "look"}, {"name": "look"}),
        ({"type": "custom", "name": "look"}, {"name": "look"}),
        ({"type": "namespace", "name": "mcp__here", "tools": [{"type": "function", "name": "look"}]}, {"name": "look"}),
        ({"type": "web_search", "external_web_access": False}, {}),
    ],
)
def test_a_responses_request_may_bring_tools_of_several_kinds(tool: dict[str, Any], called: dict[str, str]) -> None:
    """A tool in a namespace is called with both names; what the service runs itself cannot be called."""
    conversation = responses.read_conversation({"model": "guide", "input": "go", "tools": [tool]})
    namespace = {"namespace": tool["name"]} if "tools" in tool else {}
    name = ".".join([*namespace.values(), "look"])
    rules = parse_script(
        json.dumps({"rules": [{"when": "go", "turns": [{"calls": [{"tool": name, "arguments": {}}]}]}]})
    )
    (item,) = responses.whole_answer(decide_turn(rules, conversation), conversation, 1, 1)["output"]
    expected = {"type": "function_call", **called, **namespace} if called else {"type": "message"}
    assert item.items() >= expected.items()


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (402, "invalid_request_error"), (500, "server_error")]
)
def test_an_error_is_of_the_kind_that_its_status_has(status: int, kind: str) -> None:
    """Clients ask again after a `server_error` only."""
    assert openai.error_body(status, "no")["error"]["type"] == kind


def test_a_script_fills_in_groups_and_outputs() -> None:
    """A rule's texts may quote what was said and what tools returned."""
    rules = parse_script(
        json.dumps(
            {"rules": [{"when": "say (\\w+)", "collect": "id-\\d+", "turns": [{"text": "{1} {collected} {x}"}]}]}
        )
    )
    turn = decide_turn(rules, Conversation(model="m", said="say cheese id-1 id-22", turns_since=0))
    assert turn.text == "cheese id-1,id-22 {x}"


@pytest.mark.parametrize("api", [anthropic, openai])
def test_what_was_said_while_the_model_worked_is_unanswered_too(api: ModuleType) -> None:
    """An answer may name all that was said since the one before, in however many prompts it came."""
    call = {"type": "tool_use", "id": "c", "name": "shell", "input": {}}
    working = {"role": "assistant", "content": [call] if api is anthropic else None, "tool_calls": [{"id": "c"}]}
    said = [{"role": "user", "content": f"say id-{number}"} for number in range(3)]
    messages = [said[0], {"role": "assistant", "content": "id-0"}, said[1], working, said[2]]
    rules = parse_script(
        json.dumps({"rules": [{"when": "", "collect": "id-\\d", "turns": [{"text": "{unanswered}"}]}]})
    )
    assert decide_turn(rules, api.read_conversation({"model": "m", "messages": messages})).text == "id-1,id-2"


async def test_a_script_may_say_what_a_model_could_still_know(twin: httpx.AsyncClient) -> None:
    """What is found anywhere in the request, once each: in the instructions, an earlier turn, a tool's output."""
    rule = {"when": "", "recall": r"\[\w+\]", "turns": [{"text": "{recalled}"}]}
    await twin.post("/twin/script", json={"rules": [rule]})
    past = [{"role": "user", "content": "[a] and [b]"}, {"role": "assistant", "content": "[a]"}]
    asked = {**messages_request("and now?", system="[c]"), "model": "scripted"}
    asked["messages"] = [*past, *asked["messages"]]
    said = (await twin.post("/v1/messages", json=asked)).json()["content"][0]["text"]
    assert sorted(said.split(",")) == ["[a]", "[b]", "[c]"]


def test_a_missing_tool_is_told_instead_of_called() -> None:
    """A rehearsal never calls a tool that the agent does not have."""
    rules = load_scripts()["guide"]
    turn = decide_turn(rules, Conversation(model="m", said="make a file", turns_since=0))
    assert not turn.calls and "no such tool" in turn.text


def test_a_broken_script_names_its_rule() -> None:
    """A script that cannot be used says which rule is wrong."""
    with pytest.raises(ScriptError, match="rule 2"):
        parse_script('{"rules": [{"when": "a", "turns": []}, {"when": "("}]}')
