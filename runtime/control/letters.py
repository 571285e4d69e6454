"""The verbs of dead letters."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from protocol.plain_text import escape
from runtime.control.verb import BY, NoArguments, VerbTable, verb
from runtime.lasting.letters import Explained, LetterDesk

MAX_WHAT_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LettersArguments:
    limit: int = 20
    with_ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterArguments:
    letter: str


def letter_verbs(desk: LetterDesk) -> VerbTable:
    """Return the verbs that the letter desk carries out."""

    async def letters(given: LettersArguments) -> Json:
        found = await desk.letters(given.limit, with_ended=given.with_ended)
        return {"letters": [view_letter(each) for each in found], "open": dict(await desk.counts())}

    async def show(given: LetterArguments) -> Json:
        return view_letter(await desk.show(given.letter))

    async def retry(given: LetterArguments) -> Json:
        await desk.retry(given.letter, BY)
        return {"letter": given.letter}

    async def close(given: LetterArguments) -> Json:
        await desk.close(given.letter, BY)
        return {"letter": given.letter}

    async def close_all(_: NoArguments) -> Json:
        return {"closed": await desk.close_all(BY)}

    return {
        "letters": verb(LettersArguments, letters),
        "letter_show": verb(LetterArguments, show),
        "letter_retry": verb(LetterArguments, retry),
        "letter_close": verb(LetterArguments, close),
        "letter_close_all": verb(NoArguments, close_all),
    }


def view_letter(explained: Explained) -> Json:
    letter = explained.letter
    what = escape(explained.what)
    return {
        "letter": letter.reference,
        "kind": letter.kind,
        "group": letter.group_id,
        "chat": letter.chat,
        "state": letter.state,
        "died_at": letter.died_at,
        "ended_by": letter.ended_by,
        "what": what if len(what) <= MAX_WHAT_CHARS else f"{what[:MAX_WHAT_CHARS]} …",
        "why": escape(explained.why),
        "mend": explained.mend,
    }
