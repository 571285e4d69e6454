"""The tool that searches the web, with the service that the group's settings name; the proxy adds its key.

Brave: https://api-dashboard.search.brave.com/app/documentation/web-search (GET /res/v1/web/search, `web.results`).
Tavily: https://docs.tavily.com/documentation/api-reference/endpoint/search (POST /search, `results`).
SearXNG: https://docs.searxng.org/dev/search_api.html (GET /search?format=json, `results`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from agents.providers.provider import ToolCard
from agents.tools.tool import Arguments, ToolContext, ToolError, number_argument, object_schema, text_argument
from agents.tools.web import attribute, fetch

MAX_QUERY_CHARS = 400
"""Brave's limit, the smallest of the three."""
MOST = 20
_USUAL = 8
_SNIPPET_CHARS = 500
_RESERVED = frozenset("-._~")


class WebSearch:
    card = ToolCard(
        name="web_search",
        description="Search the web.",
        schema=object_schema({"query": "string"}, {"count": f"integer: at most {MOST}"}),
    )

    def __init__(self, service: str) -> None:
        """`service`: `brave`, `tavily`, or the address of a SearXNG."""
        self._service = service

    def run(self, arguments: Arguments, context: ToolContext) -> str:
        query = " ".join(text_argument(arguments, "query").split())
        if not 0 < len(query) <= MAX_QUERY_CHARS:
            raise ToolError(f"a search has 1 to {MAX_QUERY_CHARS} characters")
        count = number_argument(arguments, "count", _USUAL, lowest=1, highest=MOST)
        url, given = build_request(self._service, query, count)
        status, _, _, body = fetch(url, context, *given)
        if status >= 400:
            raise ToolError(f"the search service answered {status}: {body[:2_000].decode('utf-8', 'replace')}")
        found = parse_results(self._service, body)[:count]
        if not found:
            return "Nothing was found."
        shown = "\n".join(f"{number}. {_shown(each)}" for number, each in enumerate(found, 1))
        return f'<results query="{attribute(query)}" trust="none">\n{shown}\n</results>'


def build_request(service: str, query: str, count: int) -> tuple[str, Sequence[str]]:
    """Return the address and what else curl is given."""
    accept = ("-H", "Accept: application/json")
    if service == "tavily":
        body = json.dumps({"query": query, "max_results": count})
        return "https://api.tavily.com/search", (*accept, "-H", "Content-Type: application/json", "--data", body)
    if service == "brave":
        return f"https://api.search.brave.com/res/v1/web/search?q={_encoded(query)}&count={count}", accept
    return f"{service.rstrip('/')}/search?q={_encoded(query)}&format=json", accept


def parse_results(service: str, body: bytes) -> list[Mapping[str, object]]:
    """Return the hits in a service's answer; raise ToolError for one that is none."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ToolError(
            f"the search service answered what is no JSON: {body[:200].decode('utf-8', 'replace')}"
        ) from error
    if service == "brave" and isinstance(answer, dict):
        answer = answer.get("web") or {}
    found = answer.get("results") if isinstance(answer, dict) else None
    if found is None and service == "brave":
        return []  # it leaves the part out where there is no hit
    if not isinstance(found, list):
        raise ToolError("the search service's answer has no results in the form that it is known for")
    return [each for each in found if isinstance(each, dict) and isinstance(each.get("url"), str)]


def _shown(hit: Mapping[str, object]) -> str:
    snippet = str(hit.get("description") or hit.get("content") or "")
    words = " ".join(re.sub(r"<[^>]{0,200}>", "", snippet).split())[:_SNIPPET_CHARS]
    title = " ".join(str(hit.get("title") or "").split())[:200]
    age = str(hit.get("page_age") or hit.get("published_date") or hit.get("publishedDate") or "")[:10]
    text = f"{title}\n   {str(hit['url'])[:500]}{f' ({age})' if age else ''}\n   {words}".rstrip()
    return text.replace("</results", "<\\/results")


def _encoded(query: str) -> str:
    """Return the query for an address, UTF-8 and percent signs. Without urllib: it costs each agent half a megabyte."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in _RESERVED) else f"%{byte:02X}"
        for byte in query.encode("utf-8", "replace")
    )
