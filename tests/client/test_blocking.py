"""Both clients against a host that answers wrongly: named errors, never a hang."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from client import blocking
from client.control import ControlClient
from client.errors import ControlError, HostNotRunning, HostSilent, HostUnreadable, Refused
from protocol.control import Event, Problem, Reply
from protocol.frames import encode_frame

ANSWERS: dict[str, tuple[bytes, type[ControlError]]] = {
    "nothing": (b"", HostUnreadable),
    "half a header": (b"\x00\x00", HostUnreadable),
    "half a body": (b"\x00\x00\x00\x09abc", HostUnreadable),
    "too large": (b"\xff\xff\xff\xff", HostUnreadable),
    "not JSON": (b"\x00\x00\x00\x01x", HostUnreadable),
    "a client's frame": (b'\x00\x00\x00\x1d{"type":"say","text":"hello"}', HostUnreadable),
    "an event and the end": (encode_frame(Event(value=1)), HostUnreadable),
    "a refusal": (encode_frame(Problem(code="no", message="not now", mend="later")), Refused),
}


@asynccontextmanager
async def host_that_sends(path: Path, answer: bytes) -> AsyncIterator[None]:
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        writer.close()
        await writer.wait_closed()
        served.set()

    async with await asyncio.start_unix_server(serve, path):
        yield
        await served.wait()


@pytest.mark.parametrize("name", ANSWERS)
async def test_wrong_answers_are_named_errors(tmp_path: Path, name: str) -> None:
    """Whatever comes back, the async and the blocking client raise the same named error."""
    answer, error = ANSWERS[name]
    path = tmp_path / "control.sock"
    async with asyncio.timeout(10):
        async with host_that_sends(path, answer):
            with pytest.raises(error):
                await ControlClient(path).request("health")
        async with host_that_sends(path, answer):
            with pytest.raises(error):
                await asyncio.to_thread(blocking.request, path, "health")


async def test_stream_ends_with_the_reply(tmp_path: Path) -> None:
    """A streamed verb yields its events and, last, its reply."""
    path = tmp_path / "control.sock"
    frames = [Event(value={"n": 1}), Event(value={"n": 2}), Reply(value={"n": 3})]
    async with host_that_sends(path, b"".join(encode_frame(frame) for frame in frames)):
        assert [value async for value in ControlClient(path).stream("watch")] == [{"n": 1}, {"n": 2}, {"n": 3}]


async def test_what_is_no_text_is_refused_and_not_sent(tmp_path: Path) -> None:
    """Bytes of a terminal that are no UTF-8, and numbers that JSON lacks, are a refusal of every client."""
    path = tmp_path / "control.sock"
    for wrong in ({"text": "a\udcff"}, {"n": float("nan")}):
        async with asyncio.timeout(10):
            async with host_that_sends(path, b""):
                with pytest.raises(Refused, match="no UTF-8"):
                    await ControlClient(path).request("send", wrong)
            async with host_that_sends(path, b""):
                with pytest.raises(Refused, match="no UTF-8"):
                    await asyncio.to_thread(blocking.request, path, "send", wrong)


def test_nobody_there(tmp_path: Path) -> None:
    """No socket, a plain file, and a socket that nobody listens on are all `the host is not running`."""
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(HostNotRunning) as error:
            blocking.request(tmp_path / name, "health")
        assert error.value.mend == "./nightyard up"


async def test_blocking_client_gives_a_silent_host_up(tmp_path: Path) -> None:
    """The blocking client waits no longer than it was told."""
    path = tmp_path / "control.sock"
    ended = asyncio.Event()

    async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_unix_server(listen_only, path):
        with pytest.raises(HostSilent):
            await asyncio.to_thread(blocking.request, path, "health", None, 0.05)
        await ended.wait()
