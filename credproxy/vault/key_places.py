"""Where the vault's key is kept: a file that only we may read, a credential that systemd decrypts for us, the desktop's
keyring. The vault knows its key by a number made of it (`seal.key_id_of`), so that a wrong key is seen to be wrong.

A new key is kept beside the old one until the vault is sealed under it, so that a crash in between loses nothing.
"""

from __future__ import annotations

import base64
import binascii
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from credproxy.vault.errors import KeyPlaceFailed
from credproxy.vault.files import refuse_loose, write_whole
from credproxy.vault.seal import KEY_BYTES, key_id_of, make_key

CREDENTIAL = "nightyard.vault-key"
CREDENTIAL_BEFORE = "nightyard.vault-key.before"
"""The key in use, while `vault rekey` goes over to a new `nightyard.vault-key`."""
KEYRING_TIMEOUT_S = 20.0


class KeyPlace(Protocol):
    """One of them."""

    name: str
    where: str
    """For people."""

    def find(self, key_id: str) -> bytes | None:
        """Return the key of that number; raises LooseKeyFile, KeyPlaceFailed."""

    def keep_new(self, key_id_in_use: str, /) -> bytes:
        """Return a new key, kept beside the one in use; raises KeyPlaceFailed."""

    def settle(self, key_id: str) -> None:
        """The vault is sealed under this key: from now on it is the one."""

    def forget(self, key_id: str) -> None:
        """No vault is sealed under this key."""


class FilePlace:
    """`vault.key`, 32 bytes; while a vault is sealed anew, `vault.key.next` beside it."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = path.with_name(f"{path.name}.next")
        self.where = str(path)

    def begin(self, *, may_make: bool) -> bytes | None:
        """Return the key that is there, whichever it is; make one if that is allowed."""
        if may_make and not self._path.exists():
            write_whole(self._path, make_key(), mode=0o600)
        return _read_key(self._path)

    def find(self, key_id: str) -> bytes | None:
        for path in (self._path, self._next):
            key = _read_key(path)
            if key is not None and key_id_of(key) == key_id:
                return key
        return None

    def keep_new(self, key_id_in_use: str, /) -> bytes:
        self.settle(key_id_in_use)  # a crash may have left the key in use where the next one goes
        key = make_key()
        write_whole(self._next, key, mode=0o600)
        return key

    def settle(self, key_id: str) -> None:
        key = _read_key(self._next)
        if key is not None and key_id_of(key) == key_id:
            write_whole(self._path, key, mode=0o600)
        self._next.unlink(missing_ok=True)

    def forget(self, key_id: str) -> None:
        for path in (self._path, self._next):
            key = _read_key(path)
            if key is not None and key_id_of(key) == key_id:
                path.unlink()


class SystemdPlace:
    """A credential of the unit (`LoadCredentialEncrypted=nightyard.vault-key`): only systemd makes and changes it."""

    name = "systemd"
    where = f"systemd's credential {CREDENTIAL}"

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def is_there(self) -> bool:
        return self._folder is not None and (self._folder / CREDENTIAL).exists()

    def find(self, key_id: str) -> bytes | None:
        keys = (self._read(CREDENTIAL), self._read(CREDENTIAL_BEFORE))
        return next((key for key in keys if key is not None and key_id_of(key) == key_id), None)

    def keep_new(self, key_id_in_use: str, /) -> bytes:
        key = self._read(CREDENTIAL)
        if key is None:
            reason = f"the unit has no credential {CREDENTIAL} of {KEY_BYTES} bytes (raw, or in base64)"
            raise KeyPlaceFailed(self.where, reason)
        if key_id_of(key) == key_id_in_use:
            reason = f"it still is the key in use; name that {CREDENTIAL_BEFORE}, and give {CREDENTIAL} a new one"
            raise KeyPlaceFailed(self.where, reason)
        return key

    def settle(self, key_id: str) -> None:
        """systemd keeps it."""

    def forget(self, key_id: str) -> None:
        """The unit's owner takes it away."""

    def _read(self, name: str) -> bytes | None:
        """systemd's own folder is ours alone, whatever a file's mode says."""
        if self._folder is None:
            return None
        try:
            found = (self._folder / name).read_bytes()
        except OSError:
            return None
        return _decode_key(found)


class KeyringPlace:
    """The desktop's keyring (Secret Service), through `secret-tool`: the key goes by standard input."""

    name = "keyring"
    where = "the keyring (secret-tool)"

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def find(self, key_id: str) -> bytes | None:
        return _decode_key(self._ask("lookup", key_id, may_fail=True))

    def keep_new(self, _key_id_in_use: str, /) -> bytes:
        key = make_key()
        key_id = key_id_of(key)
        self._ask("store", key_id, base64.b64encode(key))
        if self.find(key_id) != key:
            raise KeyPlaceFailed(self.where, "it did not give back what was put in")
        return key

    def settle(self, key_id: str) -> None:
        """Each key has an entry of its own."""

    def forget(self, key_id: str) -> None:
        self._ask("clear", key_id, may_fail=True)

    def _ask(self, verb: str, key_id: str, given: bytes = b"", *, may_fail: bool = False) -> bytes:
        label = ("--label=Nightyard vault key",) if verb == "store" else ()
        command = ("secret-tool", verb, *label, "application", "nightyard", "vault-key", key_id)
        try:
            done = subprocess.run(
                command,
                input=given,
                capture_output=True,
                timeout=KEYRING_TIMEOUT_S,
                env=dict(self._environment),
                check=False,
            )
        except FileNotFoundError as error:
            raise KeyPlaceFailed(self.where, "the program secret-tool is not installed (libsecret-tools)") from error
        except subprocess.TimeoutExpired:
            raise KeyPlaceFailed(self.where, "no answer; is the keyring unlocked?") from None
        if done.returncode != 0 and not (may_fail and not done.stderr):
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise KeyPlaceFailed(self.where, said[-1][:200] if said else f"secret-tool ended with {done.returncode}")
        return done.stdout


class KeyPlaces:
    """The three, as this process finds them."""

    def __init__(self, key_file: Path, environment: Mapping[str, str] | None = None) -> None:
        found = os.environ if environment is None else environment
        folder = found.get("CREDENTIALS_DIRECTORY", "")
        self._systemd = SystemdPlace(Path(folder) if folder else None)
        self._file = FilePlace(key_file)
        self._places: dict[str, KeyPlace] = {
            "file": self._file,
            "systemd": self._systemd,
            "keyring": KeyringPlace(found),
        }

    def named(self, name: str) -> KeyPlace:
        """Raises KeyPlaceFailed."""
        place = self._places.get(name)
        if place is None:
            raise KeyPlaceFailed(name[:40], f"there is no such place; there are: {', '.join(self._places)}")
        return place

    def begin(self) -> tuple[KeyPlace, bytes | None]:
        """Return where a new vault keeps its key, and the key: with systemd if that brought one, else in the file."""
        if self._systemd.is_there:
            return self._systemd, self._systemd.keep_new("")
        return self._file, self._file.begin(may_make=True)

    def go_on(self, *, may_make: bool) -> tuple[KeyPlace, bytes | None]:
        """Return where a vault of the first form keeps its key, and the key."""
        return self._file, self._file.begin(may_make=may_make)


def _read_key(path: Path) -> bytes | None:
    """Raises LooseKeyFile."""
    if not path.exists():
        return None
    refuse_loose(path)
    key = path.read_bytes()
    return key if len(key) == KEY_BYTES else None


def _decode_key(found: bytes) -> bytes | None:
    if len(found) == KEY_BYTES:
        return found
    try:
        key = base64.b64decode(found.strip(), validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None
