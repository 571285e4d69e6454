"""/retry: tries again what failed in a chat, or closes it."""

from __future__ import annotations

from protocol.message import Button
from protocol.plain_text import escape
from runtime.commands.desk import Answer, Given, HandlerTable
from runtime.lasting.letters import LetterDesk
from runtime.refusal import OperationRefused
from runtime.store.letter_rows import Letter

MAX_WHAT_CHARS = 120


def letter_handlers(desk: LetterDesk) -> HandlerTable:
    """Return the handler of /retry. A chat reaches its own letters only."""

    async def retry(given: Given) -> Answer:
        words = given.command.rest.split()
        inbound = given.message.inbound
        if words[:1] == ["list"]:
            return await _list(desk, inbound.chat)
        is_closing = words[:1] == ["close"]
        named = words[1:2] if is_closing else words[:1]
        letter = (await desk.show(named[0])).letter if named else await desk.of_chat(inbound.chat)
        if letter is None or letter.chat != inbound.chat:
            raise OperationRefused("unknown_letter", "Nothing of this chat has failed and waits", "/retry list")
        return await _close(desk, letter, inbound.person) if is_closing else await _retry(desk, letter, inbound.person)

    return {"retry": retry}


async def _retry(desk: LetterDesk, letter: Letter, by: str) -> Answer:
    await desk.retry(letter.reference, by)
    return Answer(text=f"Trying {letter.reference} again.")


async def _close(desk: LetterDesk, letter: Letter, by: str) -> Answer:
    await desk.close(letter.reference, by)
    return Answer(text=f"{letter.reference} is closed: nothing more is done about it.")


async def _list(desk: LetterDesk, chat: str) -> Answer:
    found = [each for each in await desk.letters(200) if each.letter.chat == chat][:5]
    if not found:
        return Answer(text="Nothing of this chat has failed and waits.")
    lines, buttons = [], []
    for each in found:
        what = escape(each.what)[:MAX_WHAT_CHARS]
        lines.append(
            f"{each.letter.reference} ({each.letter.kind}, {_time(each.letter.died_at)}): {what}\n  {each.why}"
        )
        buttons.append(Button(label=f"Retry {each.letter.reference[-4:]}", value=f"/retry {each.letter.reference}"))
        buttons.append(
            Button(label=f"Close {each.letter.reference[-4:]}", value=f"/retry close {each.letter.reference}")
        )
    return Answer(text="\n".join(lines), buttons=tuple(buttons))


def _time(at: str) -> str:
    return f"{at[:16].replace('T', ' ')} UTC"
