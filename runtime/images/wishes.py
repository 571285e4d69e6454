"""Packages that agents ask for: a person is asked, an image with them is built, and only then group.yaml names them.

So a package that cannot be had holds nobody up: the agent goes on as it was and is told why. A yes is kept in the book
until what came of it is told, over restarts; the approval's own row is the record of who said it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from protocol.codec import ShapeError, from_json
from protocol.ids import ChatKey, GroupId, TaskId
from protocol.message import OutboundMessage
from protocol.record import Record
from runtime.approvals.approvals import Approvals
from runtime.approvals.askers import PackageManager, package_question
from runtime.approvals.effect_text import inline
from runtime.approvals.records import Approval
from runtime.group import Groups
from runtime.images.book import ImageBook, Wish
from runtime.images.group_file import CannotEdit, show_change, with_packages
from runtime.images.house import Images
from runtime.images.settings import MAX_PACKAGES, why_wrong_package
from runtime.insist import insist
from runtime.refusal import OperationRefused
from runtime.store.store import Store
from runtime.waiting_tasks import SUSPEND_AFTER_S, Asked

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
LOOKS = round((SUSPEND_AFTER_S + 30.0) / LOOK_EVERY_S)
"""A task that waits has given its container back by then."""
RUNNING = "running"


class PackageAsk(Record):
    """What an agent asks."""

    manager: PackageManager
    packages: tuple[str, ...]
    reason: str = ""


Reload = Callable[[str], Awaitable[object]]
"""Has settings and groups read again, for somebody."""


class PackageWishes:
    """One for the whole host."""

    def __init__(
        self,
        store: Store,
        images: Images,
        book: ImageBook,
        approvals: Approvals,
        fork: Path,
        *,
        groups: Callable[[], Groups],
        resume: Callable[..., Awaitable[bool]],
        hand_back: Callable[[TaskId], None],
        reload: Reload,
        wake_delivery: Callable[[], None],
    ) -> None:
        """`resume`: of `waiting_tasks.WaitingTasks`; `hand_back`: has a waiting task give its container back."""
        self._store = store
        self._images = images
        self._book = book
        self._approvals = approvals
        self._fork = fork
        self._groups = groups
        self._resume = resume
        self._hand_back = hand_back
        self._reload = reload
        self._wake_delivery = wake_delivery
        self._awake = asyncio.Event()

    async def asked(self, asked: Asked) -> str | None:
        """Ask an owner for what an agent asks; return what it is told where nothing is to be asked. Raises
        OperationRefused."""
        try:
            ask = from_json(PackageAsk, asked.ask.payload, "packages")
        except ShapeError as error:
            raise OperationRefused("wrong_request", f"the request for packages is not understood: {error}") from error
        group_id, task_id = asked.task.group_id, asked.task.task_id
        new, change = self._checked(group_id, ask)
        if any(wish.task == task_id and wish.call == asked.ask.call_id for wish in self._book.wishes):
            return None
        if not new:
            return (
                f"{group_id} has {' '.join(ask.packages)} in its image already. Look for it under its own name; what "
                "was added during this task is there from the next task on."
            )
        question = package_question(
            group_id, ask.manager, new, reason=ask.reason, task_id=task_id, key=f"{task_id}:{asked.ask.call_id}"
        )
        payload = question.payload if isinstance(question.payload, dict) else {}
        lines = (f"{ask.manager}: {' '.join(new)}", f"why: {inline(ask.reason)}", *change)
        approval = await self._approvals.ask(
            replace(question, payload={**payload, "call": asked.ask.call_id}, lines=lines)
        )
        if not approval.is_open:
            await self.decided(approval)
        return None

    async def decided(self, approval: Approval) -> None:
        """Have what was approved built; tell the task of a no. May be told of the same decision twice."""
        payload = approval.payload if isinstance(approval.payload, dict) else {}
        packages = payload.get("packages")
        task_id, call_id = approval.task_id or TaskId(""), str(payload.get("call", ""))
        if not approval.is_approved:
            because = f" {approval.because}" if approval.because else ""
            answer = f"The owner did not allow these packages.{because} Do without them, or say what you need them for."
            await self._resume(task_id, call_id, answer, is_error=True)
            return
        wish = Wish(
            group=str(approval.group_id),
            manager=str(payload.get("manager")),
            packages=tuple(str(name) for name in packages) if isinstance(packages, list) else (),
            task=task_id,
            call=call_id,
            by=approval.decided_by,
        )
        if wish not in self._book.wishes:
            self._book.wishes.append(wish)
            self._book.save()
        self._awake.set()

    async def run(self) -> None:
        """Have built what was approved, one after another, until cancelled; first what an earlier host left."""
        while True:
            self._awake.clear()
            for wish in tuple(self._book.wishes):
                text, is_error = await self._fulfil(wish)
                await self._tell(wish, text, is_error=is_error)
                self._book.wishes.remove(wish)
                self._book.save()
            await self._awake.wait()

    def _checked(self, group_id: GroupId, ask: PackageAsk) -> tuple[tuple[str, ...], list[str]]:
        """Return which of the packages the group has not, and what its file would be changed in."""
        for name in ask.packages:
            if wrong := why_wrong_package(ask.manager, name):
                raise OperationRefused("wrong_package", f"a package {wrong}")
        group = self._groups().ready.get(group_id)
        if group is None:
            raise OperationRefused("unknown_group", f"{group_id} does not run just now")
        has: tuple[str, ...] = getattr(group.packages, ask.manager)
        new = tuple(dict.fromkeys(name for name in ask.packages if name not in has))
        if len(has) + len(new) > MAX_PACKAGES:
            raise OperationRefused("too_many", f"an image has at most {MAX_PACKAGES} packages of {ask.manager}")
        before = self._text(group_id)
        try:
            after = with_packages(before, ask.manager, new)
        except CannotEdit as error:
            mend = f"ask the owner to name them in {file_name(group_id)}"
            raise OperationRefused("cannot_edit", f"its settings cannot be changed here: {error}", mend) from error
        return new, show_change(before, after, file_name(group_id))

    async def _fulfil(self, wish: Wish) -> tuple[str, bool]:
        """Build the image and name the packages; return what the agent is told, and whether that is an error."""
        group_id, named = GroupId(wish.group), f"{wish.manager}: {' '.join(wish.packages)}"
        failed = await self._images.build_with(group_id, wish.manager, wish.packages)
        if failed:
            return f"The owner said yes, but an image with {named} could not be built: {failed}", True
        try:
            before = self._text(group_id)
            after = with_packages(before, wish.manager, wish.packages)
            await asyncio.to_thread(_write, self._fork / file_name(group_id), after)
        except (CannotEdit, OSError) as error:
            return f"The owner said yes, but {file_name(group_id)} could not be changed: {error}", True
        extra = {"action": "packages_added", "group_id": group_id, "packages": named}
        log.info("a group has packages more", extra=extra)
        await self._reload(wish.by)
        return f"Installed: {named}.", False

    async def _tell(self, wish: Wish, text: str, *, is_error: bool) -> None:
        """Tell the task when its next container is one of the new image; its chat, if it waits no more."""
        task_id = TaskId(wish.task)
        for _ in range(LOOKS if not is_error else 0):
            self._hand_back(task_id)
            row = await self._store.task(task_id)
            if row is None or row.state != RUNNING:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        if await self._resume(task_id, wish.call, text, is_error=is_error):
            return
        row = await self._store.task(task_id)
        if row is not None and row.chat is not None:
            await self._tell_chat(row.chat, f"packages:{wish.task}:{wish.call}", f"{wish.group}: {text}")

    async def _tell_chat(self, chat: ChatKey, key: str, text: str) -> None:
        message = OutboundMessage(chat=chat, text=text)
        await insist(lambda: self._store.put_outbound(key, message), "a notice")
        self._wake_delivery()

    def _text(self, group_id: GroupId) -> str:
        try:
            return (self._fork / file_name(group_id)).read_text("utf-8")
        except FileNotFoundError:
            return ""


def file_name(group_id: GroupId) -> str:
    return f"groups/{group_id}/group.yaml"


def _write(path: Path, text: str) -> None:
    """Write the file whole or not at all, with the mode that it had."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    path = path.resolve()
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, "utf-8")
    part.chmod(mode)
    part.replace(path)
