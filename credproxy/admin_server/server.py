"""The admin socket's server: the host and the CLI say what holds, ask what was, and are told what happens.

Its other end is `admin_client/link.py`. Only the home's owner can connect; a container never sees this socket. Each
connection's requests are answered in order; a broken frame ends the connection and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from pathlib import Path
from typing import cast

from credproxy.admin_server.approvals import ApprovalsVerbs
from credproxy.admin_server.doors import DoorsVerbs
from credproxy.admin_server.injection import InjectionVerbs
from credproxy.admin_server.logins import LoginsVerbs
from credproxy.admin_server.policy import PolicyVerbs
from credproxy.admin_server.records import RecordsVerbs
from credproxy.admin_server.secrets import SecretsVerbs
from credproxy.admin_server.state import StateVerbs
from credproxy.admin_server.tokens import TokensVerbs
from credproxy.admin_server.verb import AdminRefused, Verb
from credproxy.audit.jobs import AuditFailed
from credproxy.pipeline.door import DoorRefused, Doors, refuse_long_path
from credproxy.pipeline.host_door import HostDoor
from credproxy.pipeline.proxy import CredentialProxy, Watcher
from protocol.codec import ShapeError
from protocol.frames import PROTOCOL_VERSION, FrameDecoder, FrameError, encode_frame
from protocol.proxy_admin import ADMIN_CLIENT_FRAMES, AdminProblem, AdminReply, AdminRequest, ProxyEvent

log = logging.getLogger(__name__)

READ_BYTES = 64 << 10
SEND_TIMEOUT_S = 10.0


class AdminServer:
    """Listens on the admin socket while `run` runs."""

    def __init__(self, proxy: CredentialProxy, doors: Doors, path: Path, host_door: HostDoor | None = None) -> None:
        """`host_door`: where tokens are shown; without one there are no verbs about them."""
        self._proxy = proxy
        self._path = path
        self._verbs: dict[str, Verb] = {
            **DoorsVerbs(proxy, doors).table(),
            **SecretsVerbs(proxy).table(),
            **LoginsVerbs(proxy).table(),
            **RecordsVerbs(proxy).table(),
            **PolicyVerbs(proxy).table(),
            **StateVerbs(proxy).table(),
            **ApprovalsVerbs(proxy).table(),
            **InjectionVerbs(proxy).table(),
            **(TokensVerbs(proxy, host_door).table() if host_door is not None else {}),
        }

    async def run(self, listening: asyncio.Event) -> None:
        """Serve until cancelled; `listening` is set when clients can connect. Raises OSError, DoorRefused."""
        refuse_long_path(self._path)
        async with asyncio.TaskGroup() as group:
            server = await self._listen(group)
            try:
                listening.set()
                await asyncio.get_running_loop().create_future()
            finally:
                server.close()
                self._path.unlink(missing_ok=True)

    async def _listen(self, group: asyncio.TaskGroup) -> asyncio.Server:
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(
                lambda reader, writer: group.create_task(self._serve(reader, writer)), str(self._path)
            )
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        watcher = Watcher()
        try:
            if not _is_owner(writer):
                return
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell(watcher, writer))
                await self._answer_all(reader, writer, watcher)
                telling.cancel()
        except* (OSError, TimeoutError) as gone:
            log.debug("an admin client went away: %s", gone.exceptions[0])
        except* FrameError as broken:
            log.warning(
                "an admin client sent what is no frame and was cut off: %s",
                broken.exceptions[0],
                extra={"action": "admin_frame_broken"},
            )
        finally:
            self._proxy.watchers.discard(watcher)
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, watcher: Watcher) -> None:
        decoder = FrameDecoder()
        while chunk := await reader.read(READ_BYTES):
            for body in decoder.feed(chunk):
                try:
                    request = ADMIN_CLIENT_FRAMES.decode(body)
                except FrameError as error:
                    if (request_id := _asked_as(body, error)) is None:
                        raise
                    await self._send(writer, AdminProblem(id=request_id, code=error.code, message=error.detail))
                    continue
                if isinstance(request, AdminRequest):
                    await self._send(writer, await self._answer(request, watcher))
        decoder.end()

    async def _answer(self, request: AdminRequest, watcher: Watcher) -> AdminReply | AdminProblem:
        if request.protocol.partition(".")[0] != PROTOCOL_VERSION.partition(".")[0]:
            message = f"the proxy speaks protocol {PROTOCOL_VERSION}, you speak {request.protocol[:20]}"
            return AdminProblem(id=request.id, code="wrong_version", message=message, mend="nightyard up")
        if request.verb == "watch":
            self._proxy.watchers.add(watcher)
            return AdminReply(id=request.id, value={})
        verb = self._verbs.get(request.verb)
        if verb is None:
            return AdminProblem(id=request.id, code="unknown_verb", message=f"no verb named {request.verb[:40]!r}")
        try:
            arguments = request.arguments if isinstance(request.arguments, dict) else {}
            return AdminReply(id=request.id, value=await verb(arguments))
        except (AdminRefused, DoorRefused) as refusal:
            message = refusal.message if isinstance(refusal, AdminRefused) else refusal.sentence
            return AdminProblem(id=request.id, code=refusal.code, message=message, mend=refusal.mend)
        except ShapeError as error:
            return AdminProblem(id=request.id, code="wrong_shape", message=str(error))
        except AuditFailed as failure:
            return AdminProblem(id=request.id, code="audit_failed", message=f"the audit failed: {failure.reason}")

    async def _tell(self, watcher: Watcher, writer: asyncio.StreamWriter) -> None:
        events: list[ProxyEvent | None] = []
        while None not in events:
            events = [await watcher.events.get()]
            while not watcher.events.empty():
                events.append(watcher.events.get_nowait())
            await self._write(writer, b"".join(encode_frame(event) for event in events if event is not None))
        log.warning("an admin client was too slow for its events and was cut off", extra={"action": "watcher_cut"})
        writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter, frame: object) -> None:
        await self._write(writer, encode_frame(frame))

    async def _write(self, writer: asyncio.StreamWriter, wire: bytes) -> None:
        writer.write(wire)
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await writer.drain()


def _asked_as(body: bytes, error: FrameError) -> int | None:
    """Return the id of a request whose arguments are no JSON that could be sent on; None for what is no request."""
    asked = json.loads(body) if error.code == "wrong_shape" else {}
    request_id = asked.get("id") if asked.get("type") == "admin_request" else None
    return request_id if isinstance(request_id, int) else None


def _is_owner(writer: asyncio.StreamWriter) -> bool:
    """The socket's mode says the same; this is the second lock."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    sock = cast(socket.socket, writer.get_extra_info("socket"))
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid = struct.unpack("3i", credentials)[1]
    return uid in (os.geteuid(), 0)
