"""What the addresses in an entity may be: web links, tg:// links to a person, an emoji, a time. Pure."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

_WEB = re.compile(
    r"(?:(?P<scheme>https?)://)?(?:[^/?#@\s]+@)?(?P<host>\[[0-9a-f:.]+\]|[^/?#:@\s\[\]]+)(?P<port>:\d{1,5})?"
    r"(?P<rest>[/?#][^\n]*)?",
    re.IGNORECASE,
)
_TG = re.compile(r"(?P<scheme>tg|ton|tonsite):(?://)?(?P<host>[\w-]+)(?P<rest>[/?#]\S*)?", re.IGNORECASE | re.ASCII)


def checked_link(url: str) -> str:
    """Return a link as the server keeps it, or nothing if it is none: then the entity is dropped without a word."""
    if tg := _TG.fullmatch(url):
        return f"{tg['scheme'].lower()}://{tg['host'].lower()}{tg['rest'] or '/'}".removesuffix("/")
    web = _WEB.fullmatch(url)
    if web is None or ("." not in web["host"] and not web["host"].startswith("[")):
        return ""
    rest = web["rest"] or "/"
    rest = rest if rest.startswith("/") else f"/{rest}"
    return f"{(web['scheme'] or 'http').lower()}://{web['host'].lower()}{web['port'] or ''}{rest}"


def user_of_link(url: str) -> int | None:
    """Return whom `tg://user?id=…` names."""
    found = re.match(r"tg:(?://)?user/?\?(?P<query>[^#]*)", url, re.IGNORECASE)
    number = dict(parse_qsl(found["query"])).get("id", "") if found else ""
    return int(number) if re.fullmatch(r"[1-9]\d{0,18}", number) else None


def emoji_of_link(url: str) -> str | None:
    """Return the id in `tg://emoji?id=…`."""
    number = _query(url, "emoji").get("id", "")
    return number if re.fullmatch(r"-?[1-9]\d{0,18}", number) else None


def time_of_link(url: str) -> tuple[int, str] | None:
    """Return the time and the format in `tg://time?unix=…&format=…`."""
    query = _query(url, "time")
    number, form = query.get("unix", ""), query.get("format", "")
    return (int(number), form) if re.fullmatch(r"[1-9]\d{0,9}", number) and is_time_format(form) else None


def is_time_format(form: str) -> bool:
    return re.fullmatch(r"[rR]|[wWdDtT]*", form) is not None


def _query(url: str, host: str) -> dict[str, str]:
    found = re.match(rf"tg:(?://)?{host}/?\?(?P<query>[^#]*)", url, re.IGNORECASE)
    return dict(parse_qsl(found["query"])) if found else {}
