"""How a request ends without going out: on record, told to the host, and answered by the proxy itself."""

from __future__ import annotations

from typing import Literal, NoReturn

from credproxy.audit.entry import entry_of
from credproxy.audit.jobs import AuditFailed
from credproxy.injection.placeholders import Tripped
from credproxy.pipeline import answers
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from credproxy.wire.answer import Answer
from protocol.ids import CallId
from protocol.proxy_admin import ProxyEvent
from protocol.task import Lease, Usage

EventKind = Literal["denied", "usage", "limit", "call_begun", "call_ended", "tripwire", "approval_wanted", "tainted"]


class Refused(Exception):
    """The request ends here with an answer of ours; nothing of a response has been sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


async def refuse(proxy: CredentialProxy, door: DoorState, answer: Answer, target: str, *, sha256: str = "") -> NoReturn:
    """Record a denial, tell the host, and end the request with an answer of ours. `sha256`: of the body that was not
    sent, where that was read."""
    kind: EventKind = "limit" if answer.code.startswith("limit_") else "denied"
    await _end(proxy, door, answer, target, kind, answer.code, sha256)


async def refuse_tripped(proxy: CredentialProxy, door: DoorState, tripped: Tripped, target: str) -> NoReturn:
    """Record that a placeholder was seen where it does not belong, tell the owner, and end the request."""
    await _end(proxy, door, answers.tripped(tripped.secret), target, "tripwire", tripped.secret, "")


async def _end(
    proxy: CredentialProxy, door: DoorState, answer: Answer, target: str, kind: EventKind, told: str, sha256: str
) -> NoReturn:
    lease = door.lease
    await door.pace_denial()
    entry = entry_of(
        "shadow" if answer.code == "shadow" else "denied",
        door.door_id,
        lease,
        target=target,
        detail=answer.code,
        note=told if kind == "tripwire" else "",
        request_sha256=sha256,
    )
    try:
        await proxy.audit.note(entry)
    except AuditFailed as failure:
        raise Refused(answers.AUDIT_FAILED) from failure
    if lease is not None:
        tell(proxy, lease, kind, proxy.next_call_id(), target, detail=told)
    raise Refused(answer)


def tell(
    proxy: CredentialProxy,
    lease: Lease,
    kind: EventKind,
    call_id: CallId,
    target: str,
    *,
    detail: str = "",
    usage: Usage | None = None,
    model: str = "",
) -> None:
    """Send an event to whoever watches."""
    if not proxy.watchers:
        return
    event = ProxyEvent(
        kind=kind,
        group_id=lease.group_id,
        task_id=lease.task_id,
        attempt_id=lease.attempt_id,
        call_id=call_id,
        target=target,
        detail=detail,
        usage=usage,
        model=model,
    )
    proxy.tell(event)
