"""The HTTP client over a Unix socket."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.http import Doorstep, HttpFault, Patience, post
from agents.interrupt import Interrupt, Interrupted
from tests.agents.scripted_model import Line, ScriptedModel, chunked, says

PATIENCE = Patience(connect_s=1, first_byte_s=0.3, idle_s=0.3)


def fetch(
    root: Path, interrupt: Interrupt | None = None, body: bytes = b"question", doorstep: Doorstep | None = None
) -> tuple[int, bytes]:
    with post(
        doorstep=doorstep or Doorstep(str(root / "run/yard/proxy.sock")),
        path="/m/main/v1/messages",
        body=body,
        headers={"content-type": "text/plain"},
        patience=PATIENCE,
        interrupt=interrupt or Interrupt(),
    ) as answer:
        return answer.status, b"".join(answer.body())


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nans\r\n3\r\nwer\r\n0\r\ntrailer: 1\r\n\r\n",
        b"HTTP/1.0 200\r\n\r\nanswer",
        b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hi\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:6\r\n\r\nanswer",
    ],
)
def test_each_way_to_frame_a_body(root: Path, model: ScriptedModel, reply: bytes) -> None:
    """Content-length, chunks with extensions and trailers, until close, and 1xx before: all give the body."""
    model.will(reply)
    assert fetch(root) == (200, b"answer")
    (request,) = model.requests
    assert (request.body, request.headers["content-length"], request.headers["connection"]) == (
        b"question",
        "8",
        "close",
    )


def test_a_connection_made_ahead_carries_the_next_request(tmp_path: Path) -> None:
    """The first request goes over it, and the second over one of its own."""
    path = str(tmp_path / "proxy.sock")
    doorstep = Doorstep(path)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen()
        doorstep.connect_ahead()
        with closing(listener.accept()[0]) as ahead:
            for is_ahead in (True, False):
                with doorstep.connect(1.0, Interrupt()) as connection:
                    connection.sendall(b"question")
                    with ahead.dup() if is_ahead else listener.accept()[0] as seen:
                        assert seen.recv(100) == b"question"


def test_a_connection_that_was_closed_meanwhile_is_made_anew(root: Path, model: ScriptedModel) -> None:
    """A proxy that has restarted since, or grew tired of waiting, costs nothing but the connection."""
    model.will(says("hello"))
    path = str(root / "run/yard/proxy.sock")
    doorstep = Doorstep(path)
    model.vanish()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen()
        doorstep.connect_ahead()
        listener.accept()[0].close()
    model.listen()
    assert fetch(root, doorstep=doorstep)[0] == 200


def test_nobody_to_connect_to_ahead_is_told_with_the_request(root: Path) -> None:
    """Only who has a request hears that nobody is there."""
    doorstep = Doorstep(str(root / "run/yard/nobody.sock"))
    doorstep.connect_ahead()
    with pytest.raises(HttpFault) as caught:
        fetch(root, doorstep=doorstep)
    assert caught.value.kind == "unreachable"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=30))
def test_any_split_gives_the_same_answer(root: Path, model: ScriptedModel, sizes: list[int]) -> None:
    """However the bytes arrive, the answer is the same."""
    whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(b"first", b"second" * 5, b"x")

    def dribble(line: Line) -> None:
        rest = whole
        for size in sizes:
            line.send(rest[:size])
            rest = rest[size:]
        line.send(rest)

    model.will(dribble)
    assert fetch(root) == (200, b"first" + b"second" * 5 + b"x")


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (b"", "broken"),
        (b"HTTP/1.1 200", "broken"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "broken"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha", "broken"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabcd\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nab\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: \xb2\r\n\r\n", "malformed"),
        (b"SMTP hello\r\n\r\n", "malformed"),
        (b"HTTP/1.1 999 Odd\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000, "malformed"),
        (lambda line: line.wait_closed(), "silent"),
        (lambda line: (line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nha"), line.wait_closed()), "silent"),
    ],
)
def test_answer_that_is_not_whole(root: Path, model: ScriptedModel, reply: bytes, kind: str) -> None:
    """Each way to break an answer has its kind."""
    model.will(reply)
    with pytest.raises(HttpFault) as raised:
        fetch(root)
    assert raised.value.kind == kind


def test_head_that_drips_has_a_deadline(root: Path, model: ScriptedModel) -> None:
    """A head that comes byte by byte is not waited for beyond the time for the first byte."""

    def drip(line: Line) -> None:
        for _ in range(1000):
            line.send(b"a")
            if over.wait(0.02):
                return

    over = threading.Event()
    model.will(drip)
    with pytest.raises(HttpFault) as raised:
        fetch(root)
    over.set()
    assert raised.value.kind == "silent"


def test_nobody_at_the_socket(root: Path) -> None:
    """A missing socket is told apart from a service that fails."""
    with pytest.raises(HttpFault) as raised:
        fetch(root)
    assert raised.value.kind == "unreachable"


def test_answer_that_comes_before_the_request_is_read(root: Path) -> None:
    """A refusal sent while a large body is still going out is read, not lost to a broken pipe."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "run/yard/proxy.sock"))
        listener.listen()

        def refuse() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nno")

        refuser = threading.Thread(target=refuse)
        refuser.start()
        assert fetch(root, body=b"x" * (4 << 20)) == (413, b"no")
        refuser.join()


def test_interrupt_ends_a_read(root: Path, model: ScriptedModel) -> None:
    """Tripping from another thread wakes the reader at once."""
    interrupt = Interrupt()

    def trip(line: Line) -> None:
        interrupt.trip("enough")
        line.wait_closed()

    model.will(trip)
    with pytest.raises(Interrupted, match="enough"):
        fetch(root, interrupt)
    with pytest.raises(Interrupted):
        fetch(root, interrupt)
