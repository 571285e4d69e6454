"""A model service's traffic written down and played back, through a real HTTP client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from twins.http_server import Exchange, Request, serve_http
from twins.models.recording import Recorder, Replayer, dump_recording, load_recording

PIECES = (b'data: {"a": "\xe2', b'\x98\xbe"}\n\n', b"data: end\n\n")
QUESTION = '{"said": "gr\u00fc\u00dfe"}'.encode()


async def serve_pieces(request: Request, exchange: Exchange) -> None:
    """A service that answers in pieces, one of which ends in the middle of a character; `/broken` has no end."""
    await exchange.start(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    for piece in PIECES:
        await exchange.send(piece)
    if request.path != "/broken":
        await exchange.end()


@pytest.fixture
async def recorder(tmp_path: Path) -> AsyncIterator[tuple[Recorder, httpx.AsyncClient]]:
    async with serve_http(serve_pieces) as service:
        recorder = Recorder(upstream=f"http://127.0.0.1:{service}", file=tmp_path / "recording.json")
        async with (
            serve_http(recorder.handle) as port,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
        ):
            yield recorder, client


async def play(recorder: Recorder, path: str, question: bytes) -> tuple[list[bytes], Replayer, int]:
    replayer = Replayer(recorded=load_recording(dump_recording(recorder.recorded)))
    pieces: list[bytes] = []
    async with serve_http(replayer.handle) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            async with client.stream("POST", path, content=question) as answer:
                async for piece in answer.aiter_raw():
                    pieces.append(piece)
        except httpx.RemoteProtocolError:
            pieces.append(b"broke off")
    return pieces, replayer, answer.status_code


async def test_what_was_recorded_is_played_as_it_was(recorder: tuple[Recorder, httpx.AsyncClient]) -> None:
    """The same bytes, cut at the same places; the key is not written down."""
    recording, client = recorder
    answer = await client.post("/v1/messages", content=QUESTION, headers={"x-api-key": "sk-secret"})
    assert answer.content == b"".join(PIECES)
    written = (recording.file or Path()).read_text("utf-8")
    assert "sk-secret" not in written and load_recording(json.loads(written)) == recording.recorded
    pieces, replayer, _ = await play(recording, "/v1/messages", QUESTION)
    assert pieces == list(PIECES)
    assert replayer.differences == []


async def test_an_answer_that_broke_off_breaks_off_again(recorder: tuple[Recorder, httpx.AsyncClient]) -> None:
    """After the same piece."""
    recording, client = recorder
    with pytest.raises(httpx.RemoteProtocolError):
        await client.post("/broken", content=QUESTION)
    assert not recording.recorded[0].is_whole
    pieces, _, _ = await play(recording, "/broken", QUESTION)
    assert pieces == [*PIECES, b"broke off"]


@pytest.mark.parametrize(
    ("path", "question", "told"),
    [
        ("/v1/messages", QUESTION.replace(b"gr", b"Gr"), "from byte 10 on it was"),
        ("/v1/messages", QUESTION + b" ", f"from byte {len(QUESTION)} on it was"),
        ("/v1/other", QUESTION, "it goes to /v1/other, and went to /v1/messages"),
    ],
)
async def test_another_question_is_not_answered(
    recorder: tuple[Recorder, httpx.AsyncClient], path: str, question: bytes, told: str
) -> None:
    """One byte is enough; it is told where."""
    recording, client = recorder
    await client.post("/v1/messages", content=QUESTION)
    _, replayer, status = await play(recording, path, question)
    assert status == 400
    assert told in replayer.differences[0]


async def test_more_questions_than_were_asked(recorder: tuple[Recorder, httpx.AsyncClient]) -> None:
    """There is no answer to a question that nobody asked then."""
    recording, _ = recorder
    _, replayer, status = await play(recording, "/v1/messages", QUESTION)
    assert status == 400 and "question 1 was never asked" in replayer.differences[0]
