"""The vault's rows, each value sealed under a data key of its own (`seal.py`), that key under the vault's, which is
kept elsewhere (`key_places.py`): read, opened, sealed and written, one change at a time.

What a secret's values mean, and what may become of them, is `vault.py`'s. The SQL is `vault_file.py`'s.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from credproxy.vault.content import Content, decode_content, encode_content, open_content
from credproxy.vault.errors import KeyMissing, SealBroken
from credproxy.vault.key_places import KeyPlaces
from credproxy.vault.rows import Kind, SealedSecret, SealedValue, SecretValue, Slot, SourceKind, VaultState
from credproxy.vault.seal import Sealer
from credproxy.vault.types import VALUE
from credproxy.vault.vault_file import FORM, KEY_ID_1, VaultFile


class SealedRows:
    """What is in one database, in memory as it is on the disk: sealed."""

    def __init__(self, database: Path, places: KeyPlaces) -> None:
        """Open or make the file and its key; raises VaultError where that would be unsafe."""
        self._database = database
        self._places = places
        self._lock = threading.Lock()
        self._sealers: dict[str, Sealer] = {}
        """By key id: two while a rekey is under way."""
        self.file = VaultFile(database)
        try:
            self.state = self._take_up()
            self.rows: Mapping[str, SealedSecret] = self.file.load()
        except BaseException:
            self.file.close()
            raise

    def rekey(self, place_name: str, now: float) -> VaultState:
        """Seal everything anew under a new key, kept in the same place or in the one that is named. The old key opens
        nothing any more. A crash at any moment leaves a vault that opens, with the old key or with the new one.

        Raises SealBroken, and changes nothing, if a value does not open; KeyPlaceFailed.
        """
        old_key_id, old_place = self.state.key_id, self._places.named(self.state.place)
        place = self._places.named(place_name or old_place.name)
        sealer = Sealer(place.keep_new(old_key_id))
        try:
            with self.writing(now):
                self._sealers = {**self._sealers, sealer.key_id: sealer}
                for secret in self.rows.values():
                    for value in secret.values:
                        plain = self.open_plain(secret, value)
                        self.rewrite(secret, dataclasses.replace(value, key_id=sealer.key_id), plain)
                self.file.write_state(VaultState(key_id=sealer.key_id, place=place.name, key_made_at=timestamp()))
        except BaseException:
            self._sealers.pop(sealer.key_id, None)
            place.forget(sealer.key_id)
            raise
        self._sealers = {sealer.key_id: sealer}
        place.settle(sealer.key_id)
        old_place.forget(old_key_id)
        return self.state

    def close(self) -> None:
        """A change under way in another thread is let to its end."""
        with self._lock:
            self.file.close()

    def open_plain(self, secret: SealedSecret, value: SealedValue) -> bytes:
        sealer = self._sealers.get(value.key_id)
        if sealer is None:
            raise SealBroken(secret.name)
        return sealer.open_value(secret, value)

    def maybe_open(self, secret: SealedSecret, value: SealedValue) -> SecretValue | None:
        try:
            return self.open_value(secret, value)
        except SealBroken:
            return None

    def open_value(self, secret: SealedSecret, value: SealedValue) -> SecretValue:
        return open_content(secret, value, decode_content(self.open_plain(secret, value)))

    def insert_secret(
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
            changed_at=changed_at or timestamp(),
            values=(),
        )
        return self.file.insert_secret(secret)

    def insert(self, secret: SealedSecret, content: Content, *, slot: Slot, version: int, position: int = 0) -> None:
        value = self._insert_row(secret, slot=slot, version=version, position=position, key_id=self.state.key_id)
        self.rewrite(secret, value, encode_content(content))

    def _insert_row(
        self, secret: SealedSecret, *, slot: Slot, version: int, key_id: str, position: int = 0
    ) -> SealedValue:
        return self.file.insert_value(
            secret, slot=slot, version=version, position=position, key_id=key_id, created_at=timestamp()
        )

    def rewrite(self, secret: SealedSecret, value: SealedValue, plain: bytes) -> None:
        """Seal a value anew, with all that its row says now."""
        wrapped, sealed = self._sealers[value.key_id].seal_value(secret, value, plain)
        self.file.update_value(dataclasses.replace(value, wrapped_key=wrapped, sealed=sealed))

    @contextmanager
    def writing(self, now: float) -> Iterator[None]:
        """One change at a time; when it is on the disk, everybody sees it, without the values that have ended by `now`
        (epoch seconds). Raises NotWritten."""
        with self._lock:
            try:
                with self.file.changing():
                    self.file.delete_ended(now)
                    self.rows = self.file.load()
                    yield
            finally:
                self.rows, self.state = self.file.load(), self.file.read_state()

    def _take_up(self) -> VaultState:
        """Find the key, and make or bring up the tables; raises VaultError."""
        if self.file.form != FORM:
            return self._begin()
        state = self.file.read_state()
        place = self._places.named(state.place)
        key = place.find(state.key_id)
        if key is None:
            raise KeyMissing(place.where, self._database)
        self._sealers = {state.key_id: Sealer(key)}
        place.settle(state.key_id)
        return state

    def _begin(self) -> VaultState:
        """Make the tables; what a vault of the first form held is sealed anew."""
        if self.file.form == 0:
            place, key = self._places.begin()
        else:
            place, key = self._places.go_on(may_make=self.file.is_empty())
        if key is None:
            raise KeyMissing(place.where, self._database)
        sealer = Sealer(key)
        self._sealers = {sealer.key_id: sealer}
        self.state = VaultState(key_id=sealer.key_id, place=place.name, key_made_at=timestamp())
        with self.file.changing():
            old = self.file.read_form_1(key, place.where)
            self.file.make_tables()
            self.file.write_state(self.state)
            for each in old:
                secret = self.insert_secret(each.name, each.kind, "key", "vault", "", each.created_at, each.changed_at)
                if each.value is not None:
                    self.insert(secret, Content(parts={VALUE: each.value}), slot="current", version=1)
                else:  # kept, so that it is seen and said to be broken
                    self._insert_row(secret, slot="current", version=1, key_id=KEY_ID_1)
        return self.state


def timestamp() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
