"""The page's files, for whichever server a twin stands on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_NAMES = {
    "/twin/phone": "page.html",
    "/twin/phone/page.css": "page.css",
    "/twin/phone/blocks.js": "blocks.js",
    "/twin/phone/marks.js": "marks.js",
    "/twin/phone/page.js": "page.js",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@cache
def phone_file(path: str) -> tuple[str, bytes] | None:
    """Return what a request path of the phone's is answered with, (Content-Type, body); None for any other path."""
    name = _NAMES.get(path.rstrip("/"))
    if name is None:
        return None
    file = Path(__file__).with_name(name)
    return _TYPES[file.suffix], file.read_bytes()
