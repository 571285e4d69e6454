"""A request to hold."""

from __future__ import annotations

from credproxy.approvals.held import HeldRequest
from credproxy.wire.target import Target
from protocol.ids import AttemptId, CallId, DoorId, GroupId, TaskId


def make_request(
    *,
    body: bytes = b'{"amount": 1}',
    media_type: bytes = b"application/json",
    query: str | None = None,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> HeldRequest:
    """A payment."""
    return HeldRequest(
        group_id=GroupId("main"),
        task_id=TaskId("task_1"),
        attempt_id=AttemptId("attempt_1"),
        door_id=DoorId("door_1"),
        call_id=CallId("call_1"),
        method="POST",
        target=Target(scheme="https", host="bank.example", port=443, path="/pay", query=query),
        headers=((b"content-type", media_type), (b"x-account", b"1"), *headers),
        body=body,
        rule="main:3",
        secret="bank",
    )
