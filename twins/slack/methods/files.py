"""Files by the API: the three-step upload, the old one-step one, and looking at them."""

from __future__ import annotations

from twins.slack.blocks import check_blocks
from twins.slack.file_store import delete, fill, known, new_file, share
from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import author
from twins.slack.refusal import Refusal
from twins.slack.texts import stored_text
from twins.slack.world import Conversation, File

MAX_UPLOAD_BYTES = 1 << 30


def get_upload_url(call: Call) -> Json:
    """Make a place for bytes to come; the address is good for one file."""
    name = call.arguments.needed("filename")
    length = call.arguments.number("length", 0)
    if length <= 0:
        raise Refusal("missing_argument")
    if length > MAX_UPLOAD_BYTES:
        raise Refusal("file_upload_size_restricted")
    file = new_file(call.world, call.user_id, name, length)
    return {"upload_url": f"{call.world.address}/upload/v1/{file.info['id']}", "file_id": file.info["id"]}


def complete_upload(call: Call) -> Json:
    """Make files of what was uploaded, and share them as one message where a channel is given."""
    given = call.arguments.nested("files", "invalid_arguments")
    if not isinstance(given, list) or not given:
        raise Refusal("invalid_arguments", messages=["must be a list of files [json-pointer:/files]"])
    files = [known(call.world, str(item.get("id", ""))) for item in given]
    for file, item in zip(files, given, strict=True):
        file.info["title"] = item.get("title") or file.info["title"]
    # Of `channels` the platform passes over what is none: slack_sdk's own tests give it a torn id there.
    known_names = [name for name in call.arguments.names("channels") if name in call.world.conversations]
    names = [*known_names, *call.arguments.names("channel_id")]
    blocks = check_blocks(call.arguments.nested("blocks", "invalid_blocks"))
    for conversation in [_writable(call, name) for name in dict.fromkeys(names)]:
        _share(call, conversation, files, blocks)
    return {"files": [file.info for file in files]}


def upload(call: Call) -> Json:
    """The old upload in one step: bytes as `file`, or text as `content`."""
    arguments = call.arguments
    name, content = arguments.files.get("file", ("", b""))
    if arguments.text("content"):
        content = arguments.text("content").encode()
    if not content:
        raise Refusal("no_file_data")
    conversations = [_writable(call, name) for name in arguments.names("channels")]
    name = arguments.text("filename") or name or "untitled"
    file = new_file(call.world, call.user_id, name, len(content), title=arguments.text("title"))
    fill(file, content)
    for conversation in conversations:
        _share(call, conversation, [file], [])
    return {"file": file.info}


def info(call: Call) -> Json:
    return {"file": known(call.world, call.arguments.text("file")).info, "comments": []}


def list_files(call: Call) -> Json:
    """List files, newest first, by page and count as this method still does it."""
    channel, user_id = call.arguments.text("channel"), call.arguments.text("user")
    found = [
        file.info
        for file in reversed(call.world.files.values())
        if file.is_complete
        and user_id in ("", file.info["user"])
        and (not channel or channel in [*file.info["channels"], *file.info["groups"], *file.info["ims"]])
    ]
    count, page = call.arguments.number("count", 100), call.arguments.number("page", 1)
    pages = -(-len(found) // count) if count > 0 else 0
    paging = {"count": count, "total": len(found), "page": page, "pages": pages}
    return {"files": found[(page - 1) * count : page * count], "paging": paging}


def delete_file(call: Call) -> Json:
    file = known(call.world, call.arguments.text("file"))
    if file.info["user"] != call.user_id:
        raise Refusal("cant_delete_file")
    delete(call.world, file)
    return {}


def _writable(call: Call, name: str) -> Conversation:
    conversation = call.world.conversation(name)
    if call.user_id not in conversation.members:
        raise Refusal("not_in_channel" if call.world.sees(call.user_id, conversation) else "channel_not_found")
    return conversation


def _share(call: Call, conversation: Conversation, files: list[File], blocks: list[Json]) -> None:
    fields = author(call.world, call.user_id, is_app=call.is_app)
    fields["text"] = stored_text(call.arguments.text("initial_comment"))
    if blocks:
        fields["blocks"] = blocks
    share(call.world, conversation, files, fields, call.arguments.text("thread_ts"))


READS, WRITES = ("files:read",), ("files:write",)
METHODS = {
    "files.getUploadURLExternal": Method(function=get_upload_url, tier=4, scopes=WRITES),
    "files.completeUploadExternal": Method(function=complete_upload, tier=4, scopes=WRITES),
    "files.upload": Method(function=upload, tier=2, scopes=WRITES),
    "files.info": Method(function=info, tier=4, scopes=READS),
    "files.list": Method(function=list_files, scopes=READS),
    "files.delete": Method(function=delete_file, scopes=WRITES),
}
