"""Attachments: how a file in a message is shown, and links that are signed and expire. Pure."""

from __future__ import annotations

import hashlib
import hmac
import mimetypes
import re
from typing import Any

Json = dict[str, Any]

CDN = "https://cdn.discordapp.com"
PROXY = "https://media.discordapp.net"
LINK_LIFE_S = 24 * 3600
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_REQUEST_BYTES = 25 * 1024 * 1024
MAX_FILES = 10
_KEY = b"the twin's CDN"
_UNSAFE = re.compile(r"[^\w.\-]+", re.ASCII)


def attachment_json(attachment_id: str, channel_id: str, name: str, content: bytes, *, media_type: str = "") -> Json:
    """Return a stored file as messages show it, links unsigned."""
    safe = _UNSAFE.sub("_", name) or "unknown"
    path = f"/attachments/{channel_id}/{attachment_id}/{safe}"
    shown: Json = {
        "id": attachment_id,
        "filename": safe,
        "size": len(content),
        "url": CDN + path,
        "proxy_url": PROXY + path,
        "content_type": media_type or mimetypes.guess_type(safe)[0] or "application/octet-stream",
    }
    if safe != name:
        shown["title"] = name.rpartition(".")[0] or name
    return shown | _picture_size(content)


def signed_attachments(attachments: list[Json], now_s: float) -> list[Json]:
    """Return them with links that work for a day from now."""
    return [{**one, "url": sign(one["url"], now_s), "proxy_url": sign(one["proxy_url"], now_s)} for one in attachments]


def sign(url: str, now_s: float) -> str:
    issued = int(now_s)
    path = url.split("/", 3)[3]
    expires = issued + LINK_LIFE_S
    return f"{url}?ex={expires:x}&is={issued:x}&hm={_mac(path, expires, issued)}&"


def is_valid(path: str, query: dict[str, str], now_s: float) -> bool:
    """Return whether a link is signed by us and not over; `path` without its leading slash."""
    try:
        expires, issued = int(query.get("ex", ""), 16), int(query.get("is", ""), 16)
    except ValueError:
        return False
    return now_s < expires and hmac.compare_digest(query.get("hm", ""), _mac(path, expires, issued))


def _mac(path: str, expires: int, issued: int) -> str:
    return hmac.new(_KEY, f"{path}\n{expires}\n{issued}".encode(), hashlib.sha256).hexdigest()


def _picture_size(content: bytes) -> Json:
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        return {"width": int.from_bytes(content[16:20], "big"), "height": int.from_bytes(content[20:24], "big")}
    return {}
