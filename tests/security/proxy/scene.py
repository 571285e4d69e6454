"""Where attacks are played: a proxy, an upstream A that was granted the canary, a hostile B, and the oracle.

The oracle is the canary: it may arrive at A and nowhere else. Not at B, not at a client, not in a file of the proxy's
(vault, audit, write-ahead logs, a backup of each), not in a log line, an event to the host or an answer to the admin.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sqlite3
import urllib.parse
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import SupportsIndex

from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits
from tests.credproxy.street import CANARY, Client, Street, Upstream

A, B = "a.test", "b.test"
PATIENCE_S = 30.0


def forms_of(secret: bytes) -> tuple[bytes, ...]:
    """Return the forms in which somebody could still read a secret; written apart from the proxy's own search."""
    text = secret.decode("ascii")
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode(), json.dumps(text)[1:-1].encode()}
    forms |= {urllib.parse.quote(text, safe=safe).encode() for safe in ("", "/", "/+")}
    for before in (b"", b"x", b"xx"):
        whole = base64.b64encode(before + secret)
        forms |= {whole[4:-4], whole[4:-4].translate(bytes.maketrans(b"+/", b"-_"))}
    return tuple(sorted(forms))


CANARY_FORMS = forms_of(CANARY.encode())


def finds(where: bytes) -> bool:
    """Whether the canary can be read there."""
    return any(form in where for form in CANARY_FORMS)


class KeepingReader(asyncio.StreamReader):
    """A client's reading end that keeps all it ever got: in clear, inside a tunnel too."""

    def __init__(self, kept: bytearray) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._kept = kept

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        data = bytes(data)
        self._kept += data
        super().feed_data(data)


class KeepingHandler(logging.Handler):
    """Every log line of every logger, with its traceback and its extra fields."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {record.__dict__}")


@contextmanager
def kept_logs() -> Iterator[KeepingHandler]:
    """Keep every log line, however low, for as long as this is open."""
    handler, root = KeepingHandler(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


@dataclass(slots=True)
class Scene:
    """A is granted with the secret, B is there without a grant; whoever writes a test says what else is granted."""

    street: Street
    a: Upstream
    b: Upstream
    logs: KeepingHandler
    received: bytearray = field(default_factory=bytearray)
    """All that any client of this scene ever got."""
    said: list[str] = field(default_factory=list)
    """What else the proxy told somebody: answers of the admin socket."""
    leases: int = 0

    @property
    def host(self) -> str:
        return f"{A}:{self.a.port}"

    @property
    def place(self) -> str:
        """A as a grant names it."""
        return f"host: {A}, port: {self.a.port}, addresses: [127.0.0.1]"

    async def grant(self, text: str, *, effects: Effects = Effects.LIVE, limits: Limits | None = None) -> None:
        """Let these be the group's grants from now on."""
        self.street.grants = text
        self.leases += 1
        await self.street.lease(attempt=f"attempt_{self.leases}", effects=effects, limits=limits)

    @asynccontextmanager
    async def client(self, path: Path | None = None) -> AsyncIterator[Client]:
        """A connection to the door, all of whose bytes the oracle sees."""
        loop = asyncio.get_running_loop()
        reader = KeepingReader(self.received)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.create_unix_connection(lambda: protocol, str(path or self.street.door_path))
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()

    @asynccontextmanager
    async def inside(self, host: str = A, port: int = 0, path: Path | None = None) -> AsyncIterator[Client]:
        """A client in a tunnel, to A if nothing else is said."""
        async with self.client(path) as client:
            yield await client.tunnel(host, port or self.a.port, self.street.ca)

    async def raw_inside(self, wire: bytes) -> bytes:
        """Send bytes in a tunnel to A; return the head of what is answered, empty if the proxy just closes."""
        async with self.inside() as client:
            return await answer_head(client, wire.replace(b"HOST", self.host.encode()))

    async def raw_at_door(self, wire: bytes) -> bytes:
        async with self.client() as client:
            return await answer_head(client, wire.replace(b"HOST", self.host.encode()))

    async def other_door(self, name: str, group: str = "second") -> Path:
        """Open another container's door, of another group, with a lease of its own."""
        door = DoorId(f"door_{name * 16}")
        path = self.street.door_path.with_name(f"{name}.sock")
        await self.street.admin.open_door(door, path)
        lease = Lease(
            task_id=TaskId(f"task_{name}"),
            attempt_id=AttemptId(f"attempt_{name}"),
            group_id=GroupId(group),
            effects=Effects.LIVE,
            limits=Limits(),
            routes=tuple(self.street.routes),
        )
        await self.street.admin.grant(door, lease)
        return path

    def canary_came_home(self) -> bool:
        return CANARY.encode() in self.a.everything

    def leaks(self) -> list[str]:
        """Say everywhere the canary is, but in A's inbox."""
        found = [name for name, where in self._places() if finds(where)]
        for file in sorted(self.street.folder.rglob("*")):
            if file.is_file():
                found += [file.name] if finds(file.read_bytes()) else []
                found += [f"backup of {file.name}"] if file.suffix == ".db" and finds(backup_of(file)) else []
        return found

    def _places(self) -> Iterator[tuple[str, bytes]]:
        yield "B", bytes(self.b.everything)
        yield "a client", bytes(self.received)
        yield "the log", "\n".join(self.logs.lines).encode()
        yield "an event", repr(self.street.events).encode()
        yield "an answer of the admin", "\n".join(self.said).encode()


def backup_of(database: Path) -> bytes:
    """Return a database as SQLite's own backup copies it, the write-ahead log's rows included."""
    with (
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as source,
        closing(sqlite3.connect(":memory:")) as copy,
    ):
        source.backup(copy)
        return copy.serialize()


async def answer_head(client: Client, wire: bytes) -> bytes:
    """Send bytes; return the head that is answered, empty if the connection ends without one."""
    client.writer.write(wire)
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await client.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""


def status_of(head: bytes) -> int:
    """Return a head's status, 0 if there is none."""
    return int(head[9:12]) if head else 0


def code_of(head: bytes) -> str:
    """Return what the proxy says about its own answer, empty if the answer is the upstream's."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"x-nightyard":
            return value.strip().decode("ascii")
    return ""


@asynccontextmanager
async def open_scene(folder: Path, street: Street | None = None) -> AsyncIterator[Scene]:
    """Open a whole scene; at its end the canary must be at home."""
    street = street or Street(folder)
    with kept_logs() as logs:
        async with street.open(), street.upstream(A) as a, street.upstream(B) as b:
            street.addresses |= {A: ["127.0.0.1"], B: ["127.0.0.1"]}
            scene = Scene(street, a, b, logs)
            await scene.grant(f"- {{{scene.place}, paths: [/open/**, /x], secret: key, inject: bearer}}")
            yield scene
            assert scene.leaks() == []
        assert scene.leaks() == []
