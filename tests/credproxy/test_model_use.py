"""Reading token use as a response passes: both APIs, streamed and not, whole and broken, split anyhow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.audit.model_use import ModelUse, ModelUseReader, asked_model
from credproxy.audit.price_file import PriceFile
from credproxy.audit.prices import Price, cost_of, find_price, parse_prices

ANTHROPIC_START: dict[str, object] = {
    "type": "message_start",
    "message": {
        "model": "claude-x",
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 20,
            "cache_read_input_tokens": 30,
            "output_tokens": 1,
        },
    },
}
STREAMS = {
    "anthropic": (
        [
            ANTHROPIC_START,
            {"type": "content_block_delta", "delta": {"text": "hi"}},
            {"type": "message_delta", "usage": {"output_tokens": 7}},
        ],
        ModelUse(model="claude-x", input_tokens=60, output_tokens=7, cache_read_tokens=30, cache_write_tokens=20),
    ),
    "openai": (
        [
            {"model": "gpt-x", "choices": [{"delta": {"content": "hi"}}], "usage": None},
            {
                "model": "gpt-x",
                "choices": [],
                "usage": {
                    "prompt_tokens": 11,
                    "completion_tokens": 3,
                    "prompt_tokens_details": {"cached_tokens": 4},
                },
            },
        ],
        ModelUse(model="gpt-x", input_tokens=11, output_tokens=3, cache_read_tokens=4),
    ),
    "openai responses": (
        [
            {
                "type": "response.completed",
                "response": {"model": "gpt-y", "usage": {"input_tokens": 5, "output_tokens": 6}},
            }
        ],
        ModelUse(model="gpt-y", input_tokens=5, output_tokens=6),
    ),
}


def wire_of(events: list[dict[str, object]]) -> bytes:
    return b"".join(b"event: x\r\ndata: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events)


@pytest.mark.parametrize("name", STREAMS)
@given(data=st.data())
def test_stream_is_read_however_it_is_split(name: str, data: st.DataObject) -> None:
    """Any split of the bytes gives the same use."""
    events, expected = STREAMS[name]
    wire = wire_of(events)  # type: ignore[arg-type]  # plain JSON
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    reader = ModelUseReader(is_event_stream=True)
    for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        reader.feed(wire[begin:end])
    assert reader.use(status=200, request_bytes=100, asked_model="") == expected


def test_whole_answers_are_read() -> None:
    """A response in one piece tells the same."""
    reader = ModelUseReader(is_event_stream=False)
    reader.feed(b'{"model":"claude-x","usage":{"input_tokens":3,')
    reader.feed(b'"output_tokens":4}}')
    use = reader.use(status=200, request_bytes=1, asked_model="")
    assert (use.model, use.input_tokens, use.output_tokens, use.is_estimated) == ("claude-x", 3, 4, False)


def test_what_is_not_told_is_estimated_high() -> None:
    """A stream without its numbers, or cut before the last, is no way around a limit."""
    silent = ModelUseReader(is_event_stream=True)
    silent.feed(b'data: {"choices":[]}\n\n' * 100)
    use = silent.use(status=200, request_bytes=4000, asked_model="m")
    assert (use.model, use.input_tokens, use.is_estimated) == ("m", 1000, True)
    assert use.output_tokens > 50
    cut = ModelUseReader(is_event_stream=True)
    cut.feed(wire_of([ANTHROPIC_START]) + b'data: {"type":"content_block_delta"}\n\n' * 200)
    assert cut.use(status=200, request_bytes=1, asked_model="").output_tokens > 100


@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_break_the_reader(wire: bytes, is_event_stream: bool) -> None:
    """Whatever an upstream sends is read or passed over; numbers are never negative."""
    reader = ModelUseReader(is_event_stream=is_event_stream)
    reader.feed(b'data: {"usage":' + wire + b"\n")
    reader.feed(b'{"usage":{"input_tokens":-5,"output_tokens":true}}')
    use = reader.use(status=200, request_bytes=0, asked_model="")
    assert use.input_tokens >= 0
    assert use.output_tokens >= 0


def test_errors_cost_nothing() -> None:
    """An error response used no tokens."""
    reader = ModelUseReader(is_event_stream=False)
    reader.feed(b'{"error":{}}')
    assert reader.use(status=500, request_bytes=10_000, asked_model="m").input_tokens == 0


def test_google_tells_its_use_in_its_own_words() -> None:
    """Whole or streamed: thoughts are paid for as what is said, cached tokens are part of the prompt."""
    told = {
        "modelVersion": "gemini-x",
        "usageMetadata": {
            "promptTokenCount": 20,
            "cachedContentTokenCount": 5,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 3,
        },
    }
    expected = ModelUse(model="gemini-x", input_tokens=20, output_tokens=10, cache_read_tokens=5)
    whole = ModelUseReader(is_event_stream=False)
    whole.feed(json.dumps(told).encode())
    assert whole.use(status=200, request_bytes=1, asked_model="") == expected
    streamed = ModelUseReader(is_event_stream=True)
    streamed.feed(b'data: {"usageMetadata": {"promptTokenCount": 20}}\r\n\r\n')
    streamed.feed(b"data: " + json.dumps(told).encode() + b"\r\n\r\n")
    assert streamed.use(status=200, request_bytes=1, asked_model="") == expected


@pytest.mark.parametrize(
    ("usage", "heard"),
    [
        ({"type": "tokens", "input_tokens": 50, "output_tokens": 3, "total_tokens": 53}, 50),
        ({"type": "duration", "seconds": 9.5}, 96),
        ({"type": "duration", "seconds": -1}, 1),
        ({"type": "duration", "seconds": "nine"}, 200),
        (None, 200),
    ],
)
def test_a_recording_is_counted_by_what_is_heard(usage: object, heard: int) -> None:
    """In tokens, or by its seconds; where the answer tells neither, by its bytes, more of them a token than of text."""
    reader = ModelUseReader(is_event_stream=False)
    reader.feed(json.dumps({"text": "buy milk", "usage": usage}).encode())
    use = reader.use(status=200, request_bytes=40_000, asked_model="whisper-1", is_audio=True)
    assert (use.model, use.input_tokens) == ("whisper-1", heard)
    assert 0 < use.output_tokens < 40
    form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ngpt-4o-transcribe\r\n--b'
    assert asked_model(form) == "gpt-4o-transcribe"


def test_a_models_name_can_be_written_and_shown() -> None:
    """JSON can spell what is no character, and what a terminal obeys: such a name would end the connection to the host
    and be lost with all that is summed beside it."""
    for key, usage in (("model", b'"usage":{"input_tokens":1}'), ("modelVersion", b'"usageMetadata":{}')):
        reader = ModelUseReader(is_event_stream=False)
        reader.feed(b'{"%s":"a\\ud800b\\u001b\\u0000\xc3\xa9 c",%s}' % (key.encode(), usage))
        name = reader.use(status=200, request_bytes=0, asked_model="").model
        assert name == "a?b??é c"
        assert name.encode("utf-8").decode("utf-8") == name


def test_asked_model_is_found_in_a_request() -> None:
    """The name in the request stands in where the response has none."""
    assert asked_model(b'{"max_tokens":1,"model": "gpt-5.1-mini","messages":[]}') == "gpt-5.1-mini"
    assert asked_model(b'{"messages":[]}') == ""


def test_price_table_that_ships_is_sound(tmp_path: Path) -> None:
    """Every model in prices.yaml has its prices; a dated or vendor-prefixed name finds them."""
    prices = PriceFile(tmp_path)
    assert len(prices) > 10
    assert find_price("claude-sonnet-4-5-20250929", prices) == prices["claude-sonnet-4"]
    assert find_price("openai/gpt-4o-mini", prices) == prices["gpt-4o-mini"]
    assert find_price("no-such-model", prices) is None


def test_prices_of_the_fork_count_over_ours(tmp_path: Path) -> None:
    """What the user's file names has its price, the rest ours; a mistake in it is told, and then ours alone count."""
    prices = PriceFile(tmp_path)
    ours = prices["gpt-4o"]
    (tmp_path / "prices.yaml").write_text("gpt-4o: {input: 9, output: 9}\nllama3: {input: 1, output: 2}\n", "utf-8")
    prices.load()
    found = find_price("llama3", prices)
    assert found is not None
    assert (prices["gpt-4o"].input, found.output, prices.problem) == (9.0, 2.0, "")
    assert len(prices) > 10
    (tmp_path / "prices.yaml").write_text("gpt-4o: 9\n", "utf-8")
    prices.load()
    assert prices.problem.startswith("prices.yaml:1")
    assert prices["gpt-4o"] == ours
    assert "llama3" not in prices


def test_cost_counts_each_kind_of_token_at_its_price() -> None:
    """Plain, cached and written tokens each have their own."""
    prices = {"m": Price(input=1.0, output=10.0, cache_write=2.0, cache_read=0.1)}
    use = ModelUse(
        model="m", input_tokens=1_000_000, output_tokens=100_000, cache_read_tokens=500_000, cache_write_tokens=100_000
    )
    assert cost_of(use, prices) == pytest.approx(0.4 + 0.05 + 0.2 + 1.0)


@pytest.mark.parametrize("text", ["m: {input: 1}", "m: {input: x, output: 1}", "- m", "m: {input: .nan, output: 1}"])
def test_broken_price_table_is_explained(text: str) -> None:
    """A table with a mistake is refused with its line."""
    assert isinstance(parse_prices(text, "prices.yaml"), list)
