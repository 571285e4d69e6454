"""Fetches the files of a message into its group's inbox, under names that the host makes.

A file that cannot be had never holds its message up: the message goes on with a note that says what is missing.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from channels.channel import Channel, DeliveryFailed
from protocol.ids import FileId
from protocol.message import Attachment, PendingFile
from runtime.inbound_text import stored_file_name

MAX_FILES = 20
"""Files taken from one message."""
TOO_LARGE = "it is larger than {most} MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    attachments: tuple[Attachment, ...]
    voices: tuple[Attachment, ...]
    """Those of them that are voice notes."""
    note: str
    """What could not be fetched and why, a line each; empty if all is there."""


async def fetch_files(
    channel: Channel, files: tuple[PendingFile, ...], inbox: Path, *, raw_id: int, max_bytes: int, timeout_s: float
) -> Fetched:
    """Fetch the files of one message, one after the other; each has `timeout_s`."""
    attachments: list[Attachment] = []
    voices: list[Attachment] = []
    notes: list[str] = []
    inbox.mkdir(parents=True, exist_ok=True)
    for index, file in enumerate(files[:MAX_FILES]):
        path = inbox / stored_file_name(raw_id, index, file.name)
        outcome = await _fetch(channel, file, path, max_bytes=max_bytes, timeout_s=timeout_s)
        if isinstance(outcome, str):
            notes.append(f"The file {file.name!r} could not be fetched: {outcome}.")
            continue
        attachment = Attachment(
            file_id=FileId(f"file_{raw_id}_{index}"),
            name=file.name,
            size=outcome,
            media_type=file.media_type,
            stored_name=path.name,
        )
        attachments.append(attachment)
        voices += [attachment] if file.is_voice else []
    if len(files) > MAX_FILES:
        notes.append(f"{len(files) - MAX_FILES} more files were not fetched: at most {MAX_FILES} come with a message.")
    return Fetched(attachments=tuple(attachments), voices=tuple(voices), note="\n".join(notes))


async def _fetch(channel: Channel, file: PendingFile, path: Path, *, max_bytes: int, timeout_s: float) -> int | str:
    """Return the bytes fetched, or why there are none; no half file stays."""
    if file.size is not None and file.size > max_bytes:
        return TOO_LARGE.format(most=max_bytes >> 20)
    path.unlink(missing_ok=True)
    complete = False
    try:
        async with asyncio.timeout(timeout_s):
            await channel.fetch(file, path, max_bytes)
            size = await asyncio.to_thread(_sync, path)
        complete = size <= max_bytes  # whatever its platform and its channel have said
    except DeliveryFailed as error:
        return error.reason
    except TimeoutError:
        return f"it did not arrive within {timeout_s:g} s"
    except OSError as error:
        return f"it could not be written ({error.strerror})"
    finally:
        if not complete:
            path.unlink(missing_ok=True)
    return size if complete else TOO_LARGE.format(most=max_bytes >> 20)


def _sync(path: Path) -> int:
    """Make a file last before the message that names it does, and readable for an agent of another user id; return its
    bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
