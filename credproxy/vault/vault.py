"""The secrets of one home: their values, in the order in which they are used, and what may become of them.

Rows are held in memory sealed (`sealed_rows.py`); a value is opened when it is used, and what was opened is used again
for a short while. Reading never waits. What writes blocks for the disk and belongs on a thread; a lock lets one write
at a time.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from credproxy.vault.content import (
    Given,
    decode_content,
    encode_content,
    make_content,
    make_content_alike,
    open_content,
)
from credproxy.vault.errors import (
    BadSecretName,
    SecretExists,
    SecretUnknown,
    ValueMoved,
    ValueUnknown,
)
from credproxy.vault.key_places import KeyPlaces
from credproxy.vault.rows import (
    MAX_RESERVES,
    Kind,
    SealedSecret,
    SealedValue,
    SecretValue,
    VaultState,
)
from credproxy.vault.sealed_rows import SealedRows, timestamp
from credproxy.vault.secret import BadValue, Secret, is_secret_name
from credproxy.vault.types import VALUE, check_parts

OPENED_S = 30.0
"""What was opened for one request serves the next ones for so long: opening takes some microseconds, and a tenth of a
request's time would be too much."""


class Vault:
    """Opens, and writes, what is in one database."""

    def __init__(
        self,
        database: Path,
        key_file: Path,
        *,
        places: KeyPlaces | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open or make both files; raises VaultError where that would be unsafe. `clock`: epoch seconds."""
        self._clock = clock
        self._opened: dict[str, tuple[float, SealedSecret, tuple[SecretValue, ...]]] = {}
        self._sealed = SealedRows(database, places or KeyPlaces(key_file))
        try:
            if self.has_ended_values():
                self.forget_ended()
        except BaseException:
            self._sealed.close()
            raise

    def secrets(self) -> tuple[SealedSecret, ...]:
        return tuple(sorted(self._sealed.rows.values(), key=lambda row: row.name))

    def find(self, name: str) -> SealedSecret | None:
        return self._sealed.rows.get(name)

    def values(self, name: str) -> tuple[SecretValue, ...]:
        """Return a secret's values in the order in which they are tried: the current one, the previous one while its
        overlap window lasts, those in reserve. Empty: there is no such secret. Raises SealBroken.

        Cheap enough for every request; the same objects come back until the secret is changed or some seconds passed.
        """
        known = self.opened(name)
        row = self._sealed.rows.get(name)
        if known is not None or row is None:
            return known or ()
        now = self._clock()
        lasting = self.lasting(row)
        values = tuple(self._sealed.open_value(row, value) for value in lasting)
        until = min([now + OPENED_S, *(value.ends_at for value in lasting if value.ends_at is not None)])
        self._opened = {each: kept for each, kept in self._opened.items() if now < kept[0]}
        self._opened[name] = (until, row, values)
        return values

    def opened(self, name: str) -> tuple[SecretValue, ...] | None:
        """Return what `values` would, if that need not open anything."""
        opened = self._opened.get(name)
        if opened is None or opened[1] is not self._sealed.rows.get(name) or self._clock() >= opened[0]:
            return None
        return opened[2]

    def lasting(self, secret: SealedSecret) -> tuple[SealedValue, ...]:
        """Return the values that may be used now: all but a previous one whose overlap window is over."""
        now = self._clock()
        return tuple(value for value in secret.values if value.ends_at is None or now < value.ends_at)

    def look_into(self, name: str) -> tuple[tuple[SealedValue, SecretValue | None], ...]:
        """Return a secret's values with what is in them, None for one that does not open."""
        row = self._sealed.rows.get(name)
        if row is None:
            return ()
        return tuple((value, self._sealed.maybe_open(row, value)) for value in self.lasting(row))

    def open(self, name: str) -> Secret | None:
        """Return the one part of a plain secret's current value, None if it is not there; raises SealBroken."""
        values = self.values(name)
        return values[0].parts.get(VALUE) if values else None

    def add(
        self,
        name: str,
        value: Given,
        kind: Kind = "key",
        *,
        type_name: str = "key",
        preset: str = "",
        replace: bool = False,
    ) -> None:
        """Store a secret: its one value, its parts, or where to read them. `replace` forgets every value there was.

        Raises BadSecretName, secret.BadValue, SecretExists.
        """
        if not is_secret_name(name) or (preset and not is_secret_name(preset)):
            raise BadSecretName
        content = make_content(type_name, value)
        source = "vault" if content.source is None else content.source.kind
        if kind == "channel" and (type_name != "key" or content.source is not None):
            raise BadValue("a channel's token is one value, kept in the vault")
        with self._writing():
            old = self._sealed.rows.get(name)
            if old is not None and not replace:
                raise SecretExists(name)
            created_at = old.created_at if old else timestamp()
            version = _next_version(old) if old else 1
            self._sealed.file.delete_secret(name)
            secret = self._sealed.insert_secret(name, kind, type_name, source, preset, created_at)
            self._sealed.insert(secret, content, slot="current", version=version)

    def rotate(self, name: str, value: Given, *, overlap_s: float) -> int:
        """Make a new current value; the one before stays usable for the overlap window. Return the new version.

        Raises SecretUnknown, SealBroken, secret.BadValue.
        """
        with self._writing():
            secret = self._known(name)
            content = make_content_alike(secret, value)
            version = _next_version(secret)
            for old in secret.values:
                if old.slot == "previous" or (old.slot == "current" and overlap_s <= 0):
                    self._sealed.file.delete_value(old)
            for old in secret.values:
                if old.slot == "current" and overlap_s > 0:
                    moved = dataclasses.replace(old, slot="previous", ends_at=self._clock() + overlap_s)
                    self._sealed.rewrite(secret, moved, self._sealed.open_plain(secret, old))
            self._sealed.insert(secret, content, slot="current", version=version)
            self._sealed.file.touch(secret, timestamp())
        return version

    def add_reserve(self, name: str, value: Given) -> str:
        """Add a value that is used where those before it are refused; return its label. Raises as `rotate` does."""
        with self._writing():
            secret = self._known(name)
            content = make_content_alike(secret, value)
            reserves = [each for each in secret.values if each.slot == "reserve"]
            if len(reserves) >= MAX_RESERVES:
                raise BadValue(f"the secret {name} has {MAX_RESERVES} values in reserve already")
            version = _next_version(secret)
            position = 1 + max((each.position for each in reserves), default=0)
            self._sealed.insert(secret, content, slot="reserve", position=position, version=version)
            self._sealed.file.touch(secret, timestamp())
        return f"reserve-{position}"

    def promote(self, name: str, label: str) -> int:
        """Make a value in reserve, or the previous one, the current one; what was current goes. Return its version.

        Raises SecretUnknown, ValueUnknown, SealBroken.
        """
        with self._writing():
            secret = self._known(name)
            chosen = self._labelled(secret, label)
            if chosen.slot == "current":
                raise ValueUnknown(name, f"{label} that is not in use already")
            plain = self._sealed.open_plain(secret, chosen)
            for old in secret.values:
                if old.slot == "current":
                    self._sealed.file.delete_value(old)
            self._sealed.rewrite(secret, dataclasses.replace(chosen, slot="current", position=0, ends_at=None), plain)
            self._sealed.file.touch(secret, timestamp())
        return chosen.version

    def remove(self, name: str) -> None:
        """Forget a secret with all its values; raises SecretUnknown."""
        with self._writing():
            secret = self._known(name)
            self._sealed.file.delete_secret(secret.name)

    def remove_value(self, name: str, label: str) -> None:
        """Forget the previous value or one in reserve; raises SecretUnknown, ValueUnknown."""
        with self._writing():
            secret = self._known(name)
            chosen = self._labelled(secret, label)
            if chosen.slot == "current":
                raise ValueUnknown(name, f"{label} that could go alone: rotate it, or remove the secret")
            self._sealed.file.delete_value(chosen)
            self._sealed.file.touch(secret, timestamp())

    def store_token(
        self, name: str, value: SecretValue, parts: Mapping[str, str | None], *, token_ends_at: float | None = None
    ) -> SecretValue:
        """Put what an issuer gave beside a value's parts, if the value is still as it was when it was read.

        None takes a part away. It is on the disk when this returns, whole or not at all. Return the value as it is now.
        Raises ValueMoved where another was faster: read `values` again; secret.BadValue, SealBroken.
        """
        with self._writing():
            secret = self._sealed.rows.get(name)
            old = next((each for each in secret.values if each.value_id == value.value_id), None) if secret else None
            if secret is None or old is None or old.revision != value.revision:
                raise ValueMoved(name)
            before = decode_content(self._sealed.open_plain(secret, old))
            merged = {**before.parts, **parts}
            kept = {part: text for part, text in merged.items() if text is not None}
            check_parts(secret.type, kept)
            content = dataclasses.replace(before, parts=kept, token_ends_at=token_ends_at)
            written = dataclasses.replace(old, revision=old.revision + 1)
            self._sealed.rewrite(secret, written, encode_content(content))
        return open_content(secret, written, content)

    def has_ended_values(self) -> bool:
        return any(len(self.lasting(secret)) < len(secret.values) for secret in self._sealed.rows.values())

    def forget_ended(self) -> None:
        """Take values off the disk whose overlap window is over; raises NotWritten."""
        with self._writing():
            pass  # every change does it

    def state(self) -> VaultState:
        return self._sealed.state

    def rekey(self, place_name: str = "") -> VaultState:
        """Seal everything anew under a new key, kept in the same place or in the one that is named.

        Raises SealBroken, and changes nothing, if a value does not open; KeyPlaceFailed.
        """
        return self._sealed.rekey(place_name, self._clock())

    def close(self) -> None:
        """A change under way in another thread is let to its end."""
        self._opened = {}
        self._sealed.close()

    def _writing(self) -> AbstractContextManager[None]:
        return self._sealed.writing(self._clock())

    def _known(self, name: str) -> SealedSecret:
        secret = self._sealed.rows.get(name)
        if secret is None:
            raise SecretUnknown(name)
        return secret

    def _labelled(self, secret: SealedSecret, label: str) -> SealedValue:
        found = next((value for value in secret.values if value.label == label), None)
        if found is None:
            raise ValueUnknown(secret.name, label)
        return found


def _next_version(secret: SealedSecret) -> int:
    return 1 + max((value.version for value in secret.values), default=0)
