"""Files that come in: uploaded, named by an id, or fetched from an address; and getFile."""

from __future__ import annotations

from typing import Any

from twins.telegram.arguments import Arguments, Upload
from twins.telegram.chats import Json
from twins.telegram.files import LINK_S, StoredFile
from twins.telegram.refusal import Refusal, bad_request
from twins.telegram.world import World

MAX_UPLOAD_BYTES = 50 << 20
MAX_PHOTO_BYTES = 10 << 20
MAX_DOWNLOAD_BYTES = 20 << 20
MAX_FETCHED_BYTES = 20 << 20
MAX_FETCHED_PHOTO_BYTES = 5 << 20
_ALIKE = frozenset({"document", "animation", "video", "live_photo"})
"""Kinds of which one may be sent again as another."""


def received(world: World, arguments: Arguments, name: str, kind: str, value: Any = None) -> Upload | StoredFile:
    """Return what a call means by a file: a new upload, or one that the server knows; raise Refusal."""
    words = kind.replace("_", " ")
    file = arguments.file(name) if value is None else arguments.attached(value)
    if isinstance(file, Upload):
        return _checked(file, kind)
    if not file:
        raise bad_request(f"there is no {words} in the request")
    if file.startswith(("http://", "https://")):
        return _fetched(world, file, kind)
    stored = world.files.get(file)
    if stored is None:
        raise bad_request("wrong remote file identifier specified: Wrong string length")
    if stored.kind != kind and not {stored.kind, kind} <= _ALIKE:
        raise bad_request(f"can't use file of type {_word(stored.kind)} as {_word(kind)}")
    return stored


def _checked(file: Upload, kind: str) -> Upload:
    if not file.content:
        raise bad_request("file must be non-empty")
    if len(file.content) > MAX_UPLOAD_BYTES:
        raise Refusal(413, "Request Entity Too Large")
    if kind == "photo" and len(file.content) > MAX_PHOTO_BYTES:
        raise bad_request("PHOTO_SAVE_FILE_INVALID")
    return file


def _fetched(world: World, address: str, kind: str) -> Upload:
    """Fetch a file from the web that this world knows, as the server fetches one from the real web."""
    page = world.web.get(address)
    if page is None or len(page.content) > (MAX_FETCHED_PHOTO_BYTES if kind == "photo" else MAX_FETCHED_BYTES):
        raise bad_request("failed to get HTTP URL content")
    return page


def _word(kind: str) -> str:
    return {"video_note": "VideoNote", "voice": "VoiceNote"}.get(kind, kind.capitalize())


def get_file(world: World, arguments: Arguments) -> Json:
    file_id = arguments.text("file_id")
    if not file_id:
        raise bad_request("file_id not specified")
    file = world.files.get(file_id)
    if file is None:
        raise bad_request("invalid file_id")
    if len(file.content) > MAX_DOWNLOAD_BYTES:
        raise bad_request("file is too big")
    file.link_until = world.clock.now() + LINK_S
    return {**file.as_json(), "file_path": file.path}


METHODS: dict[str, Any] = {"getfile": get_file}
