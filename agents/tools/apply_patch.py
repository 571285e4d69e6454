"""The tool that changes files by a patch, for models that are trained on it (`agents/patch.py` says which format)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from agents.patch import BadPatch, FileChange, apply_hunks, parse_patch
from agents.providers.provider import ToolCard
from agents.tools.opened_file import check_writable, full_path, opened_for_reading, remove_file, write_whole
from agents.tools.tool import Arguments, ToolContext, ToolError, object_schema
from agents.tools.tool import text_argument as text

MAX_FILE_BYTES = 4 << 20


class ApplyPatch:
    """All of a patch or nothing: every file is read and every hunk placed before the first is written."""

    card = ToolCard(
        name="apply_patch",
        description="Change files: *** Begin Patch … *** End Patch.",
        schema=object_schema({"input": "string"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        try:
            changes = parse_patch(text(arguments, "input"))
            _check_targets(changes, context)
            planned = [(change, _outcome(change, context)) for change in changes]
        except (BadPatch, ToolError) as error:
            raise ToolError(f"nothing was changed: {error}") from None
        done = list[str]()
        for change, outcome in planned:
            try:
                done.append(_write(change, outcome, context))
            except ToolError as error:  # the disk is full, or somebody changed the folders just now
                so_far = "; ".join(done) or "nothing"
                raise ToolError(f"{error}\n[what was done before that: {so_far}]") from None
        return "\n".join(done)


def _check_targets(changes: Sequence[FileChange], context: ToolContext) -> None:
    """Refuse what cannot be written, before anything is, and a file that two changes mean, whatever they call it."""
    seen = set[str]()
    for change in changes:
        own = {full_path(context.places, path): path for path in (change.moved_to, change.path) if path}
        for target, path in own.items():
            check_writable(context.places, path)
            if target in seen:
                raise BadPatch(f"{path} is changed twice; put its hunks under one heading")
            if path == change.moved_to and os.path.lexists(target):
                raise BadPatch(f"{path} is there already; move to another name")
        seen |= own.keys()


def _outcome(change: FileChange, context: ToolContext) -> str | None:
    """Return what the file will hold, None for nothing; raise BadPatch, ToolError."""
    exists = os.path.lexists(full_path(context.places, change.path))
    if change.kind == "add":
        if exists:
            raise BadPatch(f"{change.path} is there already; update it")
        return "".join(f"{line}\n" for line in change.lines)
    with opened_for_reading(context.places, change.path) as descriptor:
        data = os.read(descriptor, MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise BadPatch(f"{change.path} is larger than {MAX_FILE_BYTES} bytes; change it with the shell")
    if change.kind == "delete":
        return None
    try:
        return apply_hunks(data.decode("utf-8"), change)
    except UnicodeDecodeError:
        raise BadPatch(f"{change.path} is not UTF-8 text") from None


def _write(change: FileChange, outcome: str | None, context: ToolContext) -> str:
    if outcome is None:
        remove_file(context.places, change.path)
        return f"deleted {change.path}"
    write_whole(context.places, change.moved_to or change.path, outcome.encode("utf-8"))
    if change.moved_to and change.moved_to != change.path:
        remove_file(context.places, change.path)
        return f"moved {change.path} to {change.moved_to}"
    return f"{'added' if change.kind == 'add' else 'updated'} {change.path}"
