"""The images of groups that want more than the agent image: known to be there, or built in the background.

While a group's image is missing its tasks wait and nobody else's do: the dispatcher asks `lacks`. Builds are a child
process's (`child.py`), one at a time; which is next and when a failed one is tried again is `builds.py`'s decision. A
task that was begun is not stopped by a new image, nor by a refresh: its container stands on the one it began with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from protocol.codec import Json
from protocol.ids import GroupId
from runtime.engine_errors import EngineError
from runtime.group import Group, Groups
from runtime.images.book import REFRESH, ImageBook
from runtime.images.builds import Failure, is_refresh_due, next_build, next_look, status_text, waiting_text
from runtime.images.child import run_verb
from runtime.images.inputs import load_inputs
from runtime.images.recipe import ImageInputs, ImageRecipe, recipe_of
from runtime.store.records import TaskRow

log = logging.getLogger(__name__)

SLOW_LOOK_S = 3600.0
"""The engine is asked again at least so often: somebody may have removed an image."""
ENGINE_RETRY_S = 15.0
IMAGE_MISSING = "image_missing"
"""How a task ends whose container found no image."""
FIRST_LOOK_S = 5.0
"""How long a starting host waits for an engine's word on images; without it their groups wait."""


class ImageEngine(Protocol):
    """The part of `container_engine.ContainerEngine` that knows images."""

    async def image_made_at(self, reference: str) -> datetime | None:
        """Return when an image was made, None if the engine does not have it. Raises EngineError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesSetup:
    """What all of it goes by."""

    base: str
    """The agent image's reference."""
    repository: Path
    """Where the pins are."""
    command: Sequence[str]
    """What runs the `nightyard` command."""
    settled_s: float = 1800.0
    """A host that has just started does not begin with a refresh, however old the images are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ears:
    """Who hears of images. Each returns at once, but for `tell_waiting`."""

    ready: Callable[[], None]
    """An image is there that was missing."""
    refreshed: Callable[[], Awaitable[None]]
    """All images are new: what stands ready on old ones can go."""
    tell_waiting: Callable[[GroupId, str, str], Awaitable[bool]]
    """Has chats that wait for a group read a text, once for a key: (group, key, text). False: nobody waits."""
    alarm: Callable[[str, str, GroupId], None]
    """Has an owner read it: (key, text, group)."""


class Images:
    """One for the whole host."""

    def __init__(
        self,
        setup: ImagesSetup,
        book: ImageBook,
        engine: ImageEngine,
        groups: Callable[[], Groups],
        zone: Callable[[], tzinfo],
        ears: Ears,
    ) -> None:
        self._setup = setup
        self._engine = engine
        self._groups = groups
        self._zone = zone
        self._ears = ears
        self._book = book
        self._one_child = asyncio.Lock()
        self._inputs: ImageInputs | None = None
        self._present: set[str] = set()
        self._used: dict[GroupId, str] = {}
        """What each group's containers stood on last."""
        self._building = ""
        """The reference that is being built, or REFRESH; empty: none is."""
        self._progress = ""
        self._base_made_at: datetime | None = None
        self._settled_at = 0.0
        """From when on (monotonic) images are refreshed."""
        self._awake = asyncio.Event()

    # --- For tasks

    def image_of(self, group: Group) -> str:
        """Return the image that a group's containers stand on. A task that runs and wants another container while a
        new image is being built has the one of before: no new task begins then."""
        recipe = self._recipe(group)
        reference = self._reference(recipe)
        if recipe.is_plain or reference in self._present:
            self._used[group.group_id] = reference
        return self._used.get(group.group_id, reference)

    def task_ended(self, row: TaskRow) -> None:
        """Look again where a container found no image: somebody has removed it."""
        if row.result is not None and row.result.code == IMAGE_MISSING:
            self._awake.set()

    def lacks(self, group_id: GroupId) -> str:
        """Return what a chat reads while a group's image is missing; empty: it is not."""
        recipe, reference = self._missing(group_id)
        return waiting_text(group_id, recipe.summary, self._book.failures.get(reference)) if recipe else ""

    def reasons(self, group_id: GroupId) -> tuple[str, ...]:
        """Return the same for a line of the status."""
        recipe, reference = self._missing(group_id)
        if recipe is None:
            return ()
        progress = self._progress if reference == self._building else None
        return (status_text(recipe.summary, self._book.failures.get(reference), progress),)

    def status(self) -> Json:
        """Return what is done just now, how often images are refreshed, and what of that failed."""
        failed = self._book.failures.get(REFRESH)
        return {
            "building": self._building,
            "progress": self._progress,
            "agent_image": self._setup.base,
            "made_at": self._base_made_at.isoformat() if self._base_made_at else None,
            "refresh_days": self._book.refresh_days,
            "refresh_problem": f"{failed.why}; mend: {failed.mend}" if failed else "",
        }

    # --- From the other rooms

    def wake(self) -> None:
        """Look again what is wanted and what is there; returns at once."""
        self._awake.set()

    async def look(self, *, is_refreshed: bool = False, refresh_days: int | None = None) -> None:
        """Hear that somebody has built, refreshed or removed images, or said how often they are to be refreshed."""
        if refresh_days is not None:
            self._book.refresh_days = refresh_days
            self._book.save()
        if is_refreshed:
            self._book.failures.pop(REFRESH, None)
            self._book.save()
            await self._ears.refreshed()
        self._awake.set()

    async def build_with(self, group_id: GroupId, manager: str, packages: Sequence[str]) -> str:
        """Build what a group's image would be with these packages too; return why it cannot be, empty when it is there.
        The group goes on with what it has meanwhile."""
        extra = [word for name in packages for word in ("--package", f"{manager}:{name}")]
        said = await self._child(f"packages for {group_id}", ["build", group_id, *extra, "--base", self._setup.base])
        return f"{said['what']}: {said['why']}" if "why" in said else ""

    async def load(self) -> None:
        """Learn what is there, before the first task; an engine that does not answer is asked again later."""
        with suppress(EngineError, TimeoutError):
            async with asyncio.timeout(FIRST_LOOK_S):
                await self._learn()

    async def run(self) -> None:
        """Build what is missing and refresh what is old, until cancelled."""
        self._settled_at = asyncio.get_running_loop().time() + self._setup.settled_s
        while True:
            self._awake.clear()
            try:
                pause_s = await self._work()
            except EngineError as error:
                # Whoever needs a container now is told the same: an engine that is away is no news of ours.
                log.debug("which images there are is not known: %s", error, extra={"action": "images_unknown"})
                pause_s = ENGINE_RETRY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._awake.wait()

    async def _work(self) -> float:
        """Do one thing that is to be done now; return how long there is nothing else."""
        await self._learn()
        wanted = self._wanted()
        now = datetime.now(UTC)
        reference = next_build(list(wanted), self._present, self._book.failures, now)
        if reference is not None:
            await self._build(reference, wanted[reference])
            return 0.0
        if await self._is_refresh_due():
            await self._refresh()
            return 0.0
        pause_s = next_look(list(wanted), self._present, self._book.failures, now)
        return SLOW_LOOK_S if pause_s is None else min(pause_s, SLOW_LOOK_S)

    async def _learn(self) -> None:
        """Ask the engine for what is wanted and not plain."""
        found, wanted = set(), self._wanted()
        for reference in wanted:
            if await self._engine.image_made_at(reference) is not None:
                found.add(reference)
        is_new = bool(found - self._present)
        self._present = found
        # What failed and is there now, or is wanted no more, is forgotten.
        over = self._book.failures.keys() - (wanted.keys() - found) - {REFRESH}
        if over:
            self._book.failures = {name: each for name, each in self._book.failures.items() if name not in over}
            self._book.save()
        if is_new:
            self._ears.ready()

    async def _build(self, reference: str, group_ids: Sequence[GroupId]) -> None:
        group_id = group_ids[0]
        extra = {"action": "image_builds", "group_id": group_id, "image": reference}
        log.info("an image is built", extra=extra)
        said = await self._child(reference, ["build", group_id, "--base", self._setup.base])
        if await self._engine.image_made_at(reference) is not None:
            log.info("an image is there", extra={**extra, "action": "image_built"})
            return
        why = f"{said['what']}: {said['why']}" if "why" in said else "group.yaml is not what it was when it was read"
        mend = str(said.get("mend") or "`nightyard config reload`")
        failure = self._note_failure(reference, why, mend)
        log.error("an image could not be built: %s", why, extra={**extra, "action": "image_failed"})
        if failure.count > 1:
            return  # told already, and status shows it
        for each in group_ids:
            text, key = self.lacks(each), f"image_failed:{reference}:{failure.at:%Y%m%d%H%M}"
            if not await self._ears.tell_waiting(each, key, text):
                self._ears.alarm(key, text, each)

    async def _is_refresh_due(self) -> bool:
        self._base_made_at = await self._engine.image_made_at(self._setup.base)
        if self._base_made_at is None or asyncio.get_running_loop().time() < self._settled_at:
            return False  # the first container that starts says it, and how to mend it
        now = datetime.now(self._zone())
        return is_refresh_due(self._base_made_at, self._book.refresh_days, self._book.failures.get(REFRESH), now)

    async def _refresh(self) -> None:
        log.info("the images are refreshed", extra={"action": "images_refresh"})
        said = await self._child(REFRESH, ["refresh", "--base", self._setup.base])
        if "why" not in said:
            self._book.failures.pop(REFRESH, None)
            self._book.save()
            log.info("the images are new", extra={"action": "images_refreshed"})
            await self._ears.refreshed()
            return
        failure = self._note_failure(REFRESH, f"{said['what']}: {said['why']}", str(said["mend"]))
        log.error("the images could not be refreshed: %s", failure.why, extra={"action": "images_not_refreshed"})
        groups = tuple(self._groups().ready)
        if failure.count == 1 and groups:
            text = (
                "⚠ The images that agents run in could not be refreshed; agents go on with those that there are.\n"
                f"{failure.why}\nTo mend it: {failure.mend}"
            )
            self._ears.alarm(f"image_refresh:{failure.at:%Y%m%d%H%M}", text, groups[0])

    async def _child(self, what: str, arguments: Sequence[str]) -> Mapping[str, Any]:
        async with self._one_child:
            self._building, self._progress = what, ""
            try:
                return await run_verb(self._setup.command, arguments, partial(setattr, self, "_progress"))
            finally:
                self._building, self._progress = "", ""

    def _note_failure(self, name: str, why: str, mend: str) -> Failure:
        before = self._book.failures.get(name)
        failure = Failure(count=before.count + 1 if before else 1, at=datetime.now(UTC), why=why, mend=mend)
        self._book.failures[name] = failure
        self._book.save()
        return failure

    def _wanted(self) -> dict[str, list[GroupId]]:
        """Return the images beside the agent image, with whose they are."""
        wanted: dict[str, list[GroupId]] = {}
        for group in self._groups().ready.values():
            recipe = self._recipe(group)
            if not recipe.is_plain:
                wanted.setdefault(self._reference(recipe), []).append(group.group_id)
        return wanted

    def _missing(self, group_id: GroupId) -> tuple[ImageRecipe | None, str]:
        group = self._groups().ready.get(group_id)
        recipe = self._recipe(group) if group is not None else None
        if recipe is None or recipe.is_plain:
            return None, ""
        reference = self._reference(recipe)
        return (None, "") if reference in self._present else (recipe, reference)

    def _recipe(self, group: Group) -> ImageRecipe:
        return recipe_of(group, self._setup.base)

    def _reference(self, recipe: ImageRecipe) -> str:
        if recipe.is_plain:
            return recipe.base
        if self._inputs is None:  # read at the first group that wants something: most installations have none
            self._inputs = load_inputs(self._setup.repository)
        return recipe.reference(self._inputs)
