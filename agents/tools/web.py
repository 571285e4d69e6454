"""One request to the web, by curl: over the proxy, which decides and keeps what came by its hash."""

from __future__ import annotations

import os
import shlex

from agents.tools.opened_file import opened_for_reading
from agents.tools.shell import run_command
from agents.tools.tool import ToolContext, ToolError

MAX_PAGE_BYTES = 5_000_000
MAX_ATTRIBUTE_CHARS = 400
"""As long as a search may be."""
_TIMEOUT_S = 60
_TOO_LARGE = (63, -25, 128 + 25)
"""How curl ends that was told of too large a file, and one that the kernel stopped (SIGXFSZ): before 8.4 it takes in
all of a file whose size nobody tells, and a small one may unpack to a huge one."""
_MARK = "\n--nightyard-fetched--"


def fetch(url: str, context: ToolContext, *given: str) -> tuple[int, str, str, bytes]:
    """Return status, content type, last address and body; raise ToolError. `given`: further words for curl."""
    path = f"{context.places.root}/tmp/{context.call_id}.page"
    words = ["curl", "-sSL", "--compressed", "--max-redirs", "5", "--max-time", str(_TIMEOUT_S - 5)]
    words += ["--max-filesize", str(MAX_PAGE_BYTES), "--proto", "=http,https", "--proto-redir", "=http,https"]
    words += ["-A", "nightyard-agent", "-o", path, "-w", f"{_MARK}%{{http_code}} %{{url_effective}} %{{content_type}}"]
    words += given
    limited = f"ulimit -f {MAX_PAGE_BYTES // 1024 + 1}; {shlex.join([*words, '--', url])}"
    ended = run_command(limited, _TIMEOUT_S, context)
    said, _, facts = ended.text.rpartition(_MARK)
    try:
        if ended.exit_code in _TOO_LARGE:
            raise _too_large()
        if not facts or ended.exit_code:
            raise ToolError(said.strip() or ended.text.strip() or f"{url} could not be read within {_TIMEOUT_S} s")
        status, address, *kind = facts.splitlines()[0].split(" ", 2)
        body = _read(path, context) if os.path.lexists(path) else b""  # an answer without a body makes no file
    finally:
        if os.path.lexists(path):
            os.unlink(path)  # noqa: PTH108
    if len(body) > MAX_PAGE_BYTES:
        raise _too_large()
    return int(status), (kind[0] if kind else "").lower(), address, body


def _too_large() -> ToolError:
    return ToolError(f"the page is larger than {MAX_PAGE_BYTES} bytes; fetch it into a file with curl")


def _read(path: str, context: ToolContext) -> bytes:
    """Return what was fetched. What a process in the background has put in its place, a link or a pipe, is refused."""
    body = bytearray()
    with opened_for_reading(context.places, path, (f"{context.places.root}/tmp",)) as descriptor:
        while len(body) <= MAX_PAGE_BYTES and (piece := os.read(descriptor, 1 << 20)):
            body += piece
    return bytes(body)


def attribute(value: str) -> str:
    """Return a stranger's words as one attribute of a mark holds them: on one line, cut, and unable to end it."""
    cleaned = "".join(mark if mark.isprintable() else " " for mark in value)[:MAX_ATTRIBUTE_CHARS]
    return cleaned.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
