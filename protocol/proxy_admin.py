"""The frames of the credential proxy's admin socket, between the host or the CLI and credproxy.

A client sends AdminRequest with an `id`; the proxy answers AdminReply or AdminProblem with the same `id`, in any order.
A client that sent the verb `watch` is also sent ProxyEvent until it goes.
"""

from __future__ import annotations

from protocol.codec import Json
from protocol.frames import FrameSet
from protocol.ids import AttemptId, CallId, GroupId, TaskId
from protocol.record import Record
from protocol.task import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal


class AdminRequest(Record):
    protocol: str
    id: int
    verb: str
    arguments: Json = None


class AdminReply(Record):
    id: int
    value: Json


class AdminProblem(Record):
    id: int
    code: str
    message: str
    mend: str = ""


class ProxyEvent(Record):
    """Something the host should know of a lease's traffic."""

    kind: Literal["denied", "usage", "limit", "call_begun", "call_ended", "tripwire", "approval_wanted", "tainted"]
    group_id: GroupId
    task_id: TaskId
    attempt_id: AttemptId
    call_id: CallId
    target: str
    """`METHOD scheme://host[:port]/path` before injection, at most 300 characters."""
    detail: str = ""
    """For `denied` and `limit`: the reason's code; for `call_ended`: the status, or `broken`; for `tripwire`: the name
    of the secret whose placeholder was seen where it does not belong; for `approval_wanted`: the approval's id; for
    `tainted`: `web` or `grant`, and the host whose answer may hold anybody's words."""
    usage: Usage | None = None
    model: str = ""


class ProxyCall(Record):
    """One non-idempotent call that an attempt made, as the audit knows it."""

    call_id: CallId
    target: str
    began_at: str
    status: int | None
    """None: begun, no answer seen: it may have happened."""


class Fetched(Record):
    """Something that a task was brought from outside, as the audit knows it."""

    target: str
    """Method and address, without the query."""
    at: str
    """ISO 8601 UTC."""
    sha256: str
    """Of the whole body as it reached the task, hex."""


ADMIN_CLIENT_FRAMES = FrameSet(AdminRequest)
ADMIN_SERVER_FRAMES = FrameSet(AdminReply, AdminProblem, ProxyEvent)
