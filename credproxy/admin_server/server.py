"""The admin socket's server: the host and the CLI say what holds, ask what was, and are told what happens.

Its other end is `admin_client.py`. Only the home's owner can connect; a container never sees this socket. Each
connection's requests are answered in order; a broken frame ends the connection and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

from credproxy.admin_client.link import ProxyHealth, RouteState, StoredSecret, UsageSum
from credproxy.audit.file import AuditEntry
from credproxy.audit.log import AuditFailed
from credproxy.pipeline.door import DoorRefused, Doors, refuse_long_path
from credproxy.pipeline.proxy import CredentialProxy, DoorState, Watcher
from credproxy.policy.decide import users_of_secret
from credproxy.vault.secret import BadValue
from credproxy.vault.vault import BadSecretName, SealBroken, SecretExists, SecretUnknown
from protocol.codec import ShapeError, from_json, to_json
from protocol.frames import PROTOCOL_VERSION, FrameDecoder, FrameError, encode_frame
from protocol.ids import AttemptId, DoorId, TaskId
from protocol.proxy_admin import ADMIN_CLIENT_FRAMES, AdminProblem, AdminReply, AdminRequest
from protocol.task import Lease

log = logging.getLogger(__name__)

READ_BYTES = 64 << 10
SEND_TIMEOUT_S = 10.0
MAX_PURPOSE_CHARS = 100

Verb = Callable[[Mapping[str, Any]], Awaitable[object]]


class AdminRefused(Exception):
    """A verb's no, as the client is told it."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(code, message, mend)
        self.code = code
        self.message = message
        self.mend = mend


class AdminServer:
    """Listens on the admin socket while `run` runs."""

    def __init__(self, proxy: CredentialProxy, doors: Doors, path: Path) -> None:
        self._proxy = proxy
        self._doors = doors
        self._path = path
        self._vault_lock = asyncio.Lock()
        self._verbs: dict[str, Verb] = {
            "open_door": self._open_door,
            "close_door": self._close_door,
            "grant": self._grant,
            "end": self._end,
            "calls": self._calls,
            "denials": self._denials,
            "usage": self._usage,
            "freeze": self._freeze,
            "reload": self._reload,
            "secret_add": self._secret_add,
            "secret_list": self._secret_list,
            "secret_remove": self._secret_remove,
            "secret_fetch": self._secret_fetch,
            "routes": self._routes,
            "health": self._health,
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
                request = ADMIN_CLIENT_FRAMES.decode(body)
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
        while (event := await watcher.events.get()) is not None:
            await self._send(writer, event)
        log.warning("an admin client was too slow for its events and was cut off", extra={"action": "watcher_cut"})
        writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter, frame: object) -> None:
        writer.write(encode_frame(frame))
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await writer.drain()

    async def _open_door(self, arguments: Mapping[str, Any]) -> object:
        uid = arguments.get("uid")
        if uid is not None and (type(uid) is not int or not 0 <= uid < 1 << 31):
            raise ShapeError("uid", "expected a user's number")
        lease = from_json(Lease, arguments["lease"], "lease") if arguments.get("lease") is not None else None
        await self._doors.open(DoorId(_text(arguments, "door_id")), Path(_text(arguments, "path")), uid, lease)
        return {}

    async def _close_door(self, arguments: Mapping[str, Any]) -> object:
        self._doors.close(DoorId(_text(arguments, "door_id")))
        return {}

    async def _grant(self, arguments: Mapping[str, Any]) -> object:
        lease = from_json(Lease, arguments.get("lease"), "lease")
        await self._proxy.grant(self._door(arguments), lease)
        return {}

    async def _end(self, arguments: Mapping[str, Any]) -> object:
        door = self._proxy.doors.get(DoorId(_text(arguments, "door_id")))
        return {"usage": {} if door is None else to_json(self._proxy.end(door))}

    async def _calls(self, arguments: Mapping[str, Any]) -> object:
        attempt = _maybe_text(arguments, "attempt_id")
        task = TaskId(_text(arguments, "task_id"))
        calls = await self._proxy.audit.calls(task, None if attempt is None else AttemptId(attempt))
        return {"calls": [to_json(call) for call in calls]}

    async def _denials(self, arguments: Mapping[str, Any]) -> object:
        denials = await self._proxy.audit.denials(TaskId(_text(arguments, "task_id")))
        return {"denials": [to_json(denial) for denial in denials]}

    async def _usage(self, arguments: Mapping[str, Any]) -> object:
        task, day = _maybe_text(arguments, "task_id"), _maybe_text(arguments, "day")
        sums = await self._proxy.audit.usage(None if task is None else TaskId(task), day)
        return {
            "sums": [to_json(UsageSum(group_id=group_id, model=model, usage=usage)) for group_id, model, usage in sums]
        }

    async def _freeze(self, arguments: Mapping[str, Any]) -> object:
        if type(arguments.get("on")) is not bool:
            raise ShapeError("on", "expected true or false")
        await self._proxy.freeze(arguments["on"])
        return {}

    async def _reload(self, _arguments: Mapping[str, Any]) -> object:
        return {"problems": list(self._proxy.reload())}

    async def _secret_add(self, arguments: Mapping[str, Any]) -> object:
        name, value, kind = _text(arguments, "name"), _text(arguments, "value"), arguments.get("kind", "key")
        if kind not in ("key", "channel"):
            raise ShapeError("kind", "expected key or channel")
        is_replacing = arguments.get("replace") is True
        try:
            async with self._vault_lock:
                await asyncio.to_thread(self._proxy.vault.add, name, value, kind, replace=is_replacing)
        except BadSecretName as error:
            raise AdminRefused("bad_name", str(error)) from None
        except BadValue as bad:
            raise AdminRefused("bad_value", f"the secret {name} was not stored: {bad.reason}") from None
        except SecretExists as exists:
            raise AdminRefused("secret_exists", str(exists), f"nightyard secret add {name} --replace") from None
        self._proxy.upstreams.drop_all()
        await self._proxy.audit.note(
            AuditEntry(kind="secret", secret=name, detail="replace" if is_replacing else "add")
        )
        return {"used_by": list(users_of_secret(name, self._proxy.policy))}

    async def _secret_list(self, _arguments: Mapping[str, Any]) -> object:
        secrets = [
            StoredSecret(
                name=row.name,
                kind=row.kind,
                created_at=row.created_at,
                changed_at=row.changed_at,
                used_by=users_of_secret(row.name, self._proxy.policy),
            )
            for row in self._proxy.vault.secrets()
        ]
        return {"secrets": [to_json(secret) for secret in secrets]}

    async def _secret_remove(self, arguments: Mapping[str, Any]) -> object:
        name = _text(arguments, "name")
        try:
            async with self._vault_lock:
                await asyncio.to_thread(self._proxy.vault.remove, name)
        except SecretUnknown as unknown:
            raise AdminRefused("secret_unknown", str(unknown), "nightyard secret list") from None
        self._proxy.upstreams.drop_all()
        await self._proxy.audit.note(AuditEntry(kind="secret", secret=name, detail="remove"))
        return {}

    async def _secret_fetch(self, arguments: Mapping[str, Any]) -> object:
        """The one way a value leaves: a platform's bot token, which its SDK must have in the host."""
        name, purpose = _text(arguments, "name"), _text(arguments, "purpose")
        row = self._proxy.vault.find(name)
        if row is None:
            raise AdminRefused(
                "secret_unknown", str(SecretUnknown(name)), f"nightyard secret add {name} --kind channel"
            )
        if row.kind != "channel":
            message = f"{name} is a key: keys are put into requests by the proxy and told to nobody"
            raise AdminRefused("secret_is_key", message)
        detail = f"fetch: {purpose[:MAX_PURPOSE_CHARS]}"
        await self._proxy.audit.note(AuditEntry(kind="secret", secret=name, detail=detail))
        try:
            secret = self._proxy.vault.open(name)
        except SealBroken as broken:
            raise AdminRefused("secret_broken", str(broken), f"nightyard secret add {name} --replace") from None
        if secret is None:
            raise AdminRefused("secret_unknown", str(SecretUnknown(name)))
        return {"value": secret.reveal()}

    async def _routes(self, _arguments: Mapping[str, Any]) -> object:
        states = []
        for route in self._proxy.policy.routes.values():
            is_missing = route.secret is not None and self._proxy.vault.find(route.secret) is None
            host = f"[{route.host}]" if ":" in route.host else route.host
            states.append(
                RouteState(
                    name=route.name,
                    api=route.api,
                    url=f"{route.scheme}://{host}:{route.port}{route.prefix}",
                    secret=route.secret or "",
                    is_ready=not is_missing,
                    problem=f"the secret {route.secret} is not in the vault" if is_missing else "",
                )
            )
        return {"routes": [to_json(state) for state in states]}

    async def _health(self, _arguments: Mapping[str, Any]) -> object:
        doors = self._proxy.doors
        return to_json(
            ProxyHealth(
                is_frozen=self._proxy.is_frozen,
                doors=tuple(doors),
                leases=tuple(door_id for door_id, door in doors.items() if door.lease is not None),
                problems=self._proxy.problems,
            )
        )

    def _door(self, arguments: Mapping[str, Any]) -> DoorState:
        door_id = _text(arguments, "door_id")
        door = self._proxy.doors.get(DoorId(door_id))
        if door is None:
            raise AdminRefused("door_unknown", f"no door named {door_id[:60]} is open")
        return door


def _text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key)
    if type(value) is not str or not value or "\0" in value:
        raise ShapeError(key, "expected a text")
    return value


def _maybe_text(arguments: Mapping[str, Any], key: str) -> str | None:
    return None if arguments.get(key) is None else _text(arguments, key)


def _is_owner(writer: asyncio.StreamWriter) -> bool:
    """The socket's mode says the same; this is the second lock."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    sock = cast(socket.socket, writer.get_extra_info("socket"))
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    uid = struct.unpack("3i", credentials)[1]
    return uid in (os.geteuid(), 0)
