"""Files that lie elsewhere and are shown in Slack: `files.remote.*`."""

from __future__ import annotations

from twins.slack.file_store import delete, fill, new_file, share
from twins.slack.methods.method import Call, Json, Method
from twins.slack.posting import author
from twins.slack.refusal import Refusal
from twins.slack.world import File


def add(call: Call) -> Json:
    """Make known a file by its external id; one that is known gets the new facts."""
    arguments = call.arguments
    title, url = arguments.needed("title"), arguments.needed("external_url")
    external_id = arguments.needed("external_id", "invalid_external_id")
    file = _found(call, external_id) or new_file(call.world, call.user_id, title, 0)
    fill(file, b"")
    facts = {"title": title, "external_id": external_id, "external_url": url, "url_private": url, "mode": "external"}
    file.info |= {
        **facts,
        "is_external": True,
        "external_type": "app",
        "filetype": arguments.text("filetype", "remote"),
    }
    return {"file": file.info}


def info(call: Call) -> Json:
    return {"file": _known(call).info}


def list_files(call: Call) -> Json:
    found = [file.info for file in call.world.files.values() if file.info["is_external"]]
    return call.page("files", found)


def update(call: Call) -> Json:
    file = _known(call)
    given = {name: call.arguments.text(name) for name in ("title", "external_url", "filetype")}
    file.info |= {name: value for name, value in given.items() if value}
    return {"file": file.info}


def remove(call: Call) -> Json:
    delete(call.world, _known(call))
    return {}


def share_file(call: Call) -> Json:
    file, names = _known(call), call.arguments.names("channels")
    if not names:
        raise Refusal("channel_not_found")
    for name in names:
        conversation = call.world.conversation(name)
        if call.user_id not in conversation.members:
            raise Refusal("not_in_channel")
        share(call.world, conversation, [file], author(call.world, call.user_id, is_app=call.is_app))
    return {"file": file.info}


def _known(call: Call) -> File:
    found = _found(call, call.arguments.text("external_id")) or call.world.files.get(call.arguments.text("file"))
    if found is None or not found.info["is_external"]:
        raise Refusal("file_not_found")
    return found


def _found(call: Call, external_id: str) -> File | None:
    files = call.world.files.values()
    return next((file for file in files if external_id and file.info.get("external_id") == external_id), None)


READS, WRITES = ("remote_files:read",), ("remote_files:write",)
METHODS = {
    "files.remote.add": Method(function=add, tier=2, scopes=WRITES, kinds=("bot",)),
    "files.remote.info": Method(function=info, tier=2, scopes=READS),
    "files.remote.list": Method(function=list_files, tier=2, scopes=READS),
    "files.remote.update": Method(function=update, tier=2, scopes=WRITES, kinds=("bot",)),
    "files.remote.remove": Method(function=remove, tier=2, scopes=WRITES, kinds=("bot",)),
    "files.remote.share": Method(function=share_file, tier=2, scopes=("remote_files:share",)),
}
