"""The verb that forgets a person."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from protocol.ids import PersonKey
from protocol.plain_text import escape
from runtime.control.verb import VerbTable, verb
from runtime.lasting.forget import ForgetDesk
from runtime.lasting.receipt import build_places


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetArguments:
    person: PersonKey


def forget_verbs(desk: ForgetDesk) -> VerbTable:
    """Return the verb that the desk carries out."""

    async def forget(given: ForgetArguments) -> Json:
        receipt = await desk.forget(given.person)
        return {
            "forget": receipt.forget_id,
            "identities": receipt.identities,
            "messages": receipt.messages,
            "tasks": receipt.tasks,
            "turns": receipt.turns,
            "texts": receipt.texts,
            "rows": receipt.rows,
            "files": receipt.files,
            "exports": receipt.exports,
            "is_compact": receipt.is_compact,
            "groups": [
                {
                    "group": each.group_id,
                    "notes": list(map(escape, each.notes)),
                    "left": list(map(escape, each.left)),
                    "moments": each.moments,
                    "needed": each.needed,
                    "unknown": each.unknown,
                    "problem": each.problem,
                }
                for each in receipt.groups
            ],
            "places": [
                {"place": each.place, "destroyed": each.destroyed, "remains": each.remains}
                for each in build_places(receipt)
            ],
        }

    return {
        "forget": verb(ForgetArguments, forget),
    }
