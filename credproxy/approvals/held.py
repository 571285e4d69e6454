"""A request that is held, and what came of it. Pure.

What a person approves is the digest of everything that will be sent before our own key is added: method, whole address,
headers, body. Whoever sends it compares.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from credproxy.wire.target import Target
from protocol.ids import AttemptId, CallId, DoorId, GroupId, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRequest:
    """All of a request, as it would go out but for our key."""

    group_id: GroupId
    task_id: TaskId
    attempt_id: AttemptId
    door_id: DoorId
    call_id: CallId
    method: str
    target: Target
    headers: tuple[tuple[bytes, bytes], ...]
    """Those that will be sent, without what is stripped and without what is injected."""
    body: bytes = field(repr=False)
    rule: str
    secret: str = ""
    """The name of the key that will be added; empty: none."""

    @property
    def shown_target(self) -> str:
        """Method and address without the query: what the audit and events say."""
        return f"{self.method} {self.target}"[:300]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """One sending of one request."""

    approval_id: str
    by: str
    digest: str

    def covers(self, request: HeldRequest) -> bool:
        """Whether this is what was shown: ask right before sending."""
        return digest_of(request) == self.digest


def digest_of(request: HeldRequest) -> str:
    """Return SHA-256 in hex over the group and all that is sent. Each part is preceded by its length, so that no other
    parts give the same bytes."""
    sha = hashlib.sha256()
    target = request.target
    place = (target.scheme, target.host, str(target.port), target.wire)
    parts = [part.encode() for part in (request.group_id, request.rule, request.secret, request.method, *place)]
    parts.append(str(len(request.headers)).encode())
    for name, value in request.headers:
        parts += [name, value]
    parts.append(request.body)
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()
