"""Verbs of control.sock: how a room makes a table of its own, and how one of all the rooms' is carried out.

A room's file beside this one decodes the arguments of its verbs, strictly, so that what performs them never sees raw
JSON. docs/control.md describes every verb.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from protocol.codec import Json, from_json
from runtime.refusal import OperationRefused

T = TypeVar("T")

BY = "cli"
"""Who asks over control.sock, as the journal names them."""
CHAT = "chat"
"""The verb that takes its connection over; the server's own."""

Verb = Callable[[Json], Awaitable[Json]]
VerbTable = Mapping[str, Verb]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoArguments:
    """Nothing: keys that are given are ignored."""


def verb(arguments: type[T], carry_out: Callable[[T], Awaitable[Json]]) -> Verb:
    """Return a verb that takes its arguments as a record; ShapeError for others."""

    async def perform_one(given: Json) -> Json:
        return await carry_out(from_json(arguments, given, "arguments"))

    return perform_one


def join_verbs(*tables: VerbTable) -> VerbTable:
    """Return one table of all rooms' verbs; ValueError for a name that two rooms have."""
    joined: dict[str, Verb] = {}
    for table in tables:
        for name, each in table.items():
            if name in joined:
                raise ValueError(f"two rooms have the verb {name}")
            joined[name] = each
    return joined


async def perform(table: VerbTable, name: str, arguments: Json) -> Json:
    """Carry out one verb; raise OperationRefused, also for a verb that does not exist, or ShapeError."""
    found = table.get(name)
    if found is None:
        near = difflib.get_close_matches(name[:40], [*table, CHAT], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise OperationRefused("unknown_verb", f"the host knows no verb {name[:40]!r}{hint}")
    return await found(arguments)
