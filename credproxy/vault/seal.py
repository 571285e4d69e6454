"""AES-256-GCM over a value under a data key of its own, and over the data key under the vault's key.

What a row says beside its ciphertext (whose, which, of what kind, until when) is associated data: a ciphertext in
another row, field or name does not open, and neither does one whose row was edited.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from typing import TYPE_CHECKING

from credproxy.vault.errors import SealBroken
from credproxy.vault.rows import SealedSecret, SealedValue

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
"""96 bits, random: a data key seals one value, and the wrapping key stays far below 2**32 uses."""


def make_key() -> bytes:
    return os.urandom(KEY_BYTES)


def key_id_of(key: bytes) -> str:
    """Return which key it is. It tells nothing of the key: 256 random bits cannot be found by trying."""
    return hashlib.sha256(b"nightyard vault key\0" + key).hexdigest()[:12]


def seal(key: bytes, plain: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, plain, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Raises ValueError for what was not sealed so."""
    return _open(_cipher(key), sealed, context)


def context_1(secret_id: int, name: str, kind: str, field: str) -> bytes:
    """The associated data of the vault's first form, which is read once more when a vault is brought to this one."""
    return f"nightyard vault 1|{secret_id}|{name}|{kind}|{field}".encode()


class Sealer:
    """Seals and opens values under one key of the vault."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.key_id = key_id_of(key)

    @cached_property
    def _key(self) -> AESGCM:
        return _cipher(self.key)

    def __repr__(self) -> str:
        return f"Sealer({self.key_id})"

    def seal_value(self, secret: SealedSecret, value: SealedValue, plain: bytes) -> tuple[bytes, bytes]:
        """Return (wrapped data key, ciphertext); the data key is a fresh one each time."""
        data_key, facts = make_key(), _facts(secret, value)
        nonce = os.urandom(NONCE_BYTES)
        wrapped = nonce + self._key.encrypt(nonce, data_key, facts + b"|wrapped_key")
        return wrapped, seal(data_key, plain, facts + b"|sealed")

    def open_value(self, secret: SealedSecret, value: SealedValue) -> bytes:
        """Raises SealBroken."""
        facts = _facts(secret, value)
        try:
            data_key = _open(self._key, value.wrapped_key, facts + b"|wrapped_key")
            return unseal(data_key, value.sealed, facts + b"|sealed")
        except ValueError as error:
            raise SealBroken(secret.name) from error


def _cipher(key: bytes) -> AESGCM:
    """Loaded with the first value that is sealed or opened: a proxy that waits for its first call needs none of the
    7 MB that the library takes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _open(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except InvalidTag:
        raise ValueError("it was not sealed with this key for this place") from None


def _facts(secret: SealedSecret, value: SealedValue) -> bytes:
    """None of them may hold `|` at the will of others: numbers, names and words of ours."""
    of_secret = (secret.secret_id, secret.name, secret.kind, secret.type, secret.source, secret.preset)
    of_value = (value.value_id, value.slot, value.position, value.version, value.ends_at, value.revision, value.key_id)
    return "|".join(("nightyard vault 2", *map(str, of_secret + of_value))).encode("ascii")
