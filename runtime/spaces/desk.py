"""SpaceDesk: what people are told of spaces, and the removal of one's files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from protocol.ids import GroupId, TaskId
from runtime.group import Groups
from runtime.home import Home
from runtime.refusal import OperationRefused
from runtime.spaces.declared import Access, SpaceSettings, load_spaces
from runtime.spaces.room import Spaces
from runtime.store import space_rows
from runtime.store.space_rows import ChangeRow, HeldRow
from runtime.store.store import Store

MAX_LOG = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceView:
    """One space, as it is declared and as it is."""

    name: str
    is_declared: bool
    """False: there are only files of it, in the home."""
    settings: SpaceSettings
    problems: tuple[str, ...]
    grants: Mapping[GroupId, Access]
    """Of the groups that run."""
    held: HeldRow
    at_work: tuple[TaskId, ...]
    """The tasks whose tools may look into it now."""
    folder: Path


class SpaceDesk:
    """Answers owners at the machine."""

    def __init__(self, fork: Path, home: Home, spaces: Spaces, store: Store, groups: Callable[[], Groups]) -> None:
        self._fork = fork
        self._home = home
        self._spaces = spaces
        self._store = store
        self._groups = groups

    async def all(self) -> tuple[SpaceView, ...]:
        """Return every space that is declared, and those whose files have stayed."""
        return tuple([await self._view(name) for name in await self._names()])

    async def one(self, name: str) -> SpaceView:
        """Return a space as it is this moment; OperationRefused if there is none of the name."""
        await self._refresh(name)
        return await self._view(name)

    async def log(self, name: str, limit: int, path: str, task: str) -> tuple[ChangeRow, ...]:
        """Return the newest changes, up to this moment; OperationRefused if there is no such space."""
        await self._refresh(name)
        return await self._store.read(space_rows.log, name, max(1, min(limit, MAX_LOG)), path.strip("/"), task)

    async def remove_files(self, name: str, by: str) -> None:
        """Remove all files of a space that no group has; OperationRefused."""
        await self._known(name)
        if having := list((await self._view(name)).grants):
            text = f"{', '.join(having)} has the space {name}"
            raise OperationRefused("space_in_use", text, f"./nightyard space revoke {name} {having[0]}")
        await self._spaces.remove(name, by)

    async def _refresh(self, name: str) -> None:
        await self._known(name)
        await self._spaces.refresh(name)

    async def _known(self, name: str) -> None:
        names = await self._names()
        if name not in names:
            text = f"there is no space {name[:40]!r} (known: {', '.join(names) or 'none'})"
            raise OperationRefused("unknown_space", text, "./nightyard space list")

    async def _names(self) -> list[str]:
        left = [name for name in await self._store.read(space_rows.known) if self._home.space(name).is_dir()]
        return sorted({*load_spaces(self._fork), *left})

    async def _view(self, name: str) -> SpaceView:
        reading = load_spaces(self._fork).get(name)
        stays = await self._store.read(space_rows.stays)
        return SpaceView(
            name=name,
            is_declared=reading is not None,
            settings=reading.value if reading else SpaceSettings(),
            problems=tuple(str(problem) for problem in reading.problems) if reading else (),
            grants={
                group.group_id: space.access
                for group in self._groups().ready.values()
                for space in group.spaces
                if space.name == name
            },
            held=await self._store.read(space_rows.held, name),
            at_work=tuple(stay.task_id for stay in stays if stay.space == name),
            folder=self._home.space(name),
        )
