"""What approved MCP servers offered when they were asked last: a file for each group, by the digest of the definition.

So that an agent knows its tools before it starts a server. A server that was changed in the settings has another
digest, and is asked anew. The files can be deleted; then servers are asked with the next task.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from protocol.codec import Json, ShapeError, from_json, to_json
from protocol.ids import GroupId
from protocol.link import McpTool
from protocol.record import Record

log = logging.getLogger(__name__)

MAX_TOOLS = 500
MAX_LIST_CHARS = 300_000
"""Of one server, as JSON: a little more than agents keep of one."""
Lists = Mapping[str, tuple[McpTool, ...]]


class ToolList(Record):
    """What an agent tells of one server."""

    server: str
    tools: tuple[McpTool, ...]


def read_told(payload: Json) -> ToolList:
    """Return what an agent tells; raise ShapeError for what is none, or too large."""
    told = from_json(ToolList, payload, "tools")
    if len(told.tools) > MAX_TOOLS or len(json.dumps(to_json(told))) > MAX_LIST_CHARS:
        raise ShapeError("tools", f"more than {MAX_TOOLS} tools, or {MAX_LIST_CHARS} characters")
    return told


class ListFiles:
    """The files, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, group_id: GroupId) -> Lists:
        """Return what is known of a group's servers. Blocks; what cannot be read is not known."""
        try:
            value = json.loads(self._path(group_id).read_text("utf-8"))
            return {digest: read_told({"server": "", "tools": tools}).tools for digest, tools in dict(value).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:  # a ShapeError is a ValueError
            log.warning(
                "what MCP servers of %s offered is not known: %s", group_id, error, extra={"action": "mcp_lists"}
            )
            return {}

    def store(self, group_id: GroupId, lists: Lists, wanted: Collection[str]) -> None:
        """Keep what is known of definitions that there are still. Blocks; raises OSError."""
        kept = {digest: [to_json(tool) for tool in tools] for digest, tools in lists.items() if digest in wanted}
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(group_id)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(kept), "utf-8")
        os.replace(part, path)  # noqa: PTH105

    def _path(self, group_id: GroupId) -> Path:
        return self._folder / f"{group_id}.json"
