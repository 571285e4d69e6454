"""What the command line asks about secrets beyond `link.py`'s: types, several values, tests; and the vault's own key.

Values go in by these functions and come out by none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from credproxy.admin_client.answers import SecretKind
from credproxy.admin_client.link import ProxyAdmin
from protocol.codec import ShapeError, from_json, to_json

SourceKind = Literal["vault", "env", "file", "command"]
TRIAL_TIMEOUT_S = 60.0
"""A test may have to get a token first, and then waits for a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSource:
    """Where the proxy shall read a value, instead of keeping it."""

    kind: SourceKind
    place: str = ""
    """The variable of the proxy's environment, or the file's whole path."""
    command: tuple[str, ...] = ()
    cache_s: float = 0.0
    field: str = ""
    """Of the JSON that is read, the member that counts; `a.b` goes deeper."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GivenValue:
    """A value as a person gives it: its parts (a plain key has one, `value`), or where to read it."""

    parts: Mapping[str, str] | None = None
    source: GivenSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedSecret:
    type: str
    preset: str
    """The provider that it was taken to be for; empty: none is known."""
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    name: str
    what: str
    is_there: bool
    shown: str = ""
    """What it says, if it is public: an address, an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueState:
    """One of a secret's values; never what it is."""

    label: str
    version: int
    created_at: str
    ends_at: float | None = None
    """Epoch seconds: when the previous value is no longer used."""
    token_ends_at: float | None = None
    """Epoch seconds: until when the access token that was got is good."""
    parts: tuple[PartState, ...] = ()
    source: str = ""
    """Where it is read: `command op read …`; empty: it is in the vault."""
    is_broken: bool = False
    """It does not open: its row was changed from outside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretState:
    """All that may be known of one secret."""

    name: str
    kind: SecretKind
    type: str
    preset: str
    created_at: str
    changed_at: str
    used_by: tuple[str, ...]
    values: tuple[ValueState, ...]
    """In the order in which they are tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretTrial:
    """What a service said to one cheap call with a secret."""

    label: str
    """Which of the secret's values was used."""
    target: str
    status: int | None
    """None: the service was not reached."""
    is_good: bool | None
    """None: the answer does not tell."""
    sentence: str
    took_ms: int
    whose: str = ""
    """Whose key it is, if the service says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultHealth:
    key_id: str
    place: Literal["file", "systemd", "keyring"]
    key_made_at: str
    secrets: int


async def add_secret(
    admin: ProxyAdmin,
    name: str,
    given: GivenValue,
    *,
    kind: SecretKind = "key",
    type_name: str = "key",
    preset: str | None = None,
    replace: bool = False,
) -> AddedSecret:
    """Store a secret. `preset` None: the one that has the secret's name, if there is one of this type. Refused
    `secret_exists` unless `replace`, `bad_value`, `bad_name`, `preset_unknown`."""
    arguments = {"name": name, "kind": kind, "type": type_name, "preset": preset, "replace": replace}
    return from_json(AddedSecret, await admin.ask("secret_add", {**arguments, **_given(given)}))


async def show_secret(admin: ProxyAdmin, name: str) -> SecretState:
    """Refused `secret_unknown`."""
    return from_json(SecretState, await admin.ask("secret_show", {"name": name}))


async def rotate_secret(admin: ProxyAdmin, name: str, given: GivenValue, overlap_s: float) -> int:
    """Put a new value in place of the current one, which is still tried for `overlap_s` where the new one is refused.
    Return the new version."""
    return _number(await admin.ask("secret_rotate", {"name": name, "overlap_s": overlap_s, **_given(given)}), "version")


async def add_reserve(admin: ProxyAdmin, name: str, given: GivenValue) -> str:
    """Add a value that is used where those before it are refused; return its label, `reserve-1`."""
    answer = await admin.ask("secret_reserve", {"name": name, **_given(given)})
    return str(answer["label"]) if isinstance(answer, dict) and "label" in answer else ""


async def promote_value(admin: ProxyAdmin, name: str, label: str) -> int:
    """Make the value of this label the current one; what was current goes. Return its version."""
    return _number(await admin.ask("secret_promote", {"name": name, "label": label}), "version")


async def remove_value(admin: ProxyAdmin, name: str, label: str) -> None:
    """Forget the previous value, or one in reserve. Refused `value_unknown`."""
    await admin.ask("secret_remove", {"name": name, "label": label})


async def try_secret(admin: ProxyAdmin, name: str, *, url: str | None = None, label: str | None = None) -> SecretTrial:
    """Make one cheap call with a secret and say what came back. `url`: another than the provider's own; a route or a
    grant must let the secret go there. Refused `no_test`, `not_granted`, `credential_failed`."""
    return from_json(SecretTrial, await admin.ask("secret_test", {"name": name, "url": url, "label": label}))


async def vault_health(admin: ProxyAdmin) -> VaultHealth:
    return from_json(VaultHealth, await admin.ask("vault_state", {}))


async def rekey_vault(admin: ProxyAdmin, place: str | None = None) -> VaultHealth:
    """Seal every secret anew under a new key of the vault, kept where the old one is or in `place`."""
    return from_json(VaultHealth, await admin.ask("vault_rekey", {"place": place}))


def _given(given: GivenValue) -> dict[str, object]:
    if given.source is not None:
        return {"source": to_json(given.source)}
    return {"parts": dict(given.parts or {})}


def _number(answer: object, key: str) -> int:
    if not isinstance(answer, dict) or type(answer.get(key)) is not int:
        raise ShapeError(key, "is missing from the proxy's answer")
    return int(answer[key])
