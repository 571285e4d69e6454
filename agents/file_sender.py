"""Sends one file of the container to the host: offer, chunks, stored; from the start again after a lost connection."""

from __future__ import annotations

import os

from agents.host_link import FileAnswer, HostLink
from protocol.link import FILE_CHUNK_BYTES, FileAccepted, FileChunk, FileOffer, FileRefused, FileStored

ANSWER_TIMEOUT_S = 60.0
MAX_OFFERS = 5


class FileNotSent(Exception):
    """The host did not take the file, and why."""


def send_file(
    link: HostLink,
    descriptor: int,
    *,
    call_id: str,
    name: str,
    size: int,
    caption: str = "",
    is_for_agent: bool = False,
    to: str = "",
    place: int = 1,
    of: int = 1,
) -> None:
    """Return when the host has stored the file; raise FileNotSent, Interrupted."""
    offer = FileOffer(
        call_id=call_id,
        name=name,
        size=size,
        caption=caption,
        is_for_agent=is_for_agent,
        to=to,
        place=place,
        of=of,
    )
    for _ in range(MAX_OFFERS):
        if _is_sent(link, descriptor, offer):
            return
    raise FileNotSent("the host did not answer")


def _is_sent(link: HostLink, descriptor: int, offer: FileOffer) -> bool:
    """Try over the connection now open; return False when it was lost, so that the same offer may be made again."""
    connection = link.wait_connected(ANSWER_TIMEOUT_S)
    if connection is None or not link.say(offer, connection=connection):
        return False
    answer = link.wait_file_answer(
        lambda frame: isinstance(frame, FileAccepted | FileRefused) and frame.call_id == offer.call_id,
        connection,
        ANSWER_TIMEOUT_S,
    )
    if isinstance(answer, FileRefused):
        raise FileNotSent(answer.reason)
    if not isinstance(answer, FileAccepted):
        return False
    file_id = answer.file_id
    sent = 0
    while sent < offer.size or sent == 0:
        data = os.pread(descriptor, min(FILE_CHUNK_BYTES, offer.size - sent), sent)
        sent += len(data)
        if not data and offer.size:
            raise FileNotSent("the file became shorter while it was sent")
        if not link.say(FileChunk(file_id=file_id, data=data, last=sent >= offer.size), connection=connection):
            return False
        if not offer.size:
            break
    stored = link.wait_file_answer(
        lambda frame: frame.file_id == file_id if isinstance(frame, FileStored) else _refuses(frame, offer),
        connection,
        ANSWER_TIMEOUT_S,
    )
    if isinstance(stored, FileRefused):
        raise FileNotSent(stored.reason)
    return stored is not None


def _refuses(frame: FileAnswer, offer: FileOffer) -> bool:
    return isinstance(frame, FileRefused) and frame.call_id == offer.call_id
