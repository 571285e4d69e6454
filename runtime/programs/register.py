"""Which programs there are and what they may: added, listed, revoked by the owner; found by token or by name."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence

from protocol.ids import GroupId, is_group_id
from runtime.group import Groups
from runtime.programs.records import OPERATOR, Program, hash_token, is_token, make_token
from runtime.refusal import OperationRefused
from runtime.store import program_rows
from runtime.store.store import Store


class Programs:
    """One for the whole host."""

    def __init__(self, store: Store, groups: Callable[[], Groups], changed: Callable[[], Awaitable[None]]) -> None:
        """`changed` is told that a program was added or revoked."""
        self._store = store
        self._groups = groups
        self._changed = changed

    async def add(
        self, name: str, groups: Sequence[GroupId], by: str, *, is_attended: bool = False, has_token: bool = True
    ) -> tuple[Program, str]:
        """Let a program submit to some groups; return it and its token, which is told once (empty: it has none)."""
        if not is_group_id(name):
            raise OperationRefused(
                "wrong_name", f"a program's name is 1-32 of a-z, 0-9 and inner hyphens, not {name[:40]!r}"
            )
        self._check_groups(groups)
        token = make_token(os.urandom(52)) if has_token else ""
        chosen = tuple(dict.fromkeys(groups))
        added = await self._store.write(
            program_rows.add_program, name, chosen, hash_token(token) if token else "", by, is_attended=is_attended
        )
        if added is None:
            message = f"there is a program {name!r} already"
            raise OperationRefused("program_exists", message, f"./nightyard program revoke {name}")
        await self._changed()
        return added, token

    async def all(self) -> tuple[Program, ...]:
        return await self._store.read(program_rows.programs)

    async def revoke(self, name: str, by: str) -> None:
        """Let a program submit no more. What it has submitted goes on."""
        if not await self._store.write(program_rows.revoke_program, name, by):
            raise OperationRefused(
                "unknown_program", f"no program {name[:40]!r} may submit", "./nightyard program list"
            )
        await self._changed()

    async def known(self, *, token: str, name: str = "") -> Program:
        """Return who shows a token, or (over a socket that only the owner can open) says a name alone."""
        if token:
            found = (
                await self._store.read(program_rows.program_of_token, hash_token(token)) if is_token(token) else None
            )
            if found is None:
                raise OperationRefused("wrong_token", "this token opens nothing", "./nightyard program add NAME GROUP")
            return found
        named = await self._store.read(program_rows.program, name) if name else None
        if named is None or named.revoked_at is not None:
            message = f"there is no program {name[:40]!r}"
            raise OperationRefused("unknown_program", message, "./nightyard program add NAME GROUP")
        if named.has_token:
            raise OperationRefused("token_wanted", f"the program {name} has a token and must show it")
        return named

    async def still(self, name: str) -> Program:
        """Return a program as it is now; OperationRefused if it was revoked meanwhile."""
        if not name:
            return OPERATOR
        found = await self._store.read(program_rows.program, name)
        if found is None or found.revoked_at is not None:
            raise OperationRefused("revoked", f"the program {name} may not submit any more")
        return found

    def _check_groups(self, groups: Sequence[GroupId]) -> None:
        ready = self._groups()
        known = [*ready.ready, *ready.suspended]
        for group in groups:
            if group not in known:
                message = f"there is no group {group[:40]!r} (known: {', '.join(known) or 'none'})"
                raise OperationRefused("unknown_group", message, "./nightyard group list")
        if not groups:
            raise OperationRefused("no_group", "a program is bound to one group at least")
