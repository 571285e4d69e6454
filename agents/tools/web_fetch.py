"""The tool that reads a web page: over the proxy, which decides and keeps what was read by its hash."""

from __future__ import annotations

from agents.providers.provider import ToolCard
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
from agents.tools.web import MAX_PAGE_BYTES, attribute, fetch

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
        status, kind, address, body = fetch(url, context)
        title, words = _readable(kind, address, body)
        if begin >= len(words) and begin:
            raise ToolError(f"the page has {len(words)} characters; there is nothing from {begin} on")
        rest = words[begin:]
        shown = rest if len(rest) <= MAX_OUTPUT_CHARS else rest[: MAX_OUTPUT_CHARS - 200]
        more = f"\n[… {len(rest) - len(shown)} characters more: from={begin + len(shown)}]" if shown != rest else ""
        head = f'<page address="{attribute(address)}" status="{status}" title="{attribute(title)}" trust="none">'
        answer = "\n".join((head, shown.replace("</page", "<\\/page") + more, "</page>"))
        if status >= 400:
            raise ToolError(cut_in_the_middle(answer))
        return answer


def _readable(kind: str, address: str, body: bytes) -> tuple[str, str]:
    """Return title and text of what was fetched; raise ToolError for what is no text."""
    charset = kind.partition("charset=")[2].strip("\"' ;") or "utf-8"
    try:
        words = body.decode(charset, "replace")
    except (LookupError, ValueError):  # not one that Python has, or one of its own that is no way to write a page
        words = body.decode("utf-8", "replace")
    if "html" in kind or (not kind and "<html" in words[:1000].lower()):
        from agents.readable import to_markdown  # late: few tasks read the web

        return to_markdown(words, address)
    if (kind and not kind.startswith(_TEXTS)) or "\0" in words:
        what = kind.partition(";")[0] or "of a kind that nobody tells"
        raise ToolError(f"{address} is {what}, no text; fetch it into a file with curl")
    return "", words
