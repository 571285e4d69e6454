"""What the proxy answers on its admin socket, where it is more than a word: secrets, routes, use, health. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from protocol.ids import GroupId
from protocol.task import Usage

SecretKind = Literal["key", "channel"]
"""`key`: injected into requests, never told to anyone. `channel`: a platform's bot token, which the host may fetch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSecret:
    """What may be known of a secret: everything but its value."""

    name: str
    kind: SecretKind
    created_at: str
    changed_at: str
    used_by: tuple[str, ...] = ()
    """`route anthropic`, `grant main:3`: where policy names it."""
    type: str = "key"
    source: str = "vault"
    """`vault`, `env`, `file`, `command`."""
    preset: str = ""
    """The provider it is for, if that is known."""
    version: int = 1
    """Of its current value."""
    reserves: int = 0
    has_previous: bool = False
    """The value before the current one is still in its overlap window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteState:
    """A model route as the proxy sees it now."""

    name: str
    api: Literal["anthropic", "openai"]
    url: str
    secret: str = ""
    """The name of the secret it needs; empty if it needs none."""
    is_ready: bool = True
    """False: its secret is missing from the vault, or the rehearsal model has not said its port yet."""
    problem: str = ""
    """Why it is not ready, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """Model use of one group with one model, over what was asked for."""

    group_id: GroupId
    model: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyHealth:
    is_frozen: bool
    doors: tuple[str, ...]
    """Ids of the open doors: what the host does not know of them, it should close."""
    leases: tuple[str, ...]
    """Ids of the doors that have a lease now."""
    problems: tuple[str, ...] = ()
    """What is wrong with grants, routes or audit, in plain sentences."""
    approvals: int = 0
    """How many requests wait for a person's word."""
