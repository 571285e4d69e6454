"""The verbs of shared folders: which there are, what they hold, who wrote what."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from protocol.plain_text import escape
from runtime.control.verb import BY, NoArguments, VerbTable, verb
from runtime.spaces.desk import SpaceDesk, SpaceView
from runtime.store.space_rows import ChangeRow

USUAL_LOG = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceArguments:
    space: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogArguments:
    space: str
    limit: int = USUAL_LOG
    path: str = ""
    """Only this file, or what is below this folder."""
    task: str = ""
    """Only what this task could have written."""


def space_verbs(desk: SpaceDesk) -> VerbTable:
    """Return the verbs that the desk carries out."""

    async def list_all(_: NoArguments) -> Json:
        return {"spaces": [_view(space) for space in await desk.all()]}

    async def show(given: SpaceArguments) -> Json:
        return _view(await desk.one(given.space))

    async def log(given: LogArguments) -> Json:
        changes = await desk.log(given.space, given.limit, given.path, given.task)
        return {"changes": [_view_change(change) for change in changes]}

    async def remove_files(given: SpaceArguments) -> Json:
        await desk.remove_files(given.space, BY)
        return {}

    return {
        "space_list": verb(NoArguments, list_all),
        "space_show": verb(SpaceArguments, show),
        "space_log": verb(LogArguments, log),
        "space_remove_files": verb(SpaceArguments, remove_files),
    }


def _view(space: SpaceView) -> Json:
    return {
        "space": space.name,
        "is_declared": space.is_declared,
        "description": space.settings.description,
        "quota_mb": space.settings.quota_mb,
        "max_files": space.settings.max_files,
        "problems": list(space.problems),
        "grants": {str(group): access for group, access in space.grants.items()},
        "files": space.held.files,
        "size_bytes": space.held.size_bytes,
        "at_work": list(space.at_work),
        "folder": str(space.folder),
    }


def _view_change(change: ChangeRow) -> Json:
    return {
        "at": change.at,
        "path": escape(change.path),
        "kind": change.kind,
        "digest": change.digest,
        "size_bytes": change.size_bytes,
        "writers": [
            {"task": writer.task_id, "group": writer.group_id, "submitter": writer.submitter}
            for writer in change.writers
        ],
    }
