"""Frames: any split of the bytes gives the same frames; hostile bytes are named."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.frames import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    FrameDecoder,
    FrameError,
    FrameSet,
    check_version,
    encode_frame,
    frame_name,
)
from protocol.ids import AttemptId, FileId, GroupId, SessionId, TaskId
from protocol.link import (
    AGENT_FRAMES,
    FILE_CHUNK_BYTES,
    HOST_FRAMES,
    Ack,
    Assignment,
    Delta,
    FileChunk,
    FileOffer,
    Finished,
    Heartbeat,
    Hello,
    Progress,
    SkillCard,
    StepTaken,
)
from protocol.task import Effects, Limits, ModelRoute, Task, TaskResult, TaskStatus, Usage
from protocol.transcript import Entry, Step, ToolCall, ToolOutput

text = st.text(max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
calls = st.builds(ToolCall, call_id=text, name=text, arguments=json_values)
outputs = st.builds(ToolOutput, call_id=text, text=text, is_error=st.booleans())
entries = st.builds(
    Entry,
    role=st.sampled_from(["user", "assistant", "tool"]),
    text=text,
    calls=st.lists(calls, max_size=2).map(tuple),
    outputs=st.lists(outputs, max_size=2).map(tuple),
)
usages = st.builds(Usage, model_calls=st.integers(0, 9), cost_usd=st.none() | st.floats(0, 9))
steps = st.builds(
    Step,
    index=st.integers(0, 99),
    kind=st.sampled_from(["model_turn", "tool_started", "tool_finished"]),
    entry=st.none() | entries,
    call=st.none() | calls,
    output=st.none() | outputs,
    usage=st.none() | usages,
)
results = st.builds(TaskResult, status=st.sampled_from(TaskStatus), text=text, reason=text, structured=json_values)
agent_frames = st.one_of(
    st.builds(Hello, protocol=text, agent_version=text, nonce=text),
    st.builds(StepTaken, seq=st.integers(0, 99), step=steps),
    st.builds(Finished, seq=st.integers(0, 99), result=results),
    st.builds(Delta, text=text),
    st.builds(Progress, kind=st.sampled_from(["thinking", "tool", "retry", "note"]), text=text, tool=text),
    st.builds(Heartbeat, doing=st.sampled_from(["waiting", "model", "tool", "loop"]), for_s=st.floats(0, 1e6)),
    st.builds(FileOffer, call_id=text, name=text, size=st.integers(0, 2**40), caption=text),
    st.builds(FileChunk, file_id=text.map(FileId), data=st.binary(max_size=64), last=st.booleans()),
)


def decode_all(chunks: list[bytes]) -> list[object]:
    decoder = FrameDecoder()
    frames = [AGENT_FRAMES.decode(body) for chunk in chunks for body in decoder.feed(chunk)]
    decoder.end()
    return frames


@given(frames=st.lists(agent_frames, max_size=5), cuts=st.lists(st.integers(0, 4000), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_frames(frames: list[object], cuts: list[int]) -> None:
    """However a stream is cut into chunks, the frames that come out are the frames that went in, in order."""
    stream = b"".join(encode_frame(frame) for frame in frames)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in itertools.pairwise(edges)]
    assert decode_all(chunks) == frames
    assert decode_all([bytes([byte]) for byte in stream]) == frames


@given(entries=st.lists(entries, max_size=3), steps=st.lists(steps, max_size=3), schema=json_values)
def test_an_assignment_survives_the_link(entries: list[Entry], steps: list[Step], schema: object) -> None:
    """A task with all it carries arrives as it was sent."""
    assignment = Assignment(
        attempt_id=AttemptId("attempt_1"),
        attempt_number=2,
        task=Task(
            task_id=TaskId("task_1"),
            group_id=GroupId("main"),
            submitter="person:terminal:1",
            session_id=SessionId("session_1"),
            prompt="héllo\u202e\x00",
            effects=Effects.SHADOW,
            result_schema=schema,
            limits=Limits(cost_usd=0.5, rounds=3),
        ),
        instructions="be brief",
        model=ModelRoute(route="main", api="openai", model="m"),
        transcript=tuple(entries),
        skills=(SkillCard(name="a", description="b"),),
        steps=tuple(steps),
    )
    assert HOST_FRAMES.decode(encode_frame(assignment)[HEADER_BYTES:]) == assignment


@given(junk=st.binary(max_size=200))
def test_hostile_bytes_give_a_named_error_or_nothing(junk: bytes) -> None:
    """Whatever bytes arrive, decoding ends in frames or in a FrameError with a known code; never in another error."""
    known = {"truncated", "oversized", "not_json", "not_an_object", "unknown_type", "wrong_shape"}
    try:
        decode_all([junk])
    except FrameError as error:
        assert error.code in known


@given(value=json_values)
def test_hostile_json_gives_a_named_error(value: object) -> None:
    """A frame whose JSON is anything at all is either a frame of this link or a FrameError."""
    with pytest.raises(FrameError) as caught:
        AGENT_FRAMES.decode(json.dumps({"type": "delta", "text": [value]}).encode())
    assert caught.value.code == "wrong_shape"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[]", "not_an_object"),
        (b"{}", "unknown_type"),
        (b'{"type":["delta"]}', "unknown_type"),
        (b'{"type":"assignment"}', "unknown_type"),
        (b'{"type":"delta"}', "wrong_shape"),
        (b'{"type":"delta","text":7}', "wrong_shape"),
        (b'{"type":"delta","text":"\\ud800"}', "wrong_shape"),
        (b'{"type":"heartbeat","doing":"dancing","for_s":1}', "wrong_shape"),
        (b'{"type":"heartbeat","doing":"tool","for_s":NaN}', "wrong_shape"),
        (b'{"type":"heartbeat","doing":"tool","for_s":true}', "wrong_shape"),
        (b'{"type":"finished","seq":true,"result":{"status":"reply"}}', "wrong_shape"),
        (b'{"type":"file_chunk","file_id":"f","data":"***"}', "wrong_shape"),
        (b'{"type":"finished","seq":1,"result":{"status":"structured","structured":[{"\\ud800":1}]}}', "wrong_shape"),
        (b'{"type":"finished","seq":1,"result":{"status":"structured","structured":{"a":[1e999]}}}', "wrong_shape"),
    ],
)
def test_each_kind_of_broken_frame_has_its_code(body: bytes, code: str) -> None:
    """Every way in which a frame can be broken is named, so that the log says what the other side did."""
    with pytest.raises(FrameError) as caught:
        AGENT_FRAMES.decode(body)
    assert caught.value.code == code


def test_an_oversized_frame_is_refused_from_its_header() -> None:
    """A length above the limit is refused before any of the body is buffered."""
    with pytest.raises(FrameError, match="oversized"):
        list(FrameDecoder().feed((MAX_FRAME_BYTES + 1).to_bytes(HEADER_BYTES, "big")))
    with pytest.raises(FrameError, match="oversized"):
        encode_frame(Delta(text="x" * (MAX_FRAME_BYTES + 1)))


def test_a_stream_that_ends_inside_a_frame_is_truncated() -> None:
    """An end of stream in the middle of a frame is an error, at its edge it is not."""
    whole = encode_frame(Ack(seq=1))
    decoder = FrameDecoder()
    assert list(decoder.feed(whole[:-1])) == []
    with pytest.raises(FrameError, match="truncated"):
        decoder.end()
    assert len(list(decoder.feed(whole[-1:]))) == 1
    decoder.end()


def test_a_whole_file_chunk_fits_in_a_frame() -> None:
    """The largest chunk of a file, base64 and all, is under the limit of a frame."""
    chunk = FileChunk(file_id=FileId("file_aaaaaaaaaaaaaaaa"), data=b"\xff" * FILE_CHUNK_BYTES, last=True)
    assert AGENT_FRAMES.decode(encode_frame(chunk)[HEADER_BYTES:]) == chunk


def test_keys_from_a_newer_minor_version_are_ignored() -> None:
    """A frame may carry keys that we do not know: a newer side of the same major version added them."""
    assert AGENT_FRAMES.decode(b'{"type":"delta","text":"a","colour":"red"}') == Delta(text="a")


@pytest.mark.parametrize(("theirs", "fits"), [("1.0", True), ("1.7", True), ("2.0", False), ("", False), ("x", False)])
def test_only_our_major_version_is_spoken(theirs: str, fits: bool) -> None:
    """Another major version closes the link with a named error."""
    if fits:
        check_version(theirs)
        return
    with pytest.raises(FrameError, match="wrong_version"):
        check_version(theirs)


def test_wire_names_are_snake_case() -> None:
    """A record's wire name is its class name in snake case."""
    assert frame_name(StepTaken) == "step_taken"
    assert FrameSet(Ack).decode(b'{"type":"ack","seq":3}') == Ack(seq=3)
