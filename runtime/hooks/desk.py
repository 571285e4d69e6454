"""What hooks bring becomes submissions of their groups; which hooks there are now.

The request is stored, and its sender answered, before anything here is asked (`intake.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

from channels.channel import Work
from protocol.codec import Json
from protocol.ids import ChatKey, GroupId
from runtime.group import Groups
from runtime.hooks.settings import HookSettings
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store import hook_rows
from runtime.store.store import Store
from runtime.submission import NewSubmission
from runtime.submissions import Submissions

MAX_SCHEMA_BYTES = 64 << 10


class HookDesk:
    """One for the whole host."""

    def __init__(self, store: Store, submissions: Submissions, groups: Callable[[], Groups], folder: Path) -> None:
        """`folder`: where the groups' folders lie."""
        self._store = store
        self._submissions = submissions
        self._groups = groups
        self._folder = folder

    def settings_of(self, source: str) -> tuple[GroupId, HookSettings] | None:
        """Return a hook's group and settings, None if there is no such hook now."""
        group_id, _, name = source.partition("/")
        group = self._groups().ready.get(GroupId(group_id))
        hook = group.hooks.get(name) if group is not None else None
        return None if group is None or hook is None else (group.group_id, hook)

    async def file(self, raw_id: int, work: Work) -> str:
        """Have a stored request become a submission, once; return why it cannot, empty if it is one."""
        found = self.settings_of(work.source)
        if found is None:
            return f"the hook {work.source} is not in any group.yaml any more"
        group_id, hook = found
        try:
            schema = await asyncio.to_thread(self._schema, group_id, hook.result_schema)
            new = NewSubmission(
                submitter=f"webhook:{work.source}",
                group_id=group_id,
                prompt=work.text,
                idempotency_key=str(raw_id),
                chat=ChatKey(hook.reply_to) if hook.reply_to else None,
                result_schema=schema,
                trust="untrusted",
                skill=hook.skill or None,
            )
            self._submissions.check(new)
        except OperationRefused as refused:
            return refused.message
        taken = await insist(partial(self._store.write, hook_rows.file_work, raw_id, new), "what a hook brings")
        if isinstance(taken, str):
            return taken
        self._submissions.begin(*taken)
        return ""

    def _schema(self, group_id: GroupId, name: str) -> Json:
        if not name:
            return None
        try:
            schema: Json = json.loads(_read(self._folder / group_id, name))
        except (OSError, ValueError, RecursionError) as error:
            what = f"the result schema groups/{group_id}/{name} cannot be read: {error}"
            raise OperationRefused("wrong_schema", what) from error
        return schema


def _read(folder: Path, name: str) -> bytes:
    """Return a file of a folder. The agent may write there: a link out of it is not followed, a pipe not waited for."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError("it is a link to somewhere else")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("it is no file")
        text = file.read(MAX_SCHEMA_BYTES + 1)
    if len(text) > MAX_SCHEMA_BYTES:
        raise ValueError(f"it is larger than {MAX_SCHEMA_BYTES >> 10} KiB")
    return text
