"""Verbs about the tokens of tools on the host: made, listed, revoked. A token's text is told once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from credproxy.admin_client.tokens import HostDoorState, KnownToken, NewToken
from credproxy.admin_server.verb import AdminRefused, Verb, read_text
from credproxy.audit.entry import AuditEntry
from credproxy.pipeline.host_door import HostDoor
from credproxy.pipeline.proxy import CredentialProxy
from credproxy.tokens.token import LONGEST_S, SHORTEST_S, TOKEN_BYTES, HostToken, digest_of, spell_token
from credproxy.tokens.token_file import TooManyTokens
from protocol.codec import ShapeError, from_json, to_json
from protocol.ids import DoorId, GroupId, is_group_id, mint
from protocol.task import Effects, Limits

MAX_NOTE_CHARS = 80
MAX_ROUTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a token shall allow."""

    group_id: GroupId
    for_s: int
    limits: Limits
    routes: tuple[str, ...]
    effects: Effects
    note: str


class TokensVerbs:
    def __init__(self, proxy: CredentialProxy, door: HostDoor) -> None:
        self._proxy = proxy
        self._door = door
        self._tokens = door.tokens
        self._clock = door.clock

    def table(self) -> dict[str, Verb]:
        return {"token_add": self._add, "token_list": self._list, "token_revoke": self._revoke}

    async def _add(self, arguments: Mapping[str, Any]) -> object:
        wanted = _read_wanted(arguments)
        await self._proxy.take_up_policy()
        await self._door.settle()
        if not self._door.port:
            why = self._door.problem or "the loopback door is closed: nightyard.yaml names no port for it"
            raise AdminRefused("door_closed", why, "set host_door_port: 3128 in nightyard.yaml (any free port)")
        text, now = spell_token(os.urandom(TOKEN_BYTES)), self._clock()
        token = HostToken(
            token_id=mint("token"),
            digest=digest_of(text),
            group_id=wanted.group_id,
            effects=wanted.effects,
            limits=wanted.limits,
            routes=wanted.routes,
            note=wanted.note,
            created_at=now,
            expires_at=now + wanted.for_s,
        )
        try:
            await self._note(token, f"add for {wanted.for_s} s")
            await asyncio.to_thread(self._tokens.add, token)
        except TooManyTokens as error:
            raise AdminRefused("too_many_tokens", str(error), "nightyard token revoke --all") from None
        except OSError as error:
            raise AdminRefused("token_not_kept", f"the token could not be stored: {error.strerror}") from None
        made = NewToken(token_id=token.token_id, text=text, port=self._door.port, expires_at=token.expires_at)
        return to_json(made)

    async def _list(self, _arguments: Mapping[str, Any]) -> object:
        await self._door.settle()
        known = tuple(self._known(token) for token in self._tokens.tokens(self._clock()))
        return to_json(HostDoorState(port=self._door.port, problem=self._door.problem, tokens=known))

    async def _revoke(self, arguments: Mapping[str, Any]) -> object:
        token_id = read_text(arguments, "token_id")
        valid = self._tokens.tokens(self._clock())
        token = next((token for token in valid if token.token_id == token_id), None)
        if token is None:
            raise AdminRefused("token_unknown", f"no valid token is called {token_id[:60]}", "nightyard token list")
        try:
            await asyncio.to_thread(self._tokens.revoke, token_id)
        except OSError as error:
            message = f"the token is revoked until the proxy's next start; the disk does not take it: {error.strerror}"
            raise AdminRefused("token_not_forgotten", message, f"nightyard token revoke {token_id}") from None
        finally:
            self._door.end(token)
            await self._note(token, "revoke")
        return {}

    def _known(self, token: HostToken) -> KnownToken:
        state = self._proxy.doors.get(DoorId(token.token_id))
        return KnownToken(
            token_id=token.token_id,
            group_id=token.group_id,
            effects=token.effects,
            routes=token.routes,
            note=token.note,
            created_at=token.created_at,
            expires_at=token.expires_at,
            connections=len(state.connections) if state is not None else 0,
        )

    async def _note(self, token: HostToken, detail: str) -> None:
        entry = AuditEntry(kind="token", door_id=token.token_id, group_id=token.group_id, detail=detail)
        await self._proxy.audit.note(entry)


def _read_wanted(arguments: Mapping[str, Any]) -> _Wanted:
    wanted = from_json(_Wanted, dict(arguments))
    if not is_group_id(wanted.group_id):
        raise ShapeError("group_id", "expected a group's name")
    if not SHORTEST_S <= wanted.for_s <= LONGEST_S:
        raise ShapeError("for_s", f"expected {SHORTEST_S} to {LONGEST_S} seconds")
    if len(wanted.note) > MAX_NOTE_CHARS or not wanted.note.isprintable():
        raise ShapeError("note", f"expected at most {MAX_NOTE_CHARS} printable characters")
    if len(wanted.routes) > MAX_ROUTES:
        raise ShapeError("routes", f"expected at most {MAX_ROUTES}")
    return wanted
