"""Hands files from one agent to another: from the outbox where the host put them to an inbox, under the host's name."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from protocol.ids import GroupId
from runtime.delegation.records import DelegationId, HandedFile
from runtime.delegation.words import InboxFile, stored_name
from runtime.home import Home

log = logging.getLogger(__name__)


async def hand_over(
    home: Home,
    delegation_id: DelegationId,
    files: Sequence[HandedFile],
    *,
    giver: GroupId,
    taker: GroupId,
    direction: str,
) -> list[InboxFile]:
    """Copy files into the taker's inbox; return those that arrived. Again the same: the same names, written over."""
    arrived = []
    for index, file in enumerate(files):
        name = stored_name(delegation_id, direction, index, file.name)
        source = home.group(giver) / "outbox" / file.file_id
        try:
            await asyncio.to_thread(_copy, source, home.inbox(taker) / name)
        except OSError as error:
            log.warning(
                "a file was not handed over: %s",
                error.strerror,
                extra={"action": "file_not_handed", "group_id": giver, "file_id": file.file_id},
            )
            continue
        arrived.append(InboxFile(stored_name=name, name=file.name, size_bytes=file.size_bytes))
    return arrived


def _copy(source: Path, target: Path) -> None:
    """Copy a file so that it is there whole or not at all, readable for an agent of another user id."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as read, part.open("wb") as write:
        shutil.copyfileobj(read, write)
        os.fchmod(write.fileno(), 0o644)
        write.flush()
        os.fsync(write.fileno())
    part.replace(target)
