"""A secret and its values, as rows (sealed) and as what was opened. Pure; `vault.py` opens and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from credproxy.vault.secret import Secret

Kind = Literal["key", "channel"]
"""`key`: put into requests, told to nobody. `channel`: a platform's bot token, which the host may fetch."""
Slot = Literal["current", "previous", "reserve"]
"""Which of a secret's values: the one in use; the one before it, in its overlap window; one in reserve."""
SourceKind = Literal["vault", "env", "file", "command"]

MAX_RESERVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value is read from that is not in the vault. Kept sealed, so that no one swaps a command for another."""

    kind: SourceKind
    place: str = ""
    """The variable's name, or the file's path."""
    command: tuple[str, ...] = ()
    """Program and arguments; no shell is asked."""
    cache_s: float = 0.0
    """How long what was read is used again; it is kept in memory only."""
    field: str = ""
    """Of a JSON object that is read, the member that counts; `a.b` goes deeper. Empty: all of the text counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedValue:
    """One value's row, still encrypted."""

    value_id: int
    slot: Slot
    position: int
    """Of a reserve: 1 is asked first. 0 for the others."""
    version: int
    """Counts the secret's values from 1; a rotation makes the next."""
    ends_at: float | None
    """Of a previous value: the end of its overlap window, in epoch seconds."""
    key_id: str
    wrapped_key: bytes
    sealed: bytes
    revision: int
    """Counts what was stored into this very value: a token that was got anew."""
    created_at: str

    @property
    def label(self) -> str:
        return f"reserve-{self.position}" if self.slot == "reserve" else self.slot


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """Everything about a secret, its values still encrypted."""

    secret_id: int
    name: str
    kind: Kind
    type: str
    """One of `types.TYPES`."""
    source: SourceKind
    preset: str
    """The provider it is for, or empty."""
    created_at: str
    changed_at: str
    values: tuple[SealedValue, ...]
    """In the order in which they are tried: current, previous, reserves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretValue:
    """One value of a secret, opened."""

    name: str
    type: str
    label: str
    """`current`, `previous`, `reserve-1` …"""
    version: int
    parts: Mapping[str, Secret]
    """Empty where the value is read from elsewhere."""
    source: Source | None = None
    """Where to read the parts; None: they are here."""
    token_ends_at: float | None = None
    """When the stored `access_token` ends, in epoch seconds; None: not known, or none is stored."""
    value_id: int
    revision: int
    """With `value_id`: what `Vault.store_token` compares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultState:
    """What may be known of the vault as a whole."""

    key_id: str
    place: str
    """Where its key is kept: `file`, `systemd` or `keyring`."""
    key_made_at: str
