"""/memory: what the agent has noted for itself, and search in it; owners may have a file removed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from protocol.ids import ChatKey, GroupId
from protocol.plain_text import escape
from runtime.commands.asker import demand, group_here
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.memory_desk import MemoryDesk
from runtime.memory_files import MemoryFile
from runtime.recall.records import Passage
from runtime.recall.room import Recall
from runtime.recall.words import NOTHING, place_of
from runtime.refusal import OperationRefused
from runtime.store.store import Store

USAGE = "/memory · /memory show FILE · /memory search WORDS · /memory forget FILE"
LISTED = 40
PASSAGE_CHARS = 300
"""Of a passage that was found, as many as fit beside others on a phone."""
SHOWN_CHARS = 3_000


def memory_handlers(desk: MemoryDesk, store: Store, recall: Recall) -> HandlerTable:
    """Return the handler of /memory."""

    async def memory(given: Given) -> Answer:
        group_id = await group_here(store, given)
        word, _, path = given.command.rest.partition(" ")
        match word, path.strip():
            case "" | "list", "":
                return Answer(text=build_memory(group_id, await asyncio.to_thread(desk.files.list, group_id)))
            case "show", name if name:
                text = await asyncio.to_thread(desk.files.read, group_id, name)
                return Answer(text=build_file(name, text))
            case "search", words if words:
                chat = given.message.inbound.chat
                return Answer(text=build_passages(await recall.in_chat(group_id, words, chat), chat))
            case "forget", name if name:
                await demand(store, given, "owner", "remove what an agent has noted")
                await desk.forget(group_id, name, given.message.inbound.person)
                return Answer(text=build_forgotten(name))
            case _:
                raise OperationRefused("usage", f"what I understand: {USAGE}")

    return {"memory": memory}


def build_memory(group_id: GroupId, files: tuple[MemoryFile, ...]) -> str:
    if not files:
        return f"{group_id} has noted nothing yet."
    lines = [f"- `{escape(file.path)}` · {size_text(file.size_bytes)}" for file in files[:LISTED]]
    more = [f"- … and {len(files) - LISTED} more"] if len(files) > LISTED else []
    return "\n".join([f"What {group_id} has noted:", *lines, *more, "", "/memory show FILE"])


def build_file(name: str, text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}\n(cut here)"
    fence = "`" * max(3, _longest_run(cut) + 1)
    return f"`{escape(name)}`:\n\n{fence}\n{cut}\n{fence}"


def build_passages(found: Sequence[Passage], chat: ChatKey) -> str:
    if not found:
        return NOTHING
    shown = (
        f"**{escape(place_of(each, chat))}**\n{escape(' '.join(each.text.split()))[:PASSAGE_CHARS]}" for each in found
    )
    return "\n\n".join(shown)


def build_forgotten(name: str) -> str:
    return f"`{escape(name)}` is removed. /undo of an earlier task would bring it back."


def size_text(size_bytes: int) -> str:
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    return f"{size_bytes / 1000:.1f} kB" if size_bytes < 1_000_000 else f"{size_bytes / 1e6:.1f} MB"


def _longest_run(text: str) -> int:
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    return longest
