"""How a request ends without going out: on record, told to the host, and answered by the proxy itself."""

from __future__ import annotations

from typing import Literal, NoReturn

from credproxy.audit.file import entry_of
from credproxy.audit.log import AuditFailed
from credproxy.pipeline import answers
from credproxy.pipeline.proxy import CredentialProxy, DoorState
from credproxy.wire.answer import Answer
from protocol.ids import CallId
from protocol.proxy_admin import ProxyEvent
from protocol.task import Lease, Usage

EventKind = Literal["denied", "usage", "limit", "call_begun", "call_ended", "tripwire", "approval_wanted"]


class Refused(Exception):
    """The request ends here with an answer of ours; nothing of a response has been sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


async def refuse(proxy: CredentialProxy, door: DoorState, answer: Answer, target: str) -> NoReturn:
    """Record a denial, tell the host, and end the request with an answer of ours."""
    lease = door.lease
    await door.pace_denial()
    try:
        await proxy.audit.note(entry_of("denied", door.door_id, lease, target=target, detail=answer.code))
    except AuditFailed as failure:
        raise Refused(answers.AUDIT_FAILED) from failure
    if lease is not None:
        kind: EventKind = "limit" if answer.code.startswith("limit_") else "denied"
        tell(proxy, lease, kind, proxy.next_call_id(), target, detail=answer.code)
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
