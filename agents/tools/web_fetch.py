"""The tool that reads a web page: over the proxy, which decides and keeps what was read by its hash."""

from __future__ import annotations

import os
import shlex

from agents.providers.provider import ToolCard
from agents.tools.opened_file import opened_for_reading
from agents.tools.shell import run_command
from agents.tools.tool import (
    MAX_OUTPUT_CHARS,
    Arguments,
    ToolContext,
    ToolError,
    cut_in_the_middle,
    number_argument,
    object_schema,
)
from agents.tools.tool import text_argument as text

MAX_PAGE_BYTES = 5_000_000
_TIMEOUT_S = 60
_MARK = "\n--nightyard-fetched--"
_TEXTS = ("text/", "application/json", "application/xml", "application/xhtml", "application/rss", "application/atom")


class WebFetch:
    card = ToolCard(
        name="web_fetch",
        description="Read a web page as Markdown.",
        schema=object_schema({"url": "string"}, {"from": "integer: character to go on from"}),
    )

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        url = text(arguments, "url").strip()
        begin = number_argument(arguments, "from", 0, lowest=0, highest=MAX_PAGE_BYTES)
        if not url.startswith(("https://", "http://")) or any(mark.isspace() for mark in url):
            raise ToolError("the url must begin with https:// or http:// and hold no space")
        status, kind, address, body = _fetch(url, context)
        title, words = _readable(kind, address, body)
        if begin >= len(words) and begin:
            raise ToolError(f"the page has {len(words)} characters; there is nothing from {begin} on")
        rest = words[begin:]
        shown = rest if len(rest) <= MAX_OUTPUT_CHARS else rest[: MAX_OUTPUT_CHARS - 200]
        more = f"\n[… {len(rest) - len(shown)} characters more: from={begin + len(shown)}]" if shown != rest else ""
        head = f'<page address="{_attribute(address)}" status="{status}" title="{_attribute(title)}" trust="none">'
        answer = "\n".join((head, shown.replace("</page", "<\\/page") + more, "</page>"))
        if status >= 400:
            raise ToolError(cut_in_the_middle(answer))
        return answer


def _fetch(url: str, context: ToolContext) -> tuple[int, str, str, bytes]:
    """Return status, content type, last address and body; raise ToolError."""
    path = f"{context.places.root}/tmp/{context.call_id}.page"
    words = ["curl", "-sSL", "--compressed", "--max-redirs", "5", "--max-time", str(_TIMEOUT_S - 5)]
    words += ["--max-filesize", str(MAX_PAGE_BYTES), "--proto", "=http,https", "--proto-redir", "=http,https"]
    words += ["-A", "nightyard-agent", "-o", path, "-w", f"{_MARK}%{{http_code}} %{{url_effective}} %{{content_type}}"]
    ended = run_command(shlex.join([*words, "--", url]), _TIMEOUT_S, context)
    said, _, facts = ended.text.rpartition(_MARK)
    try:
        if not facts or ended.exit_code:
            raise ToolError(said.strip() or ended.text.strip() or f"{url} could not be read within {_TIMEOUT_S} s")
        status, address, *kind = facts.splitlines()[0].split(" ", 2)
        body = _read(path, context) if os.path.lexists(path) else b""  # an answer without a body makes no file
    finally:
        if os.path.lexists(path):
            os.unlink(path)  # noqa: PTH108
    if len(body) > MAX_PAGE_BYTES:
        raise ToolError(f"the page is larger than {MAX_PAGE_BYTES} bytes; fetch it into a file with curl")
    return int(status), (kind[0] if kind else "").lower(), address, body


def _read(path: str, context: ToolContext) -> bytes:
    """Return what was fetched. What a process in the background has put in its place, a link or a pipe, is refused."""
    body = bytearray()
    with opened_for_reading(context.places, path, (f"{context.places.root}/tmp",)) as descriptor:
        while len(body) <= MAX_PAGE_BYTES and (piece := os.read(descriptor, 1 << 20)):
            body += piece
    return bytes(body)


def _readable(kind: str, address: str, body: bytes) -> tuple[str, str]:
    """Return title and text of what was fetched; raise ToolError for what is no text."""
    charset = kind.partition("charset=")[2].strip("\"' ;") or "utf-8"
    try:
        words = body.decode(charset, "replace")
    except LookupError:
        words = body.decode("utf-8", "replace")
    if "html" in kind or (not kind and "<html" in words[:1000].lower()):
        from agents.readable import to_markdown  # late: few tasks read the web

        return to_markdown(words, address)
    if kind and not kind.startswith(_TEXTS):
        raise ToolError(f"{address} is {kind.partition(';')[0]}, no text; fetch it into a file with curl")
    return "", words


def _attribute(value: str) -> str:
    cleaned = "".join(mark if mark.isprintable() else " " for mark in value)[:300]
    return cleaned.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
