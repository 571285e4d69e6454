"""Ids as types, and the one place that mints them.

An id is `<kind>_<16 base32 characters>`: 80 random bits from the CSPRNG, lower case, safe in file
names, labels, URLs and socket paths. Ids are minted by the host (or the proxy, for its own calls),
never by an agent.
"""

from __future__ import annotations

import os
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NewType
else:

    def NewType(_, kind):
        return kind  # at run time an id is its text; importing `typing` would cost every agent's start


GroupId = NewType("GroupId", str)
"""The name of an agent group: its folder's name under `groups/`; see `GROUP_ID_PATTERN`."""
SessionId = NewType("SessionId", str)
TaskId = NewType("TaskId", str)
AttemptId = NewType("AttemptId", str)
SubmissionId = NewType("SubmissionId", str)
"""Work that no chat message brought, from before it is a task."""
MessageId = NewType("MessageId", str)
"""Ours, host-minted; the platform's own id of a message is `PlatformMessageId`."""
ChannelId = NewType("ChannelId", str)
"""The name of a channel as settings give it: `terminal`, `telegram`, `telegram-work`."""
ChatKey = NewType("ChatKey", str)
"""`<channel>:<the platform's stable id of the place>[:<thread or topic>]`."""
PersonKey = NewType("PersonKey", str)
"""`<channel>:<the platform's stable id of who spoke>`; never a display name."""
PlatformMessageId = NewType("PlatformMessageId", str)
DoorId = NewType("DoorId", str)
"""One container's pair of sockets, from before it has a task until it is gone."""
FileId = NewType("FileId", str)
CallId = NewType("CallId", str)
"""One request through the proxy."""

GROUP_ID_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
"""1-32 of a-z, 0-9 and inner hyphens: what labels and folders all accept."""


_LETTERS = b"abcdefghijklmnopqrstuvwxyz234567" * 8
"""A letter of base 32 for each byte: each stands for as many bytes as any other."""


def mint(kind: str) -> str:
    """Return a new id of the kind, e.g. `task_4kq7…`: 16 characters of 5 random bits each."""
    return f"{kind}_{os.urandom(16).translate(_LETTERS).decode('ascii')}"


def is_group_id(text: str) -> bool:
    return GROUP_ID_PATTERN.fullmatch(text) is not None
