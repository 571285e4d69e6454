"""Files as the server keeps them: an id, what is in it, how long its link lives; sizes of pictures."""

from __future__ import annotations

import base64
import hashlib
import itertools
import mimetypes
import struct
from dataclasses import dataclass

from twins.clock import Clock
from twins.telegram.arguments import Upload
from twins.telegram.chats import Json

LINK_S = 3600.0
"""A link is good for an hour after the file came, and after each getFile for another."""
IMAGE_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8")
MAX_THUMBNAIL = 320


@dataclass(slots=True, kw_only=True)
class StoredFile:
    file_id: str
    unique_id: str
    kind: str
    path: str
    name: str
    media_type: str
    content: bytes
    about: Json
    """Everything else that the API says of it: width, duration, thumbnail …"""
    link_until: float

    def as_json(self) -> Json:
        return {"file_id": self.file_id, "file_unique_id": self.unique_id, "file_size": len(self.content)}


class Files:
    """All files of the world, by id."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: dict[str, StoredFile] = {}
        self._numbers = itertools.count(1)

    def __getitem__(self, file_id: str) -> StoredFile:
        return self._files[file_id]

    def get(self, file_id: str) -> StoredFile | None:
        return self._files.get(file_id)

    def at_path(self, path: str) -> StoredFile | None:
        return next((file for file in self._files.values() if file.path == path), None)

    def store(self, upload: Upload, kind: str, about: Json | None = None) -> StoredFile:
        """Keep what was uploaded, under a new id. The unique id is that of the content, as on the real server."""
        number = next(self._numbers)
        folder = kind if kind == "animation" else f"{kind}s"
        dot = upload.name.rfind(".")
        suffix = upload.name[dot:] if dot > 0 else ""
        digest = hashlib.sha256(kind.encode() + upload.content).digest()
        file_id = base64.urlsafe_b64encode(b"\x07twin" + number.to_bytes(4, "big") + digest[:36]).decode().rstrip("=")
        stored = StoredFile(
            file_id=file_id,
            unique_id=_unique_id(kind, digest),
            kind=kind,
            path=f"{folder}/file_{number}{suffix if suffix.isascii() else ''}",
            name=upload.name,
            media_type=media_type_of(upload),
            content=upload.content,
            about=about or {},
            link_until=self._clock.now() + LINK_S,
        )
        self._files[file_id] = stored
        return stored


def _unique_id(kind: str, digest: bytes) -> str:
    """Pictures have one of 16 characters, all else of 15."""
    text = base64.urlsafe_b64encode(digest[:9]).decode()
    return f"AQAD{text}" if kind in ("photo", "thumbnail") else f"AgAD{text[:11]}"


def media_type_of(upload: Upload) -> str:
    """Return what the client said; if that says nothing, what the name says."""
    if upload.media_type not in ("", "application/octet-stream"):
        return upload.media_type
    return mimetypes.guess_type(upload.name)[0] or "application/octet-stream"


def image_size(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF, JPEG or WebP; None for anything else, and for a broken one."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack(">II", content[16:24])
        if content.startswith(b"GIF8"):
            return struct.unpack("<HH", content[6:10])
        if content.startswith(b"\xff\xd8\xff"):
            return _jpeg_size(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp_size(content)
    except (struct.error, IndexError):
        return None
    return None


def fitted(size: tuple[int, int], most: int) -> tuple[int, int]:
    """Return the size made smaller, its shape kept, so that no side is longer."""
    longest = max(*size, 1)
    if longest <= most:
        return size
    return max(1, round(size[0] * most / longest)), max(1, round(size[1] * most / longest))


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(content):
        marker, length = content[at + 1], struct.unpack(">H", content[at + 2 : at + 4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _webp_size(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", content[26:30])
    return width & 0x3FFF, height & 0x3FFF


def topic_icons(files: Files) -> Json:
    """Return the set of emoji that the icons of topics are chosen from: one is enough to choose it."""
    moving = Upload(name="icon.tgs", media_type="application/x-tgsticker", content=b"\x1f\x8b" + bytes(26_000))
    still = Upload(name="icon.webp", media_type="image/webp", content=bytes(3_000))
    thumbnail = {**files.store(still, "thumbnail").as_json(), "width": 128, "height": 128}
    about = {
        "type": "custom_emoji",
        "width": 512,
        "height": 512,
        "is_animated": True,
        "is_video": False,
        "emoji": "📰",
        "set_name": "Topics",
        "custom_emoji_id": "5434144690511290129",
        "thumbnail": thumbnail,
    }
    sticker = {**files.store(moving, "sticker", about).as_json(), **about}
    return {"name": "Topics", "title": "Topic icons", "sticker_type": "custom_emoji", "stickers": [sticker]}
