"""The agent's end of host.sock: what the host must store is kept here until the host says it has.

One thread at a time reads and reconnects (`reading`); any thread may send. Frames and their rules: `protocol/link.py`;
the host's end: `runtime/agent_link.py`. Files go over it by `file_sender.py`.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress

from agents import VERSION
from agents.interrupt import Interrupt
from protocol.frames import (
    MAX_HOST_FRAME_BYTES,
    PROTOCOL_VERSION,
    FrameDecoder,
    FrameError,
    check_version,
    encode_frame,
)
from protocol.link import (
    HOST_FRAMES,
    Ack,
    Answered,
    Ask,
    Assignment,
    FileAccepted,
    FileRefused,
    FileStored,
    Finished,
    Hello,
    Steer,
    SteerMessage,
    StepTaken,
    Stop,
    Welcome,
)
from protocol.task import TaskResult
from protocol.transcript import Step

FileAnswer = FileAccepted | FileRefused | FileStored

_READ_BYTES = 64 << 10
_SEND_TIMEOUT_S = 20
_HANDSHAKE_TIMEOUT_S = 5.0
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5


class HostGone(Exception):
    """The host stayed away for longer than it allows."""


class HostLink:
    """The connection to the host, through any number of its restarts.

    `on_stop` is called from the reading thread when a Stop frame comes; it wakes whoever waits here (`wake`).
    """

    def __init__(
        self, *, socket_path: str, descriptor: int, interrupt: Interrupt, on_stop: Callable[[str], None]
    ) -> None:
        """`descriptor`: a connected socket on which Hello has been sent (`greeting.py`)."""
        self._path = socket_path
        self._first = socket.socket(fileno=descriptor)
        self._interrupt = interrupt
        self._on_stop = on_stop
        self._nonce = ""
        self._absence_s = 60.0
        self.heartbeat_s = 0.5  # until the Welcome says
        # Taken in this order: `_ending` for the last word, `_sending` orders what goes out, `_changed` guards and
        # announces what has come in.
        self._ending = threading.Lock()
        self._finished_seq: int | None = None
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._socket: socket.socket | None = None
        self._connections = 0
        self._last_seq = 0
        self._unacked: dict[int, bytes] = {}
        self._held = b""
        self._assignment: Assignment | None = None
        self._file_answers: list[FileAnswer] = []
        self._answers: dict[str, Answered] = {}
        self._told: dict[str, SteerMessage] = {}
        self._heard: set[str] = set()
        self.when_told: Callable[[], None] = lambda: None
        """Called from the reading thread when something was said to the task."""
        self._ended = threading.Event()
        """Beside `_changed`: who waits for nothing else is not woken by all that comes."""

    # -- what the loop's thread calls ---------------------------------------------------------------------------

    @property
    def _closed(self) -> bool:
        return self._ended.is_set()

    @property
    def assignment(self) -> Assignment | None:
        """The task, once it has come."""
        return self._assignment

    def send_step(self, step: Step) -> int:
        """Send a step and return its seq without waiting; raise FrameError("oversized")."""
        return self._send_sequenced(lambda seq: StepTaken(seq=seq, step=step))

    def hold_step(self, step: Step) -> None:
        """Send a step together with what is sent next: the host then stores both in one go."""
        self._send_sequenced(lambda seq: StepTaken(seq=seq, step=step), is_held=True)

    def store_step(self, step: Step) -> None:
        """Return when the host has stored the step; raise Interrupted, or HostGone."""
        self.wait_acked(self.send_step(step))

    def finish(self, result: TaskResult) -> int:
        """Send the last word and return its seq. Only the first counts: two threads may both come to an end."""
        with self._ending:
            if self._finished_seq is None:
                self._finished_seq = self._send_sequenced(lambda seq: Finished(seq=seq, result=result))
            return self._finished_seq

    def wait_acked(self, seq: int, *, interruptible: bool = True) -> None:
        """Return when the host has stored everything up to `seq`."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        seq not in self._unacked or self._closed or (interruptible and self._interrupt.is_tripped())
                    ),
                    timeout=self._absence_s,
                )
                if seq not in self._unacked:
                    return
                if interruptible:
                    self._interrupt.check()
                if self._closed:
                    raise HostGone
            self._drop()  # a host that holds the connection and answers nothing is as good as away

    def say(self, frame: object, *, connection: int | None = None) -> bool:
        """Send something that is not kept; return False while the host is away, or on another connection than given."""
        data = encode_frame(frame)
        with self._sending:
            if connection is not None and connection != self._connections:
                return False
            return self._write(data)

    def wait_file_answer(
        self, matches: Callable[[FileAnswer], bool], connection: int, timeout_s: float
    ) -> FileAnswer | None:
        """Return the host's word on a file, or None when there is none: too late, or the connection was lost."""

        def found() -> FileAnswer | None:
            return next(filter(matches, self._file_answers), None)

        with self._changed:
            self._changed.wait_for(
                lambda: found() or self._connections != connection or self._closed or self._interrupt.is_tripped(),
                timeout=timeout_s,
            )
            self._interrupt.check()
            answer = found()
            if answer is not None:
                self._file_answers.remove(answer)
            return answer

    def ask(self, question: Ask) -> Answered:
        """Return the host's answer to a tool's question, however long that takes; raise Interrupted, HostGone. Over a
        lost connection it is asked again."""
        while True:
            connection = self.wait_connected(self._absence_s)
            if connection is not None and self.say(question, connection=connection):
                answered = self._wait_answer(question.call_id, connection)
                if answered is not None:
                    return answered
            if self._closed:
                raise HostGone

    def _wait_answer(self, call_id: str, connection: int) -> Answered | None:
        """Return the answer to a call, None where the connection was lost."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    call_id in self._answers
                    or self._connections != connection
                    or self._closed
                    or self._interrupt.is_tripped()
                )
            )
            self._interrupt.check()
            return self._answers.pop(call_id, None)

    def take_told(self) -> tuple[SteerMessage, ...]:
        """Return what was said to the task since the last time, in order; each message once."""
        with self._changed:
            told = tuple(self._told.values())
            self._told.clear()
            return told

    def wait_connected(self, timeout_s: float) -> int | None:
        """Return the number of the connection now in use (it grows by one with each), or None after the time-out."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._socket or self._closed or self._interrupt.is_tripped(), timeout=timeout_s
            )
            self._interrupt.check()
            return self._connections if self._socket else None

    def wait_closed(self, timeout_s: float) -> bool:
        """Return True once the link is closed for good."""
        return self._ended.wait(timeout_s)

    def wake(self) -> None:
        """Have every waiter look at the interrupt."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> bytes:
        """End the link for good and return what the host has not stored, as frames behind a Hello with the nonce.

        The nonce shows whose word it is: tools could write the same file, but never knew it.
        """
        with self._changed:
            self._ended.set()
            unacked = b"".join(self._unacked.values())
            self._changed.notify_all()
        self._drop()
        return encode_frame(self._hello()) + unacked if unacked else b""

    # -- what goes out ------------------------------------------------------------------------------------------

    def _send_sequenced(self, frame: Callable[[int], object], *, is_held: bool = False) -> int:
        with self._sending:
            seq = self._last_seq + 1
            data = encode_frame(frame(seq))
            self._last_seq = seq
            with self._changed:
                self._unacked[seq] = data
            self._held += data
            if not is_held:
                self._write(self._held)
                self._held = b""
        return seq

    def _write(self, data: bytes) -> bool:
        """Send on the open connection; the caller holds `_sending`. After a failure the reader connects anew."""
        connection = self._socket
        if connection is None:
            return False
        try:
            connection.sendall(data)
        except OSError:
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        """Give the connection up: a frame may be half sent, so nothing may follow it."""
        connection, self._socket = self._socket, None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _hello(self) -> Hello:
        return Hello(protocol=PROTOCOL_VERSION, agent_version=VERSION, nonce=self._nonce)

    # -- the reading thread -------------------------------------------------------------------------------------

    def run(self) -> None:
        """Read until the host is away for too long (HostGone) or speaks another language (FrameError)."""
        for _ in self.reading():
            pass

    def reading(self) -> Iterator[socket.socket]:
        """Read as `run` does, and yield the connection before each wait for more: who takes this over reads on."""
        connection: socket.socket | None = self._first
        away_since = time.monotonic()
        pause_s = _FIRST_PAUSE_S
        while True:
            if connection is not None and (yield from self._serve(connection)):
                away_since, pause_s = time.monotonic(), _FIRST_PAUSE_S
            if self.wait_closed(pause_s):
                return
            if time.monotonic() - away_since > self._absence_s:
                raise HostGone
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            connection = self._connect()

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_HANDSHAKE_TIMEOUT_S)
        try:
            connection.connect(self._path)
            connection.sendall(encode_frame(self._hello()))
        except OSError:
            connection.close()
            return None
        return connection

    def _serve(self, connection: socket.socket) -> Generator[socket.socket, None, bool]:
        """Read one connection to its end; return whether the host welcomed us on it."""
        decoder = FrameDecoder(MAX_HOST_FRAME_BYTES)
        welcomed = False
        with connection:
            connection.settimeout(_HANDSHAKE_TIMEOUT_S)
            while True:
                yield connection
                try:
                    chunk = connection.recv(_READ_BYTES)
                except OSError:
                    chunk = b""
                if not chunk:
                    self._lost(connection)
                    return welcomed
                for body in decoder.feed(chunk):
                    frame = HOST_FRAMES.decode(body)
                    if isinstance(frame, Welcome):
                        self._begin(connection, frame)
                        welcomed = True
                    elif welcomed:
                        self._take(frame)
                    else:
                        raise FrameError("no_welcome", f"the host began with {type(frame).__name__}")

    def _begin(self, connection: socket.socket, welcome: Welcome) -> None:
        check_version(welcome.protocol)
        self._nonce = welcome.nonce
        self._absence_s = welcome.host_absence_s
        self.heartbeat_s = welcome.heartbeat_s
        connection.settimeout(None)
        # A time-out in the kernel and not in Python: that one would hold for the reading thread too.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_TIMEOUT_S, 0))
        self._forget(welcome.stored_seq)
        with self._sending:
            with self._changed:
                again = list(self._unacked.values())
                self._held = b""
                self._socket = connection
                self._connections += 1
                self._file_answers.clear()
                self._changed.notify_all()
            for data in again:
                self._write(data)

    def _take(self, frame: object) -> None:
        match frame:
            case Ack():
                self._forget(frame.seq)
            case Stop():
                self._on_stop(frame.reason)
            case Assignment():
                self._assignment = self._assignment or frame
            case Answered():
                with self._changed:
                    self._answers[frame.call_id] = frame
                    self._changed.notify_all()
            case Steer():
                with self._changed:
                    fresh = [message for message in frame.messages if message.message_id not in self._heard]
                    self._told.update((message.message_id, message) for message in fresh)
                    self._heard.update(message.message_id for message in fresh)
                self.when_told()
            case FileAccepted() | FileRefused() | FileStored():
                with self._changed:
                    self._file_answers.append(frame)
                    self._changed.notify_all()

    def _forget(self, stored_seq: int) -> None:
        with self._changed:
            for seq in [seq for seq in self._unacked if seq <= stored_seq]:
                del self._unacked[seq]
            self._changed.notify_all()

    def _lost(self, connection: socket.socket) -> None:
        with self._changed:
            if self._socket is connection:
                self._socket = None
            self._connections += 1
            self._changed.notify_all()
