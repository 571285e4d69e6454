"""Has voice notes transcribed by the service that a group names, over a door of its own at the proxy.

The host holds no key. The door's lease is for one call to one route, and it is paid for as a task of the sender's would
be: from the purses of the group, the machine and the person. A note that cannot be transcribed stays a file.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

from protocol.ids import AttemptId, DoorId, GroupId, TaskId, mint
from protocol.message import Attachment, InboundMessage
from protocol.task import Effects, Lease, Limits, ModelRoute
from runtime.config import RouteSettings, resolve_model
from runtime.group import Group, Groups
from runtime.home import Home
from runtime.service_door import AskFailed, Doors, Payers, Question, ServiceDoor
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
_PIECE_BYTES = 256 << 10


class Transcriber:
    """One for the whole host."""

    def __init__(
        self,
        home: Home,
        proxy: Doors,
        money: Payers,
        *,
        groups: Callable[[], Groups],
        routes: Callable[[], Mapping[str, RouteSettings]],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._money = money
        self._groups = groups
        self._routes = routes
        self._timeout_s = timeout_s
        self._free: asyncio.Queue[ServiceDoor] = asyncio.Queue()
        for number in range(AT_ONCE):
            socket = home.run / "m" / f"voice{number}.sock"
            self._free.put_nowait(ServiceDoor(proxy, DoorId(f"door_voice_{number}"), socket))

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
            except AskFailed as failed:
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
            raise AskFailed(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        lease = await self._lease(group, model, inbound)
        form = build_form(model.model, voice.media_type, voice.stored_name, mint("voice"))
        question = Question(
            path="audio/transcriptions",
            body=_pieces(form, path, voice.size),
            length=len(form.head) + voice.size + len(form.tail),
            content_type=form.content_type,
        )
        door = await self._free.get()
        try:
            return read_words(await door.ask(lease, model, question, self._timeout_s))
        except OddTranscript as error:
            raise AskFailed(f"{model.full_name} answered oddly: {error}") from error
        finally:
            self._free.put_nowait(door)

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
