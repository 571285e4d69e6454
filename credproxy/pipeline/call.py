"""One call: what is known of it while it is under way, and its record: a row when it begins, one when it ends, events.

Its other halves do the work: `admission.py` decides, `sending.py` sends, `answering.py` answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import json
import time
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING

from credproxy.audit import notes
from credproxy.audit.entry import MODEL_CALL, AuditEntry, CallUse
from credproxy.audit.model_apis import TRANSCRIPTIONS, may_be_model_call
from credproxy.audit.model_use import ModelUse, ModelUseReader
from credproxy.audit.prices import cost_of
from credproxy.pipeline.familiar import Familiar
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from credproxy.pipeline.refusal import EventKind, tell
from credproxy.policy.rules import Policy
from credproxy.policy.verdict import UNSAFE_METHODS, Allow, Ask
from protocol.task import Lease, Usage

if TYPE_CHECKING:
    from credproxy.issuers.capture import TokenAsk

MAX_TARGET_CHARS = 300
DAY_S = 86_400
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Call:
    """Made for each request; `begin` and `end` bracket what was admitted."""

    __slots__ = (
        "allow",
        "ask",
        "asked_model",
        "asked_output",
        "call_id",
        "code",
        "door",
        "familiar",
        "has_response_begun",
        "is_unsafe",
        "is_websocket",
        "is_whole",
        "lease",
        "notes",
        "policy",
        "proxy",
        "reader",
        "request_bytes",
        "response_bytes",
        "response_sha256",
        "status",
        "target",
        "task",
        "token_ask",
    )

    def __init__(
        self, proxy: CredentialProxy, door: DoorState, ask: Ask, familiar: Familiar, *, is_websocket: bool = False
    ) -> None:
        """`familiar`: of the connection that it came on; it has taken this request."""
        self.proxy = proxy
        self.door = door
        self.ask = ask
        self.familiar = familiar
        familiar.shown = self.target = familiar.shown or f"{ask.method} {ask.target}"[:MAX_TARGET_CHARS]
        self.call_id = proxy.next_call_id()
        self.is_websocket = is_websocket
        self.is_unsafe = (ask.method in UNSAFE_METHODS or is_websocket) and ask.route is None
        """May change the world, and is no model call."""
        self.lease: Lease
        self.allow: Allow
        self.policy: Policy
        """What it was decided by. All three are set by whoever admits the call."""
        self.status: int | None = None
        """The upstream's."""
        self.code = ""
        """Why it did not come to its end."""
        self.is_whole = False
        self.has_response_begun = False
        self.request_bytes = 0
        self.response_bytes = 0
        self.response_sha256 = ""
        self.token_ask: TokenAsk | None = None
        """What a tool asks an issuer of tokens for: its answer is kept here (`capturing.py`)."""
        self.asked_model = ""
        self.asked_output: int | None = None
        """How many tokens the request allows the answer, as far as it has been read."""
        self.reader: ModelUseReader | None = None
        self.notes = ""
        """How it came to pass, where that is out of the ordinary (`audit/notes.py`)."""
        self.task: asyncio.Task[object] | None = None
        """What carries it out, from `begin` to `end`."""

    @property
    def judged(self) -> Ask:
        """What policy is asked: a WebSocket is judged as what it can do, which is to write."""
        return self.ask._replace(method="POST") if self.is_websocket else self.ask

    @property
    def may_be_model_call(self) -> bool:
        """A granted host's path looks like a model's, and a key of the owner's is paid with."""
        if self.allow.secret is None or self.ask.route is not None:
            return False
        return may_be_model_call(self.ask.method, self.ask.target.path)

    def note(self, text: str) -> None:
        self.notes = notes.join_notes(self.notes, text)

    def cut(self, code: str) -> None:
        """End it now: what allowed it holds no more."""
        self.code = code
        if self.task is not None:
            self.task.cancel()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """It waits, with all that it needs: what ends calls under way ends it too."""
        self.task = asyncio.current_task()
        self.proxy.under_way.add(self)
        try:
            yield
        finally:
            self.proxy.under_way.discard(self)

    def begin(self) -> asyncio.Future[None]:
        """Write the row before: await the future before anything is sent. `end` must follow, whatever happens."""
        allow, lease = self.allow, self.lease
        if allow.taint:
            self.note(notes.tainted(allow.taint))
            self.tell("tainted", detail=f"{allow.taint} {self.ask.target.host}")
        entry = AuditEntry(
            kind="begin",
            door_id=self.door.door_id,
            group_id=lease.group_id,
            task_id=lease.task_id,
            attempt_id=lease.attempt_id,
            call_id=self.call_id,
            target=self.target,
            rule=allow.rule,
            secret=allow.secret or "",
            is_unsafe=self.is_unsafe,
            detail=MODEL_CALL if allow.is_model_call else "",
            note=self.notes,
        )
        recorded = self.proxy.audit.begin(entry)
        if self.is_unsafe:
            self.tell("call_begun")
        self.door.model_calls_under_way += allow.is_model_call
        self.task = asyncio.current_task()
        self.proxy.under_way.add(self)
        return recorded

    def end(self) -> None:
        """Complete the record. Never waits, so that cancellation cannot lose it."""
        self.proxy.under_way.discard(self)
        self.door.model_calls_under_way -= self.allow.is_model_call
        if self.allow.quota is not None:
            self.proxy.quotas.add_bytes(self.allow.quota, self.response_bytes, time.time())
        use = self._model_use() if self.allow.is_model_call else self._told_use()
        cost = cost_of(use, self.proxy.prices) if use is not None and use.model else None
        if use is not None and use.input_tokens + use.output_tokens == 0:
            cost = 0.0
        lease = self.lease
        entry = AuditEntry(
            kind="end",
            door_id=self.door.door_id,
            group_id=lease.group_id,
            task_id=lease.task_id,
            attempt_id=lease.attempt_id,
            call_id=self.call_id,
            is_unsafe=self.is_unsafe,
            status=self.status,
            detail=self._detail(use),
            note=self.notes,
            response_sha256=self.response_sha256,
        )
        stored = (
            CallUse(
                model=use.model,
                input_tokens=use.input_tokens,
                output_tokens=use.output_tokens,
                cost_usd=cost,
                route=self.allow.route.name if self.allow.route is not None else "",
                purses=tuple(purse.name for purse in self.lease.purses),
            )
            if use is not None
            else None
        )
        self.proxy.audit.end(entry, stored)
        if use is not None:
            self.proxy.settle(
                self.lease,
                self.call_id,
                calls=not self.allow.is_model_call,
                input_tokens=use.input_tokens,
                output_tokens=use.output_tokens,
                cost_usd=cost,
            )
            if self.proxy.watchers:
                usage = Usage(
                    model_calls=1, input_tokens=use.input_tokens, output_tokens=use.output_tokens, cost_usd=cost
                )
                self.tell("usage", usage=usage, model=use.model)
        if self.is_unsafe:
            self.tell("call_ended", detail=str(self.status or "broken"))

    def tell(self, kind: EventKind, *, detail: str = "", usage: Usage | None = None, model: str = "") -> None:
        """Send the host an event of this call."""
        tell(self.proxy, self.lease, kind, self.call_id, self.target, detail=detail, usage=usage, model=model)

    def _model_use(self) -> ModelUse:
        if self.reader is None:
            return ModelUse(model=self.asked_model, input_tokens=0, output_tokens=0)
        return self.reader.use(
            status=self.status or 0,
            request_bytes=self.request_bytes,
            asked_model=self.asked_model,
            is_audio=self.ask.target.path.endswith(TRANSCRIPTIONS),
        )

    def _told_use(self) -> ModelUse | None:
        """Return what the answer of a granted host says it has used, None where it says nothing."""
        if self.reader is None or not self.may_be_model_call:
            return None
        use = self.reader.use(status=self.status or 0, request_bytes=0, asked_model="")
        return None if use.is_estimated or not use.input_tokens + use.output_tokens else use

    def _detail(self, use: ModelUse | None) -> str:
        """The end row's JSON: sizes, what went wrong, and the model's use."""
        if self.is_whole and use is None:
            return f'{{"request_bytes":{self.request_bytes},"response_bytes":{self.response_bytes}}}'
        if self.is_whole and use is not None and not use.is_estimated:
            return (
                f'{{"request_bytes":{self.request_bytes},"response_bytes":{self.response_bytes},'
                f'"model":{encode_basestring_ascii(use.model)},'
                f'"input_tokens":{use.input_tokens},"output_tokens":{use.output_tokens}}}'
            )
        facts: dict[str, object] = {"request_bytes": self.request_bytes, "response_bytes": self.response_bytes}
        if not self.is_whole:
            facts["broken"] = self.code or "cut"
        if use is not None:
            facts["model"] = use.model
            facts["input_tokens"] = use.input_tokens
            facts["output_tokens"] = use.output_tokens
            if use.is_estimated:
                facts["is_estimated"] = True
        return _encode(facts)


def utc_day() -> str:
    """Return the day that a call counts for: `2026-01-31`."""
    return _spell_day(int(time.time()) // DAY_S)


@functools.lru_cache(maxsize=1)
def _spell_day(days: int) -> str:
    return datetime.datetime.fromtimestamp(days * DAY_S, datetime.UTC).date().isoformat()
