"""A street for tests: a whole proxy in this process, upstreams that keep what they got, and a client at a door.

Everything is over real sockets. The canary may arrive at the granted upstream and nowhere else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h11

from credproxy.admin_client.audit import AuditFilter, AuditRow, read_log
from credproxy.admin_client.link import ProxyAdmin
from credproxy.admin_server.server import AdminServer
from credproxy.audit.log import Audit
from credproxy.audit.prices import Price
from credproxy.injection.placeholder_key import load_placeholder_key
from credproxy.injection.placeholders import Placeholders
from credproxy.pipeline.door import Doors
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.policy.grants import parse_grants
from credproxy.policy.routes import build_route
from credproxy.policy.rules import GroupRules, Policy
from credproxy.trust.certificates import CertificateAuthority
from credproxy.vault.vault import Vault
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.upstream import Upstreams
from protocol.ids import AttemptId, DoorId, GroupId, TaskId
from protocol.proxy_admin import ProxyEvent
from protocol.task import Effects, EgressRule, Lease, Limits, Purse

CANARY = "canary-Zm9v/YmFy+1234567890abcdef"
GROUP = GroupId("main")
DOOR = DoorId("door_aaaaaaaaaaaaaaaa")
TIMEOUT_S = 10.0
PRICES = {"priced-model": Price(input=1_000_000.0, output=2_000_000.0, cache_write=0.0, cache_read=0.0)}

Respond = Callable[["Arrived", asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Arrived:
    """One request as an upstream got it."""

    raw: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.raw.split(b"\r\n", 1)[0].decode("ascii")

    def header(self, name: str) -> list[str]:
        lines = self.raw.split(b"\r\n")[1:]
        pairs = [line.split(b":", 1) for line in lines if b":" in line]
        return [value.strip().decode("latin-1") for found, value in pairs if found.decode("latin-1").lower() == name]


async def say_ok(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")


async def hang(_arrived: Arrived, _writer: asyncio.StreamWriter) -> None:
    """An upstream that never answers."""
    await asyncio.Event().wait()


def say(raw: bytes, *, closes: bool = False) -> Respond:
    """An upstream that answers with these bytes, whatever it is asked."""

    async def respond(_arrived: Arrived, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if closes:
            await writer.drain()
            writer.close()

    return respond


def say_json(body: bytes, media_type: bytes = b"application/json", status: bytes = b"200 OK") -> Respond:
    length = str(len(body)).encode()
    return say(
        b"HTTP/1.1 "
        + status
        + b"\r\nContent-Type: "
        + media_type
        + b"\r\nContent-Length: "
        + length
        + b"\r\n\r\n"
        + body
    )


@dataclass(slots=True)
class Upstream:
    """A server that keeps each request, and answers as it is told."""

    respond: Respond = say_ok
    inbox: list[Arrived] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    serving: set[asyncio.Task[object]] = field(default_factory=set)
    everything: bytearray = field(default_factory=bytearray)
    """All bytes that ever came, well-formed or not."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.everything += head
                arrived = Arrived(raw=head, body=b"")
                arrived.body = await self._body(arrived, reader)
                self.everything += arrived.body
                self.inbox.append(arrived)
                await self.respond(arrived, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()
            self.serving.discard(task)

    async def end(self) -> None:
        """End every connection, those that hang on purpose too."""
        for task in tuple(self.serving):
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)

    async def _body(self, arrived: Arrived, reader: asyncio.StreamReader) -> bytes:
        if arrived.header("transfer-encoding"):
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            return body
        length = arrived.header("content-length")
        return await reader.readexactly(int(length[0])) if length else b""


@dataclass(slots=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection through a door, as a container's program makes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._http = h11.Connection(h11.CLIENT)

    async def ask(
        self,
        method: str,
        target: str,
        *,
        host: str = "proxy",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Response:
        """Send a well-formed request and read its whole response."""
        await self.begin(method, target, host=host, headers=headers, body=body)
        return await self.read_response()

    async def begin(
        self,
        method: str,
        target: str,
        *,
        host: str = "proxy",
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> None:
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        length = [("content-length", str(len(body)))] if body is not None else []
        request = h11.Request(method=method, target=target, headers=[("host", host), *headers, *length])
        wire = self._http.send(request) or b""
        if body:
            wire += self._http.send(h11.Data(data=body)) or b""
        wire += self._http.send(h11.EndOfMessage()) or b""
        self.writer.write(wire)
        await self.writer.drain()

    async def read_head(self) -> h11.Response:
        while True:
            event = await self.next_event()
            if isinstance(event, h11.Response):
                return event

    async def read_response(self) -> Response:
        head = await self.read_head()
        body = b""
        while not isinstance(event := await self.next_event(), h11.EndOfMessage):
            assert isinstance(event, h11.Data), event
            body += bytes(event.data)
        headers = {bytes(name).decode(): bytes(value).decode("latin-1") for name, value in head.headers}
        return Response(status=head.status_code, headers=headers, body=body)

    async def next_event(self) -> object:
        async with asyncio.timeout(TIMEOUT_S):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self.reader.read(65536))
            return event

    async def raw(self, wire: bytes) -> bytes:
        """Send bytes as they are and return all that comes until the proxy closes."""
        self.writer.write(wire)
        async with asyncio.timeout(TIMEOUT_S):
            return await self.reader.read(-1)

    async def tunnel(self, host: str, port: int, ca: Path, *, server_name: str | None = None) -> Client:
        """CONNECT, shake hands trusting the proxy's authority, and return a client inside."""
        self.writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        async with asyncio.timeout(TIMEOUT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        context = ssl.create_default_context(cafile=str(ca))
        context.check_hostname = server_name is None
        await self.writer.start_tls(context, server_hostname=server_name or host)
        return Client(self.reader, self.writer)

    def close(self) -> None:
        self.writer.close()


class Street:
    """The proxy, its upstreams and its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_folder = folder / "run"
        self.door_path = self.run_folder / "c" / "proxy.sock"
        self.door_path.parent.mkdir(parents=True, exist_ok=True)
        self.admin_path = self.run_folder / "proxy.sock"
        self.outside = CertificateAuthority(folder / "outside")
        self.routes: dict[str, tuple[str, str, str | None]] = {}
        self.grants = ""
        self.amend: Callable[[Policy], Policy] = lambda policy: policy
        """Changes what was read, for what no file of grants can say of an upstream on this machine."""
        self.has_policy_changed = True
        """A lease has routes and grants read again."""
        self.addresses: dict[str, list[str]] = {}
        """What the fake name server says; the next answer is taken when a name has several lists."""
        self.deadlines = Deadlines()
        self.events: list[ProxyEvent] = []
        self.happened = asyncio.Condition()
        self.proxy: CredentialProxy
        self.admin: ProxyAdmin

    @property
    def ca(self) -> Path:
        return self.folder / "ca" / "ca.pem"

    def load_policy(self) -> tuple[Policy, tuple[str, ...]]:
        routes = {}
        for name, (api, url, secret) in self.routes.items():
            route = build_route(name, "openai" if api == "openai" else "anthropic", url, secret)
            assert not isinstance(route, str), route
            routes[name] = route
        rules = parse_grants(self.grants, GROUP, "grants.yaml")
        problem = "; ".join(map(str, rules)) if isinstance(rules, list) else ""
        group = GroupRules(problem=problem) if isinstance(rules, list) else rules
        return self.amend(Policy(routes=routes, groups={GROUP: group})), (problem,) if problem else ()

    async def resolve(self, host: str, _port: int, _group_id: GroupId) -> Sequence[str]:
        if host not in self.addresses:
            raise OSError("no such name")
        return self.addresses[host]

    @asynccontextmanager
    async def upstream(
        self, host: str | None = None, *, authority: CertificateAuthority | None = None
    ) -> AsyncIterator[Upstream]:
        """A server on a port of its own; with a host name it speaks TLS as that host, whoever is asked for if the
        authority is another than the one that the proxy trusts."""
        upstream = Upstream()
        context = (authority or self.outside).context_for(host) if host is not None else None
        if context is not None and authority is not None:
            context.sni_callback = None
        server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=context)
        upstream.port = server.sockets[0].getsockname()[1]
        try:
            yield upstream
        finally:
            server.close()
            await upstream.end()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Street]:
        """Start the proxy; the door `DOOR` is open and a secret `key` with the canary is in the vault."""
        authority = CertificateAuthority(self.folder / "ca")
        vault = Vault(self.folder / "vault.db", self.folder / "vault.key")
        if vault.find("key") is None:
            vault.add("key", CANARY, "key")
        async with Audit(self.folder / "audit.db") as audit, asyncio.TaskGroup() as parts:
            self.proxy = CredentialProxy(
                vault=vault,
                audit=audit,
                load_authority=lambda: authority,
                upstreams=Upstreams(
                    deadlines=self.deadlines,
                    resolver=self.resolve,
                    extra_ca=(self.folder / "outside" / "ca.pem").read_text("ascii"),
                ),
                prices=PRICES,
                load_policy=self.load_policy,
                has_policy_changed=lambda: self.has_policy_changed,
                deadlines=self.deadlines,
                placeholders=Placeholders(load_placeholder_key(self.folder)),
                spool_folder=self.folder,
            )
            await self.proxy.take_up()
            doors = Doors(self.proxy, self.run_folder)
            self.admin = ProxyAdmin(self.admin_path)
            listening = asyncio.Event()
            running = [
                parts.create_task(self.proxy.run()),
                parts.create_task(doors.run()),
                parts.create_task(AdminServer(self.proxy, doors, self.admin_path).run(listening)),
                parts.create_task(self.admin.run(self._note)),
            ]
            try:
                await listening.wait()
                await self.admin.open_door(DOOR, self.door_path)
                yield self
            finally:
                for part in running:
                    part.cancel()
        vault.close()

    async def lease(
        self,
        *,
        limits: Limits | None = None,
        task: str = "task_1",
        attempt: str = "attempt_1",
        effects: Effects = Effects.LIVE,
        purses: tuple[Purse, ...] = (),
        constraints: tuple[EgressRule, ...] = (),
        unsettled_since: str = "",
    ) -> None:
        """Let the door do what the routes and grants of this street allow."""
        lease = Lease(
            task_id=TaskId(task),
            attempt_id=AttemptId(attempt),
            group_id=GROUP,
            effects=effects,
            limits=limits or Limits(),
            routes=tuple(self.routes),
            purses=purses,
            constraints=constraints,
            unsettled_since=unsettled_since,
        )
        await self.admin.grant(DOOR, lease)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_unix_connection(self.door_path)
        client = Client(reader, writer)
        try:
            yield client
        finally:
            writer.close()

    async def ask(self, method: str, target: str, **arguments: object) -> Response:
        async with self.client() as client:
            return await client.ask(method, target, **arguments)  # type: ignore[arg-type]  # handed on as given

    async def wait_for(self, is_there: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S), self.happened:
            await self.happened.wait_for(is_there)

    async def event(self, kind: str) -> ProxyEvent:
        """Return the first event of a kind, waiting for it."""
        await self.wait_for(lambda: any(event.kind == kind for event in self.events))
        return next(event for event in self.events if event.kind == kind)

    def _note(self, event: ProxyEvent) -> None:
        self.events.append(event)

        async def tell() -> None:
            async with self.happened:
                self.happened.notify_all()

        self._telling = asyncio.ensure_future(tell())

    def spilled(self, needle: bytes = CANARY.encode()) -> list[str]:
        """Return every file of the proxy's home in which the canary stands in clear."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path.name for path in files if needle in path.read_bytes()]


async def denied(street: Street, task: str) -> tuple[AuditRow, ...]:
    """Return the audit's rows of what a task was refused."""
    return (await read_log(street.admin, AuditFilter(task=task, kinds=("denied",)))).rows
