"""The files that go with a message, the first and those beside it alike. Pure."""

from __future__ import annotations

from protocol.message import OutboundFile, OutboundMessage


def files_of(message: OutboundMessage) -> tuple[OutboundFile, ...]:
    """Return a message's files, in order."""
    if message.file_path is None:
        return message.more_files
    return (OutboundFile(path=message.file_path, name=message.file_name), *message.more_files)


def label_of(name: str, index: int) -> str:
    """Return under which of a message's labels a fact about one of its files stands."""
    return f"{name}.{index}" if index else name
