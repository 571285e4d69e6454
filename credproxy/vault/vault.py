"""The secrets of one home: SQLite rows, each value sealed under a data key of its own (`seal.py`), that key under the
vault's, which is kept elsewhere (`key_places.py`).

Rows are held in memory sealed; a value is opened when it is used, and what was opened is used again for a short while.
Reading never waits. What writes blocks for the disk and belongs on a thread; a lock lets one write at a time.
"""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from credproxy.vault.content import Content, decode_content, encode_content
from credproxy.vault.errors import (
    BadSecretName,
    KeyMissing,
    SealBroken,
    SecretExists,
    SecretUnknown,
    ValueMoved,
    ValueUnknown,
)
from credproxy.vault.key_places import KeyPlace, KeyPlaces
from credproxy.vault.rows import MAX_RESERVES, Kind, SealedSecret, SealedValue, SecretValue, Slot, Source, SourceKind
from credproxy.vault.schema import FORM, KEY_ID_1, form_of, load_rows, make_tables, read_form_1
from credproxy.vault.seal import Sealer
from credproxy.vault.secret import BadValue, Secret, is_secret_name
from credproxy.vault.sources import check_source
from credproxy.vault.types import TYPES, VALUE, check_parts

OPENED_S = 30.0
"""What was opened for one request serves the next ones for so long: opening takes some microseconds, and a tenth of a
request's time would be too much."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VaultState:
    """What may be known of the vault as a whole."""

    key_id: str
    place: str
    """Where its key is kept: `file`, `systemd` or `keyring`."""
    key_made_at: str


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
        self._opened: dict[str, tuple[float, tuple[SecretValue, ...]]] = {}
        self._connection = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        try:
            database.chmod(0o600)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._take_up()
            self._rows = load_rows(self._connection)
        except BaseException:
            self._connection.close()
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
        opened = self._opened.get(name)
        if opened is not None and now < opened[0]:
            return opened[1]
        row = self._rows.get(name)
        if row is None:
            return ()
        lasting = [value for value in row.values if value.ends_at is None or now < value.ends_at]
        values = tuple(self._open_value(row, value) for value in lasting)
        until = min([now + OPENED_S, *(value.ends_at for value in lasting if value.ends_at is not None)])
        self._opened = {each: kept for each, kept in self._opened.items() if now < kept[0]}
        if self._rows.get(name) is row:  # a write in another thread may have come in between
            self._opened[name] = (until, values)
        return values

    def open(self, name: str) -> Secret | None:
        """Return the one part of a plain secret's current value, None if it is not there; raises SealBroken."""
        values = self.values(name)
        return values[0].parts.get(VALUE) if values else None

    def add(
        self,
        name: str,
        value: str | Mapping[str, str] | Source,
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
        content = _checked(type_name, value)
        source = "vault" if content.source is None else content.source.kind
        if kind == "channel" and (type_name != "key" or content.source is not None):
            raise BadValue("a channel's token is one value, kept in the vault")
        with self._writing():
            old = self._rows.get(name)
            if old is not None and not replace:
                raise SecretExists(name)
            now = _timestamp()
            created_at = old.created_at if old else now
            version = 1 + max((each.version for each in old.values), default=0) if old else 1
            self._connection.execute("DELETE FROM secrets WHERE name = ?", (name,))
            secret = self._insert_secret(name, kind, type_name, source, preset, created_at, now)
            self._insert(secret, content, slot="current", version=version)

    def rotate(self, name: str, value: str | Mapping[str, str] | Source, *, overlap_s: float) -> int:
        """Make a new current value; the one before stays usable for the overlap window. Return the new version.

        Raises SecretUnknown, SealBroken, secret.BadValue.
        """
        with self._writing():
            secret = self._known(name)
            content = _checked_alike(secret, value)
            version = 1 + max((each.version for each in secret.values), default=0)
            for old in secret.values:
                if old.slot == "previous" or (old.slot == "current" and overlap_s <= 0):
                    self._delete(old)
            for old in secret.values:
                if old.slot == "current" and overlap_s > 0:
                    moved = dataclasses.replace(old, slot="previous", ends_at=self._clock() + overlap_s)
                    self._rewrite(secret, moved, self._open_plain(secret, old))
            self._insert(secret, content, slot="current", version=version)
            self._touch(secret)
        return version

    def add_reserve(self, name: str, value: str | Mapping[str, str] | Source) -> str:
        """Add a value that is used where those before it are refused; return its label. Raises as `rotate` does."""
        with self._writing():
            secret = self._known(name)
            content = _checked_alike(secret, value)
            reserves = [each for each in secret.values if each.slot == "reserve"]
            if len(reserves) >= MAX_RESERVES:
                raise BadValue(f"the secret {name} has {MAX_RESERVES} values in reserve already")
            version = 1 + max((each.version for each in secret.values), default=0)
            position = 1 + max((each.position for each in reserves), default=0)
            self._insert(secret, content, slot="reserve", position=position, version=version)
            self._touch(secret)
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
                    self._delete(old)
            self._rewrite(secret, dataclasses.replace(chosen, slot="current", position=0, ends_at=None), plain)
            self._touch(secret)
        return chosen.version

    def remove(self, name: str) -> None:
        """Forget a secret with all its values; raises SecretUnknown."""
        with self._writing():
            secret = self._known(name)
            self._connection.execute("DELETE FROM secrets WHERE secret_id = ?", (secret.secret_id,))

    def remove_value(self, name: str, label: str) -> None:
        """Forget the previous value or one in reserve; raises SecretUnknown, ValueUnknown."""
        with self._writing():
            secret = self._known(name)
            chosen = self._labelled(secret, label)
            if chosen.slot == "current":
                raise ValueUnknown(name, f"{label} that could go alone: rotate it, or remove the secret")
            self._delete(chosen)
            self._touch(secret)

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
        return next(each for each in self.values(name) if each.value_id == value.value_id)

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
                self._write_key(sealer.key_id, place.name)
        except BaseException:
            self._sealers.pop(sealer.key_id, None)
            place.forget(sealer.key_id)
            raise
        self._sealers = {sealer.key_id: sealer}
        place.settle(sealer.key_id)
        old_place.forget(old_key_id)
        return self._state

    def close(self) -> None:
        self._opened = {}
        self._connection.close()

    def _take_up(self) -> None:
        """Find the key, and make or bring up the tables; raises VaultError."""
        form = form_of(self._connection, self._database)
        if form == FORM:
            self._state = self._read_state()
            place = self._places.named(self._state.place)
            key = place.find(self._state.key_id)
            if key is None:
                raise KeyMissing(place.where, self._database)
            self._sealers = {self._state.key_id: Sealer(key)}
            place.settle(self._state.key_id)
            return
        if form == 0:
            place, key = self._places.begin()
        else:
            is_empty = self._connection.execute("SELECT 1 FROM secrets").fetchone() is None
            place, key = self._places.go_on(may_make=is_empty)
        if key is None:
            raise KeyMissing(place.where, self._database)
        self._begin_with(Sealer(key), place, form)

    def _begin_with(self, sealer: Sealer, place: KeyPlace, form: int) -> None:
        """Make the tables; what a vault of the first form held is sealed anew."""
        self._sealers = {sealer.key_id: sealer}
        self._connection.execute("BEGIN IMMEDIATE")
        old = read_form_1(self._connection, sealer.key, place.where, self._database) if form == 1 else []
        if form == 1:
            self._connection.execute("DROP TABLE secrets")
        make_tables(self._connection)
        self._write_key(sealer.key_id, place.name)
        for each in old:
            secret = self._insert_secret(each.name, each.kind, "key", "vault", "", each.created_at, each.changed_at)
            if each.value is not None:
                self._insert(secret, Content(parts={VALUE: each.value}), slot="current", version=1)
            else:  # kept, so that it is seen and said to be broken
                self._insert_row(secret, slot="current", version=1, key_id=KEY_ID_1)
        self._connection.execute("COMMIT")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._state = self._read_state()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One change at a time, on the disk as a whole or not at all; then everybody sees it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.execute("DELETE FROM secret_values WHERE ends_at <= ?", (self._clock(),))
                self._rows = load_rows(self._connection)
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            finally:
                self._rows = load_rows(self._connection)
                self._state = self._read_state()
                self._opened = {}
            # What is gone shall be gone from the log too: secure_delete has overwritten it in the database.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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

    def _open_value(self, secret: SealedSecret, value: SealedValue) -> SecretValue:
        content = decode_content(self._open_plain(secret, value))
        secret_type = TYPES[secret.type]
        parts = {
            part.name: Secret(secret.name, content.parts[part.name], has_lines=part.has_lines)
            for part in secret_type.parts
            if part.name in content.parts
        }
        return SecretValue(
            name=secret.name,
            type=secret.type,
            label=value.label,
            version=value.version,
            parts=parts,
            source=content.source,
            token_ends_at=content.token_ends_at,
            value_id=value.value_id,
            revision=value.revision,
        )

    def _insert_secret(
        self, name: str, kind: Kind, type_name: str, source: SourceKind, preset: str, created_at: str, changed_at: str
    ) -> SealedSecret:
        cursor = self._connection.execute(
            "INSERT INTO secrets (name, kind, type, source, preset, created_at, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name, kind, type_name, source, preset, created_at, changed_at),
        )
        return SealedSecret(
            secret_id=cursor.lastrowid or 0,
            name=name,
            kind=kind,
            type=type_name,
            source=source,
            preset=preset,
            created_at=created_at,
            changed_at=changed_at,
            values=(),
        )

    def _insert(self, secret: SealedSecret, content: Content, *, slot: Slot, version: int, position: int = 0) -> None:
        value = self._insert_row(secret, slot=slot, version=version, position=position, key_id=self._state.key_id)
        self._rewrite(secret, value, encode_content(content))

    def _insert_row(
        self, secret: SealedSecret, *, slot: Slot, version: int, key_id: str, position: int = 0
    ) -> SealedValue:
        """Make a value's row: its number is part of what is sealed, so it comes first."""
        now = _timestamp()
        cursor = self._connection.execute(
            "INSERT INTO secret_values"
            " (secret_id, slot, position, version, key_id, wrapped_key, sealed, revision, created_at)"
            " VALUES (?, ?, ?, ?, ?, x'', x'', 1, ?)",
            (secret.secret_id, slot, position, version, key_id, now),
        )
        return SealedValue(
            value_id=cursor.lastrowid or 0,
            slot=slot,
            position=position,
            version=version,
            ends_at=None,
            key_id=key_id,
            wrapped_key=b"",
            sealed=b"",
            revision=1,
            created_at=now,
        )

    def _rewrite(self, secret: SealedSecret, value: SealedValue, plain: bytes) -> None:
        """Seal a value anew, with all that its row says now."""
        wrapped, sealed = self._sealers[value.key_id].seal_value(secret, value, plain)
        self._connection.execute(
            "UPDATE secret_values SET slot = ?, position = ?, ends_at = ?, key_id = ?, wrapped_key = ?, sealed = ?,"
            " revision = ? WHERE value_id = ?",
            (
                value.slot,
                value.position,
                value.ends_at,
                value.key_id,
                wrapped,
                sealed,
                value.revision,
                value.value_id,
            ),
        )

    def _delete(self, value: SealedValue) -> None:
        self._connection.execute("DELETE FROM secret_values WHERE value_id = ?", (value.value_id,))

    def _touch(self, secret: SealedSecret) -> None:
        self._connection.execute(
            "UPDATE secrets SET changed_at = ? WHERE secret_id = ?", (_timestamp(), secret.secret_id)
        )

    def _write_key(self, key_id: str, place: str) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO vault_key (only, key_id, place, created_at) VALUES (1, ?, ?, ?)",
            (key_id, place, _timestamp()),
        )

    def _read_state(self) -> VaultState:
        row = self._connection.execute("SELECT key_id, place, created_at FROM vault_key").fetchone()
        return VaultState(key_id=row[0], place=row[1], key_made_at=row[2])


def _checked(type_name: str, value: str | Mapping[str, str] | Source) -> Content:
    """Raises BadValue."""
    if isinstance(value, Source):
        check_source(value)
        if type_name not in TYPES:
            raise BadValue(f"there is no type {type_name[:40]!r}; the types are {', '.join(TYPES)}")
        return Content(parts={}, source=value)
    parts = {VALUE: value} if isinstance(value, str) else value
    check_parts(type_name, parts)
    return Content(parts=parts)


def _checked_alike(secret: SealedSecret, value: str | Mapping[str, str] | Source) -> Content:
    """Raises BadValue: all values of a secret come from one kind of place."""
    content = _checked(secret.type, value)
    kind = "vault" if content.source is None else content.source.kind
    if kind != secret.source:
        raise BadValue(f"the values of {secret.name} come from: {secret.source}; this one would come from: {kind}")
    return content


def _timestamp() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
