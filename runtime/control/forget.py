"""The verb that forgets a person."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from protocol.ids import PersonKey
from runtime.control.verb import VerbTable, verb
from runtime.lasting.forget import ForgetDesk


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
            "texts": receipt.texts,
            "rows": receipt.rows,
            "files": receipt.files,
            "is_compact": receipt.is_compact,
            "groups": list(receipt.groups),
        }

    return {
        "forget": verb(ForgetArguments, forget),
    }
