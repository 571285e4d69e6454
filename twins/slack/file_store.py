"""Files: made, filled with their bytes, shared into conversations, deleted; and their objects as the API shows them."""

from __future__ import annotations

import mimetypes
import re

from twins.slack.posting import change, post
from twins.slack.refusal import Refusal
from twins.slack.world import TEAM_ID, Conversation, File, Json, World

_TEXT_TYPES = ("text/", "application/json")
PREVIEW_CHARACTERS = 1000
PLACES = ("channels", "groups", "ims", "shares")


def new_file(world: World, user_id: str, name: str, size: int, *, title: str = "", media_type: str = "") -> File:
    """Return a file that has a place and no bytes yet."""
    file_id = world.new_id("F")
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    now = int(world.clock.now())
    place = f"{world.address}/files-pri/{TEAM_ID}-{file_id}"
    permalink = f"{world.url}files/{user_id}/{file_id}/{name}"
    info: Json = {"id": file_id, "created": now, "timestamp": now, "name": name, "title": title or name}
    info |= {
        "mimetype": media_type or guessed,
        "filetype": name.rpartition(".")[2].lower() if "." in name else "binary",
    }
    info |= {"pretty_type": "File", "user": user_id, "user_team": TEAM_ID, "editable": False, "size": size}
    info |= {"mode": "hosted", "is_external": False, "external_type": "", "is_public": False, "display_as_bot": False}
    info |= {"public_url_shared": False, "username": "", "file_access": "visible", "has_rich_preview": False}
    plain = re.sub(r"[^a-z0-9.-]+", "_", name.lower()).lstrip(".") or "file"
    info |= {"url_private": f"{place}/{plain}", "url_private_download": f"{place}/download/{plain}"}
    info |= {"permalink": permalink, "channels": [], "groups": [], "ims": [], "shares": {}, "comments_count": 0}
    file = world.files[file_id] = File(info=info, content=b"", is_complete=False)
    return file


def fill(file: File, content: bytes) -> None:
    """Give a file its bytes."""
    file.content, file.is_complete = content, True
    file.info["size"] = len(content)
    if file.info["mimetype"].startswith(_TEXT_TYPES):
        text = content.decode(errors="replace")
        file.info |= {"preview": text[:PREVIEW_CHARACTERS], "lines": text.count("\n") + 1}


def share(world: World, conversation: Conversation, files: list[File], fields: Json, thread_ts: str = "") -> Json:
    """Put files into a conversation as one message; return it."""
    shown: Json = {"subtype": "file_share", "upload": True, "text": "", **fields, "display_as_bot": False}
    for file in files:
        _note_place(conversation, file)
    message = post(world, conversation, {**shown, "files": [_in_message(file) for file in files]}, thread_ts)
    visibility = "public" if conversation.kind == "channel" else "private"
    for file in files:
        shares: Json = file.info["shares"].setdefault(visibility, {})
        where = {"ts": message["ts"], "channel_name": conversation.info.get("name", ""), "team_id": TEAM_ID}
        shares.setdefault(conversation.id, []).append(where)
        _tell_shared(world, conversation, file)
    return message


def delete(world: World, file: File) -> None:
    """Delete a file: messages that showed it stay, with a tombstone in its place."""
    file_id = file.info["id"]
    del world.files[file_id]
    for conversation in world.conversations.values():
        for message in conversation.messages.values():
            shown = message.get("files", [])
            if any(item["id"] == file_id for item in shown):
                gone = {"id": file_id, "mode": "tombstone"}
                left = [gone if item["id"] == file_id else item for item in shown]
                change(world, conversation, message, {"files": left})
    world.publish({"type": "file_deleted", "file_id": file_id, "event_ts": world.new_ts()})


def known(world: World, file_id: str) -> File:
    """Return a file that is there with its bytes."""
    file = world.files.get(file_id)
    if file is None or not file.is_complete:
        raise Refusal("file_not_found")
    return file


def _in_message(file: File) -> Json:
    """Return a file's object as messages have it: without where else it is."""
    return {key: value for key, value in file.info.items() if key not in PLACES}


def _note_place(conversation: Conversation, file: File) -> None:
    places = {"im": "ims", "mpim": "groups", "group": "groups"}.get(conversation.kind, "channels")
    file.info[places] = [*file.info[places], conversation.id]
    file.info["is_public"] = file.info["is_public"] or places == "channels"


def _tell_shared(world: World, conversation: Conversation, file: File) -> None:
    file_id = file.info["id"]
    event = {"type": "file_shared", "file_id": file_id, "user_id": file.info["user"], "file": {"id": file_id}}
    if file.info["user"] in conversation.members:
        world.publish({**event, "channel_id": conversation.id, "event_ts": world.new_ts()})
