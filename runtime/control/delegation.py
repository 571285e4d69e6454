"""The verb of delegations: what agents have asked of each other."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.codec import Json
from protocol.plain_text import escape
from runtime.control.verb import VerbTable, verb
from runtime.delegation.records import Delegation
from runtime.store import delegation_rows
from runtime.store.store import Store

MAX_LISTED = 100
MAX_TEXT_CHARS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationsArguments:
    limit: int = 20


def delegation_verbs(store: Store) -> VerbTable:
    """Return the verb that lists them."""

    async def delegations(given: DelegationsArguments) -> Json:
        limit = max(1, min(given.limit, MAX_LISTED))
        found = await store.read(delegation_rows.newest_delegations, limit)
        return {"delegations": [view_delegation(each) for each in found]}

    return {"delegations": verb(DelegationsArguments, delegations)}


def view_delegation(delegation: Delegation) -> Json:
    answer = delegation.answer
    return {
        "delegation": delegation.delegation_id,
        "from": delegation.from_group,
        "to": delegation.to_group,
        "behind": list(delegation.ancestors),
        "task": delegation.from_task,
        "submission": delegation.submission_id,
        "state": delegation.state,
        "is_done": answer.is_done if answer else None,
        "prompt": escape(delegation.request.prompt)[:MAX_TEXT_CHARS],
        "answer": escape(answer.text)[:MAX_TEXT_CHARS] if answer else "",
        "asked_at": delegation.asked_at,
        "ended_at": delegation.ended_at,
    }
