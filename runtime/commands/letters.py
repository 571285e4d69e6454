"""/retry: tries again what failed, or closes it: of the chat; for an owner in a direct chat, of the whole house."""

from __future__ import annotations

from protocol.ids import ChatKey
from protocol.message import Button
from protocol.plain_text import escape
from runtime.access import role_of
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.lasting.letters import Explained, LetterDesk
from runtime.refusal import OperationRefused
from runtime.store.letter_rows import Letter
from runtime.store.store import Store

MAX_WHAT_CHARS = 120
LISTED = 5
"""On one page, with two buttons each."""


def letter_handlers(desk: LetterDesk, store: Store) -> HandlerTable:
    """Return the handler of /retry. A chat reaches its own letters, an owner's direct chat those of all: updates that
    nobody could read, and failed tasks of no chat, are nobody else's to see."""

    async def retry(given: Given) -> Answer:
        words, inbound = given.command.rest.split(), given.message.inbound
        reach = None if await _sees_all(store, given) else inbound.chat
        if words[:1] == ["list"]:
            return await _list(desk, reach, words[1:])
        if words[:2] == ["close", "all"]:
            where = "" if reach is None else " of this chat"
            return Answer(text=f"Closed{where}: {await desk.close_all(inbound.person, chat=reach)}.")
        is_closing = words[:1] == ["close"]
        named = words[1:2] if is_closing else words[:1]
        letter = (await desk.show(named[0])).letter if named else await desk.of_chat(inbound.chat)
        if letter is None or reach not in (None, letter.chat):
            raise OperationRefused("unknown_letter", "Nothing of this chat has failed and waits", "/retry list")
        return await _close(desk, letter, inbound.person) if is_closing else await _retry(desk, letter, inbound.person)

    return {"retry": retry}


async def _sees_all(store: Store, given: Given) -> bool:
    """Return whether a command comes from an owner of the house, in a chat that nobody else reads."""
    inbound = given.message.inbound
    facts = await store.sender_facts(inbound.person, inbound.chat)
    return inbound.chat_kind == "direct" and role_of(inbound, facts.person) == "owner"


async def _retry(desk: LetterDesk, letter: Letter, by: str) -> Answer:
    await desk.retry(letter.reference, by)
    return Answer(text=f"Trying {letter.reference} again.")


async def _close(desk: LetterDesk, letter: Letter, by: str) -> Answer:
    await desk.close(letter.reference, by)
    return Answer(text=f"{letter.reference} is closed: nothing more is done about it.")


async def _list(desk: LetterDesk, reach: ChatKey | None, words: list[str]) -> Answer:
    """Show a page of what is open, with what is said of its place for those who see more than one."""
    page = int(words[0]) if words and words[0].isdecimal() and len(words[0]) < 6 else 1
    past = (max(1, page) - 1) * LISTED
    found, count = await desk.page(reach, past, LISTED)
    whose = "" if reach is None else " of this chat"
    if not found:
        more = f" ({count} in all: `/retry list`)" if count else ""
        return Answer(text=f"Nothing{whose} has failed and waits{' on this page' if count else ''}{more}.")
    lines = [line for each in found for line in _lines(each, with_place=reach is None)]
    buttons = [
        Button(label=f"{verb} {each.letter.reference[-4:]}", value=f"/retry {words}{each.letter.reference}")
        for each in found
        for verb, words in (("Retry", ""), ("Close", "close "))
    ]
    if left := max(0, count - past - len(found)):
        lines.append(f"{left} more: `/retry list {page + 1}`. All at once: `/retry close all`.")
        buttons.append(Button(label=f"{left} more", value=f"/retry list {page + 1}"))
    return Answer(text="\n".join(lines), buttons=tuple(buttons))


def _lines(each: Explained, *, with_place: bool) -> tuple[str, str]:
    letter = each.letter
    place = ", ".join(filter(None, (letter.group_id, letter.chat))) if with_place else ""
    head = ", ".join(filter(None, (letter.kind, escape(place), _time(letter.died_at))))
    return f"{letter.reference} ({head}): {escape(each.what)[:MAX_WHAT_CHARS]}", f"  {escape(each.why)}"


def _time(at: str) -> str:
    return f"{at[:16].replace('T', ' ')} UTC"
