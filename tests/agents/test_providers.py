"""Requests and answers of both model APIs, failures and retries: pure, in tables."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.providers import provider_for
from agents.providers.anthropic import Anthropic
from agents.providers.failure import MAX_DETAIL_CHARS, Failure, failure_of_answer
from agents.providers.openai import OpenAi
from agents.providers.provider import Question, StreamFault, ToolCard, TurnReader
from agents.providers.retry import RetryLimits, retry_wait
from agents.providers.turn_builder import BadArguments, parse_arguments
from agents.sse import ServerEvent
from protocol.task import ModelRoute
from protocol.transcript import Entry, ToolCall, ToolOutput

CLAUDE = ModelRoute(route="main", api="anthropic", model="m", max_output_tokens=100)
GPT = ModelRoute(route="local", api="openai", model="m", max_output_tokens=100)
CARD = ToolCard(name="shell", description="Runs.", schema={"type": "object", "properties": {}})
CALL = ToolCall(call_id="c1", name="shell", arguments={"command": "é"})
TALK = (
    Entry(role="user", text="do it"),
    Entry(role="assistant", text="ok \n", calls=(CALL,)),
    Entry(role="tool", outputs=(ToolOutput(call_id="c1", text="", is_error=True),)),
)
QUESTION = Question(instructions="Be kind.", entries=TALK, tools=(CARD,))


def feed(reader: TurnReader, *values: object) -> str:
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    return "".join(reader.take(ServerEvent(name="message", data=text)) for text in texts)


def test_anthropic_request() -> None:
    """The Messages body: system, last words and last block marked for caching, results before text, no white space
    at an end."""
    request = provider_for(CLAUDE).request(QUESTION)
    body = json.loads(request.body)
    mark = {"type": "ephemeral"}
    assert request.path == "/m/main/v1/messages"
    assert (body["model"], body["max_tokens"], body["stream"]) == ("m", 100, True)
    assert body["system"] == [{"type": "text", "text": "Be kind.", "cache_control": mark}]
    assert body["tools"] == [{"name": "shell", "description": "Runs.", "input_schema": CARD.schema}]
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "do it", "cache_control": mark}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "ok"},
                {"type": "tool_use", "id": "c1", "name": "shell", "input": {"command": "é"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c1",
                    "content": "(empty)",
                    "is_error": True,
                    "cache_control": mark,
                }
            ],
        },
    ]


def test_openai_request() -> None:
    """The chat completions body: roles, calls as JSON text, usage asked for."""
    request = provider_for(GPT).request(QUESTION)
    body = json.loads(request.body)
    assert request.path == "/m/local/v1/chat/completions"
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]
    (call,) = body["messages"][2]["tool_calls"]
    assert call == {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": '{"command": "é"}'}}
    assert body["messages"][3] == {"role": "tool", "tool_call_id": "c1", "content": "Error: "}


def test_anthropic_usage_counts_cached_input() -> None:
    """Input tokens are all that were read, from the cache or not; the last output count holds."""
    reader = Anthropic(CLAUDE).reader()
    usage = {"input_tokens": 5, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5, "output_tokens": 1}
    feed(
        reader,
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    )
    turn = reader.turn()
    assert (turn.usage.input_tokens, turn.usage.output_tokens, turn.usage.model_calls) == (100, 7, 1)


@pytest.mark.parametrize(
    "fragments",
    [
        [{"index": 0, "id": "a", "function": {"name": "x", "arguments": "{}"}},
         {"index": 1, "id": "b", "function": {"name": "y", "arguments": "{}"}}],
        [{"index": 1, "function": {"arguments": "{"}}, {"index": 0, "function": {"name": "x"}},
         {"index": 1, "id": "b", "function": {"name": "y", "arguments": "}"}}],
        [{"function": {"name": "x"}}, {"function": {"arguments": "{}"}}, {"function": {"name": "y"}}],
    ],
)  # fmt: skip
def test_openai_fragments_are_joined_by_index(fragments: list[object]) -> None:
    """Calls come together whether a server gives indexes and ids or not."""
    reader = OpenAi(GPT).reader()
    for fragment in fragments:
        feed(reader, {"choices": [{"delta": {"tool_calls": [fragment]}}]})
    feed(reader, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
    turn = reader.turn()
    assert [(call.name, call.arguments) for call in turn.entry.calls] == [("x", {}), ("y", {})]
    assert turn.stop == "tools"
    assert len({call.call_id for call in turn.entry.calls}) == 2


def test_openai_without_usage_or_done_is_whole_with_its_finish_reason() -> None:
    """A server that sends neither usage nor [DONE] has still answered."""
    reader = OpenAi(GPT).reader()
    assert feed(reader, {"choices": [{"delta": {"content": "hi"}, "finish_reason": None}]}) == "hi"
    assert not reader.is_complete()
    feed(reader, {"choices": [{"delta": {}, "finish_reason": "length"}]})
    assert reader.is_complete()
    assert (reader.turn().stop, reader.turn().usage.input_tokens) == ("length", 0)


def test_openai_error_event() -> None:
    """An error inside the stream is a failure with its message."""
    with pytest.raises(StreamFault) as raised:
        feed(OpenAi(GPT).reader(), {"error": {"message": "overloaded", "type": "server_error"}})
    assert (raised.value.failure.code, raised.value.failure.retry) == ("model_unavailable", "soon")


KEYS = st.sampled_from(
    ["type", "index", "delta", "text", "message", "usage", "choices", "tool_calls", "function", "name", "id",
     "arguments", "content", "finish_reason", "content_block", "partial_json", "error", "input"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TYPES = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "error", "x"]
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(TYPES, st.dictionaries(KEYS, JSON, max_size=6)), max_size=6))
def test_any_json_is_survived_by_both_readers(values: list[tuple[str, dict[str, object]]]) -> None:
    """Whatever shape events have, a reader gives text and a Turn, or a StreamFault."""
    for reader in (Anthropic(CLAUDE).reader(), OpenAi(GPT).reader()):
        try:
            for kind, value in values:
                assert isinstance(feed(reader, {**value, "type": kind}), str)
        except StreamFault:
            continue
        assert reader.turn().entry.role == "assistant"


@given(st.text(max_size=40) | JSON.map(json.dumps))
def test_arguments_are_an_object_or_refused(text: str) -> None:
    """What is parsed can always be written to a frame again."""
    try:
        arguments = parse_arguments(text)
    except BadArguments as error:
        assert str(error)
    else:
        json.dumps(arguments, allow_nan=False, ensure_ascii=False).encode()


def test_reason_holds_no_control_characters_and_is_short() -> None:
    """An upstream's text reaches a person cut and without what could disturb a terminal."""
    failure = failure_of_answer("main", "m", 500, {}, "\x1b[2J\u202e" + "x" * 10_000)
    assert "\x1b" not in failure.reason and "\u202e" not in failure.reason
    assert len(failure.reason) < MAX_DETAIL_CHARS + 100


@pytest.mark.parametrize("value", ["", "soon", "-1", "nan", "inf", "1e9", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_retry_after_that_is_no_wait_is_ignored(value: str) -> None:
    """Only a sane number of seconds counts."""
    assert failure_of_answer("r", "m", 429, {"retry-after": value}, "").retry_after_s is None


@given(
    after_s=st.none() | st.floats(0, 100),
    retry=st.sampled_from(["soon", "proxy"]),
    chances=st.lists(st.floats(0, 1, exclude_max=True), min_size=300, max_size=300),
)
def test_retries_are_bounded(after_s: float | None, retry: str, chances: list[float]) -> None:
    """However a service fails, asking again ends, within the budget of waiting, and honours what it asked for."""
    failure = Failure(code="x", reason="y", retry="proxy" if retry == "proxy" else "soon", retry_after_s=after_s)
    limits = RetryLimits()
    waited_s = 0.0
    for tries, chance in enumerate(chances, start=1):
        wait_s = retry_wait(failure, limits, tries=tries, waited_s=waited_s, chance=chance)
        if wait_s is None:
            break
        if retry == "soon" and after_s is not None:
            assert wait_s >= after_s
        waited_s += wait_s
    else:
        pytest.fail("asked again without end")
    assert waited_s <= (limits.proxy_s if retry == "proxy" else limits.service_s)


def test_what_cannot_help_is_not_retried() -> None:
    """A refused key is told at once."""
    failure = Failure(code="model_refused_key", reason="no")
    assert retry_wait(failure, RetryLimits(), tries=1, waited_s=0, chance=0.5) is None
