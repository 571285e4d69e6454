"""The verb of search in an agent's memory and its past conversations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from protocol.codec import Json
from protocol.ids import GroupId
from runtime.control.verb import VerbTable, verb
from runtime.recall.room import USUAL_FOUND, Recall


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchArguments:
    group: GroupId
    query: str
    limit: int = USUAL_FOUND


def recall_verbs(recall: Recall, known: Callable[[GroupId], GroupId]) -> VerbTable:
    """Return the verb; `known` refuses a group that is not there."""

    async def search(given: SearchArguments) -> Json:
        found = await recall.for_owner(known(given.group), given.query, given.limit)
        return {
            "found": [
                {"kind": each.kind, "source": each.source, "chat": each.audience, "at": each.at, "text": each.text}
                for each in found
            ]
        }

    return {"memory_search": verb(SearchArguments, search)}
