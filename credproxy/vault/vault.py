"""The secrets of one home: SQLite rows, each value sealed under a data key of its own (`seal.py`), that key under the
vault's, which is kept elsewhere (`key_places.py`).

Rows are held in memory sealed; a value is opened when it is used, and what was opened is used again for a short while.
Reading never waits. What writes blocks for the disk and belongs on a thread; a lock lets one write at a time.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from credproxy.vault.content import (
    Content,
    Given,
    decode_content,
    encode_content,
    make_content,
    make_content_alike,
    open_content,
)
from credproxy.vault.errors import (
    BadSecretName,
    KeyMissing,
    SealBroken,
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
    Slot,
    SourceKind,
    VaultState,
)
from credproxy.vault.seal import Sealer
from credproxy.vault.secret import BadValue, Secret, is_secret_name
from credproxy.vault.types import VALUE, check_parts
from credproxy.vault.vault_file import FORM, KEY_ID_1, VaultFile

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
        self._database = database
        self._places = places or KeyPlaces(key_file)
        self._clock = clock
        self._lock = threading.Lock()
        self._sealers: dict[str, Sealer] = {}
        """By key id: two while a rekey is under way."""
        self._opened: dict[str, tuple[float, SealedSecret, tuple[SecretValue, ...]]] = {}
        self._file = VaultFile(database)
        try:
            self._state = self._take_up()
            self._rows = self._file.load()
            if self.has_ended_values():
                self.forget_ended()
        except BaseException:
            self._file.close()
            raise

    def secrets(self) -> tuple[SealedSecret, ...]:
        return tuple(sorted(self._rows.values(), key=lambda row: row.name))

    def find(self, name: str) -> SealedSecret | None:
        return self._rows.get(name)

    def values(self, name: str) -> tuple[SecretValue, ...]:
        """Return a secret's values in the order in which they are tried: the current one, the previous one while its
        overlap window lasts, those in reserve. Empty: there is no such secret. Raises SealBroken.

        Cheap enough for every request; the same objects come back until the secret is changed or some seconds passed.
        """
        now = self._clock()
        row = self._rows.get(name)
        if row is None:
            return ()
        opened = self._opened.get(name)
        if opened is not None and opened[1] is row and now < opened[0]:
            return opened[2]
        lasting = self.lasting(row)
        values = tuple(self._open_value(row, value) for value in lasting)
        until = min([now + OPENED_S, *(value.ends_at for value in lasting if value.ends_at is not None)])
        self._opened = {each: kept for each, kept in self._opened.items() if now < kept[0]}
        self._opened[name] = (until, row, values)
        return values

    def lasting(self, secret: SealedSecret) -> tuple[SealedValue, ...]:
        """Return the values that may be used now: all but a previous one whose overlap window is over."""
        now = self._clock()
        return tuple(value for value in secret.values if value.ends_at is None or now < value.ends_at)

    def look_into(self, name: str) -> tuple[tuple[SealedValue, SecretValue | None], ...]:
        """Return a secret's values with what is in them, None for one that does not open."""
        row = self._rows.get(name)
        return tuple((value, self._maybe_open(row, value)) for value in self.lasting(row)) if row is not None else ()

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
            old = self._rows.get(name)
            if old is not None and not replace:
                raise SecretExists(name)
            created_at = old.created_at if old else _timestamp()
            version = _next_version(old) if old else 1
            self._file.delete_secret(name)
            secret = self._insert_secret(name, kind, type_name, source, preset, created_at)
            self._insert(secret, content, slot="current", version=version)

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
                    self._file.delete_value(old)
            for old in secret.values:
                if old.slot == "current" and overlap_s > 0:
                    moved = dataclasses.replace(old, slot="previous", ends_at=self._clock() + overlap_s)
                    self._rewrite(secret, moved, self._open_plain(secret, old))
            self._insert(secret, content, slot="current", version=version)
            self._file.touch(secret, _timestamp())
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
            self._insert(secret, content, slot="reserve", position=position, version=version)
            self._file.touch(secret, _timestamp())
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
            plain = self._open_plain(secret, chosen)
            for old in secret.values:
                if old.slot == "current":
                    self._file.delete_value(old)
            self._rewrite(secret, dataclasses.replace(chosen, slot="current", position=0, ends_at=None), plain)
            self._file.touch(secret, _timestamp())
        return chosen.version

    def remove(self, name: str) -> None:
        """Forget a secret with all its values; raises SecretUnknown."""
        with self._writing():
            secret = self._known(name)
            self._file.delete_secret(secret.name)

    def remove_value(self, name: str, label: str) -> None:
        """Forget the previous value or one in reserve; raises SecretUnknown, ValueUnknown."""
        with self._writing():
            secret = self._known(name)
            chosen = self._labelled(secret, label)
            if chosen.slot == "current":
                raise ValueUnknown(name, f"{label} that could go alone: rotate it, or remove the secret")
            self._file.delete_value(chosen)
            self._file.touch(secret, _timestamp())

    def store_token(
        self, name: str, value: SecretValue, parts: Mapping[str, str | None], *, token_ends_at: float | None = None
    ) -> SecretValue:
        """Put what an issuer gave beside a value's parts, if the value is still as it was when it was read.

        None takes a part away. It is on the disk when this returns, whole or not at all. Return the value as it is now.
        Raises ValueMoved where another was faster: read `values` again; secret.BadValue, SealBroken.
        """
        with self._writing():
            secret = self._rows.get(name)
            old = next((each for each in secret.values if each.value_id == value.value_id), None) if secret else None
            if secret is None or old is None or old.revision != value.revision:
                raise ValueMoved(name)
            before = decode_content(self._open_plain(secret, old))
            merged = {**before.parts, **parts}
            kept = {part: text for part, text in merged.items() if text is not None}
            check_parts(secret.type, kept)
            content = dataclasses.replace(before, parts=kept, token_ends_at=token_ends_at)
            written = dataclasses.replace(old, revision=old.revision + 1)
            self._rewrite(secret, written, encode_content(content))
        return open_content(secret, written, content)

    def has_ended_values(self) -> bool:
        return any(len(self.lasting(secret)) < len(secret.values) for secret in self._rows.values())

    def forget_ended(self) -> None:
        """Take values off the disk whose overlap window is over; raises NotWritten."""
        with self._writing():
            pass  # every change does it

    def state(self) -> VaultState:
        return self._state

    def rekey(self, place_name: str = "") -> VaultState:
        """Seal everything anew under a new key, kept in the same place or in the one that is named. The old key opens
        nothing any more. A crash at any moment leaves a vault that opens, with the old key or with the new one.

        Raises SealBroken, and changes nothing, if a value does not open; KeyPlaceFailed.
        """
        old_key_id, old_place = self._state.key_id, self._places.named(self._state.place)
        place = self._places.named(place_name or old_place.name)
        sealer = Sealer(place.keep_new(old_key_id))
        try:
            with self._writing():
                self._sealers = {**self._sealers, sealer.key_id: sealer}
                for secret in self._rows.values():
                    for value in secret.values:
                        plain = self._open_plain(secret, value)
                        self._rewrite(secret, dataclasses.replace(value, key_id=sealer.key_id), plain)
                self._file.write_state(VaultState(key_id=sealer.key_id, place=place.name, key_made_at=_timestamp()))
        except BaseException:
            self._sealers.pop(sealer.key_id, None)
            place.forget(sealer.key_id)
            raise
        self._sealers = {sealer.key_id: sealer}
        place.settle(sealer.key_id)
        old_place.forget(old_key_id)
        return self._state

    def close(self) -> None:
        """A change under way in another thread is let to its end."""
        with self._lock:
            self._opened = {}
            self._file.close()

    def _take_up(self) -> VaultState:
        """Find the key, and make or bring up the tables; raises VaultError."""
        if self._file.form != FORM:
            return self._begin()
        state = self._file.read_state()
        place = self._places.named(state.place)
        key = place.find(state.key_id)
        if key is None:
            raise KeyMissing(place.where, self._database)
        self._sealers = {state.key_id: Sealer(key)}
        place.settle(state.key_id)
        return state

    def _begin(self) -> VaultState:
        """Make the tables; what a vault of the first form held is sealed anew."""
        if self._file.form == 0:
            place, key = self._places.begin()
        else:
            place, key = self._places.go_on(may_make=self._file.is_empty())
        if key is None:
            raise KeyMissing(place.where, self._database)
        sealer = Sealer(key)
        self._sealers = {sealer.key_id: sealer}
        self._state = VaultState(key_id=sealer.key_id, place=place.name, key_made_at=_timestamp())
        with self._file.changing():
            old = self._file.read_form_1(key, place.where)
            self._file.make_tables()
            self._file.write_state(self._state)
            for each in old:
                secret = self._insert_secret(each.name, each.kind, "key", "vault", "", each.created_at, each.changed_at)
                if each.value is not None:
                    self._insert(secret, Content(parts={VALUE: each.value}), slot="current", version=1)
                else:  # kept, so that it is seen and said to be broken
                    self._insert_row(secret, slot="current", version=1, key_id=KEY_ID_1)
        return self._state

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One change at a time; when it is on the disk, everybody sees it. Raises NotWritten."""
        with self._lock:
            try:
                with self._file.changing():
                    self._file.delete_ended(self._clock())
                    self._rows = self._file.load()
                    yield
            finally:
                self._rows, self._state = self._file.load(), self._file.read_state()

    def _known(self, name: str) -> SealedSecret:
        secret = self._rows.get(name)
        if secret is None:
            raise SecretUnknown(name)
        return secret

    def _labelled(self, secret: SealedSecret, label: str) -> SealedValue:
        found = next((value for value in secret.values if value.label == label), None)
        if found is None:
            raise ValueUnknown(secret.name, label)
        return found

    def _open_plain(self, secret: SealedSecret, value: SealedValue) -> bytes:
        sealer = self._sealers.get(value.key_id)
        if sealer is None:
            raise SealBroken(secret.name)
        return sealer.open_value(secret, value)

    def _maybe_open(self, secret: SealedSecret, value: SealedValue) -> SecretValue | None:
        try:
            return self._open_value(secret, value)
        except SealBroken:
            return None

    def _open_value(self, secret: SealedSecret, value: SealedValue) -> SecretValue:
        return open_content(secret, value, decode_content(self._open_plain(secret, value)))

    def _insert_secret(
        self,
        name: str,
        kind: Kind,
        type_name: str,
        source: SourceKind,
        preset: str,
        created_at: str,
        changed_at: str = "",
    ) -> SealedSecret:
        secret = SealedSecret(
            secret_id=0,
            name=name,
            kind=kind,
            type=type_name,
            source=source,
            preset=preset,
            created_at=created_at,
            changed_at=changed_at or _timestamp(),
            values=(),
        )
        return self._file.insert_secret(secret)

    def _insert(self, secret: SealedSecret, content: Content, *, slot: Slot, version: int, position: int = 0) -> None:
        value = self._insert_row(secret, slot=slot, version=version, position=position, key_id=self._state.key_id)
        self._rewrite(secret, value, encode_content(content))

    def _insert_row(
        self, secret: SealedSecret, *, slot: Slot, version: int, key_id: str, position: int = 0
    ) -> SealedValue:
        return self._file.insert_value(
            secret, slot=slot, version=version, position=position, key_id=key_id, created_at=_timestamp()
        )

    def _rewrite(self, secret: SealedSecret, value: SealedValue, plain: bytes) -> None:
        """Seal a value anew, with all that its row says now."""
        wrapped, sealed = self._sealers[value.key_id].seal_value(secret, value, plain)
        self._file.update_value(dataclasses.replace(value, wrapped_key=wrapped, sealed=sealed))


def _next_version(secret: SealedSecret) -> int:
    return 1 + max((value.version for value in secret.values), default=0)


def _timestamp() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
