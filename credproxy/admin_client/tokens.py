"""Verbs about the tokens of tools on the host, as the command asks them; answered in `admin_server/tokens.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from credproxy.admin_client.link import ProxyAdmin
from protocol.codec import from_json, to_json
from protocol.ids import GroupId
from protocol.task import Effects, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that has just been made: the only time that its text is told."""

    token_id: str
    text: str
    port: int
    """Of 127.0.0.1, where it is to be shown."""
    expires_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownToken:
    """A valid token."""

    token_id: str
    group_id: GroupId
    effects: Effects
    routes: tuple[str, ...]
    note: str
    created_at: float
    expires_at: float
    connections: int
    """Open now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDoorState:
    """The loopback door and who may come through it."""

    port: int
    """0: it is closed."""
    problem: str = ""
    """Why it is closed although the settings name a port."""
    tokens: tuple[KnownToken, ...] = ()


async def add_token(
    admin: ProxyAdmin,
    group_id: GroupId,
    *,
    for_s: int,
    limits: Limits,
    routes: Sequence[str],
    effects: Effects = Effects.LIVE,
    note: str = "",
) -> NewToken:
    """Make a token that is valid for `for_s` seconds. Refused `door_closed`, `too_many_tokens`."""
    arguments = {
        "group_id": group_id,
        "for_s": for_s,
        "limits": to_json(limits),
        "routes": list(routes),
        "effects": effects.value,
        "note": note,
    }
    return from_json(NewToken, await admin.ask("token_add", arguments))


async def list_tokens(admin: ProxyAdmin) -> HostDoorState:
    return from_json(HostDoorState, await admin.ask("token_list", {}))


async def revoke_token(admin: ProxyAdmin, token_id: str) -> None:
    """End a token and what goes on under it, at once. Refused `token_unknown`."""
    await admin.ask("token_revoke", {"token_id": token_id})
