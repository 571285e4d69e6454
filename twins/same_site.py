"""Who may act as the people of a twin: programs, and the twin's own page; no other site that a browser shows. Pure.

A twin listens on this machine, and so does what any web page posts to `127.0.0.1`: behind a rehearsal stands an agent
that does what its owner says. Such a page's requests name its site as their origin; one whose name was made to lead
here names it as the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

FOREIGN = "another site's page asks: open the twin's own page, by its address in figures"
FILE_HEADERS = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
"""Of what was sent as a file: shown in a browser, it is no page of the twin's."""


def is_from_another_site(headers: Mapping[str, str]) -> bool:
    """Return whether a request to the user's side comes from a page that is not the twin's. `headers` has lower-case
    names, or knows any."""
    host, origin = headers.get("host", ""), headers.get("origin")
    if not _is_by_figures(host):
        return True
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


def _is_by_figures(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False
