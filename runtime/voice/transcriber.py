"""Has voice notes transcribed by the service that a group names, over a door of its own at the proxy.

The host holds no key. The door's lease is for one call to one route, and it is paid for as a task of the sender's would
be: from the purses of the group, the machine and the person. A note that cannot be transcribed stays a file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from credproxy.admin_client.link import ProxyError
from protocol.ids import AttemptId, DoorId, GroupId, TaskId, mint
from protocol.message import Attachment, InboundMessage
from protocol.task import Effects, Lease, Limits, ModelRoute
from runtime.config import RouteSettings, resolve_model
from runtime.group import Group, Groups
from runtime.home import Home, checked_socket
from runtime.recall.meaning import Doors, Money
from runtime.store.records import TaskRow
from runtime.voice.form import Form, OddTranscript, build_form, mark_words, read_words
from runtime.voice.heard import Heard

AT_ONCE = 3
"""Doors, so that one long note holds up no other chat's."""
MAX_NOTES = 5
"""Of one message."""
MAX_BYTES = 25_000_000
"""As much as OpenAI takes."""
TIMEOUT_S = 60.0
CLOSE_TIMEOUT_S = 2.0
_PIECE_BYTES = 256 << 10


class TranscriptionFailed(Exception):
    """A service for transcriptions did not do its part; the text says why."""


class Transcriber:
    """One for the whole host."""

    def __init__(
        self,
        home: Home,
        proxy: Doors,
        money: Money,
        *,
        groups: Callable[[], Groups],
        routes: Callable[[], Mapping[str, RouteSettings]],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._folder = home.run / "m"
        self._proxy = proxy
        self._money = money
        self._groups = groups
        self._routes = routes
        self._timeout_s = timeout_s
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for number in range(AT_ONCE):
            self._free.put_nowait(number)

    def listens(self, group_id: GroupId) -> bool:
        """Return whether a group has its voice notes transcribed."""
        return self._model_of(group_id) is not None

    async def hear(
        self, group_id: GroupId, inbound: InboundMessage, inbox: Path, voices: Sequence[Attachment]
    ) -> Heard:
        """Return the words of a message's voice notes, one after the other."""
        group, model = self._groups().ready.get(group_id), self._model_of(group_id)
        if group is None or model is None:
            return Heard(words="", note="")
        words, notes = [], []
        for voice in voices[:MAX_NOTES]:
            try:
                said = await self._transcribe(group, model, inbound, inbox / voice.stored_name, voice)
            except TranscriptionFailed as failed:
                notes.append(f"The voice note {voice.name!r} could not be transcribed: {failed}.")
            else:
                words.append(mark_words(said, model.full_name))
        if len(voices) > MAX_NOTES:
            notes.append(f"{len(voices) - MAX_NOTES} more voice notes were not: at most {MAX_NOTES} of a message are.")
        return Heard(words="\n\n".join(words), note="\n".join(notes))

    def _model_of(self, group_id: GroupId) -> ModelRoute | None:
        group = self._groups().ready.get(group_id)
        return resolve_model(group.transcription, self._routes()) if group is not None and group.transcription else None

    async def _transcribe(
        self, group: Group, model: ModelRoute, inbound: InboundMessage, path: Path, voice: Attachment
    ) -> str:
        if voice.size > MAX_BYTES:
            raise TranscriptionFailed(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        lease = await self._lease(group, model, inbound)
        number = await self._free.get()
        door = DoorId(f"door_voice_{number}")
        try:
            form = build_form(model.model, voice.media_type, voice.stored_name, mint("voice"))
            async with asyncio.timeout(self._timeout_s):
                return read_words(await self._ask(door, lease, model, form, path, voice.size))
        except TimeoutError:
            raise TranscriptionFailed(f"{model.full_name} did not answer within {self._timeout_s:g} s") from None
        except OddTranscript as error:
            raise TranscriptionFailed(f"{model.full_name} answered oddly: {error}") from error
        except (ProxyError, OSError, EOFError) as error:
            raise TranscriptionFailed(f"{model.full_name} cannot be reached: {error}") from error
        finally:
            with suppress(ProxyError, TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._proxy.close_door(door)
            self._free.put_nowait(number)

    async def _lease(self, group: Group, model: ModelRoute, inbound: InboundMessage) -> Lease:
        submitter = f"person:{inbound.person}"
        row = TaskRow(
            task_id=TaskId(mint("task")),
            group_id=group.group_id,
            session_id=None,
            submitter=submitter,
            chat=inbound.chat,
            reply_to=None,
            state="running",
            created_at=inbound.sent_at,
            payer=inbound.person,
        )
        return Lease(
            task_id=row.task_id,
            attempt_id=AttemptId(mint("attempt")),
            group_id=group.group_id,
            effects=Effects.LIVE,
            limits=Limits(model_calls=1),
            routes=(model.route,),
            purses=self._money.purses_of(group, submitter, await self._money.payer_of(row)),
        )

    async def _ask(self, door: DoorId, lease: Lease, model: ModelRoute, form: Form, path: Path, size: int) -> bytes:
        from runtime.proxy_post import post_pieces  # late: few hosts transcribe

        socket = checked_socket(self._folder / f"voice{door[-1]}.sock")
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._proxy.open_door(door, socket, None, lease)
        length = len(form.head) + size + len(form.tail)
        pieces = _pieces(form, path, size)
        asked = f"/m/{model.route}/v1/audio/transcriptions"
        status, answer = await post_pieces(socket, asked, pieces, length, form.content_type)
        if status != 200:
            raise TranscriptionFailed(f"{model.full_name} refused ({status})")
        return answer


async def _pieces(form: Form, path: Path, size: int) -> AsyncIterator[bytes]:
    """Yield the form with the file in it, of which never more than a piece is in memory."""
    yield form.head
    descriptor = await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        at = 0
        while at < size:
            piece = await asyncio.to_thread(os.pread, descriptor, min(_PIECE_BYTES, size - at), at)
            if not piece:
                raise EOFError("its file became shorter")
            at += len(piece)
            yield piece
    finally:
        os.close(descriptor)
    yield form.tail
