"""Secrets at rest: what a thief, a clumsy hand or a swapped row gets."""

from __future__ import annotations

import contextlib
import copy
import pickle
import sqlite3
import stat
from pathlib import Path

import pytest

from credproxy.vault.errors import (
    BadSecretName,
    KeyMissing,
    LooseKeyFile,
    SealBroken,
    SecretExists,
    SecretUnknown,
)
from credproxy.vault.secret import BadValue, Secret
from credproxy.vault.vault import Vault

VALUE = "canary-value-0123456789"
TWO = "(SELECT secret_id FROM secrets WHERE name = 'two')"
OF_ONE = "WHERE secret_id = (SELECT secret_id FROM secrets WHERE name = 'one')"


def open_vault(folder: Path) -> Vault:
    return Vault(folder / "vault.db", folder / "vault.key")


def reveal(vault: Vault, name: str) -> str:
    secret = vault.open(name)
    assert secret is not None
    return secret.reveal()


def test_value_survives_a_restart_and_is_nowhere_in_clear(tmp_path: Path) -> None:
    """A stored value opens again from its files; no file holds it; all are private."""
    vault = open_vault(tmp_path)
    vault.add("one", VALUE, "key")
    assert [path.name for path in tmp_path.iterdir() if VALUE.encode() in path.read_bytes()] == []
    vault.close()
    again = open_vault(tmp_path)
    assert reveal(again, "one") == VALUE
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    again.close()


def test_names_are_unique_and_removal_is_final(tmp_path: Path) -> None:
    """A second value under a name must be asked for; a removed one is gone from the files too."""
    vault = open_vault(tmp_path)
    vault.add("one", VALUE, "key")
    sealed = vault.secrets()[0].values[0].sealed
    with pytest.raises(SecretExists):
        vault.add("one", "other", "key")
    vault.add("one", "other-value", "key", replace=True)
    assert reveal(vault, "one") == "other-value"
    vault.remove("one")
    assert vault.open("one") is None
    with pytest.raises(SecretUnknown):
        vault.remove("one")
    vault.close()
    assert sealed not in (tmp_path / "vault.db").read_bytes()


@pytest.mark.parametrize("value", ["", "a\nb", "a\r\nX: y", "a\0b", " a", "a ", "ä", "x" * 20_000, "a\x7f"])
def test_values_that_no_header_takes_are_refused(tmp_path: Path, value: str) -> None:
    """What could end a header or begin another never gets in."""
    vault = open_vault(tmp_path)
    with pytest.raises(BadValue):
        vault.add("one", value, "key")
    assert vault.secrets() == ()
    vault.close()


def test_bad_names_are_refused(tmp_path: Path) -> None:
    """A name is one that settings can name."""
    vault = open_vault(tmp_path)
    for name in ("", "A", "a b", "../x", "-a", "a" * 33):
        with pytest.raises(BadSecretName):
            vault.add(name, VALUE, "key")
    vault.close()


@pytest.mark.parametrize(
    "swap",
    [
        f"UPDATE secret_values SET sealed = (SELECT sealed FROM secret_values WHERE secret_id = {TWO}) {OF_ONE}",
        f"UPDATE secret_values SET (sealed, wrapped_key) = (SELECT sealed, wrapped_key FROM secret_values"
        f" WHERE secret_id = {TWO}) {OF_ONE}",
        "UPDATE secrets SET name = CASE name WHEN 'one' THEN 'three' ELSE name END",
        "UPDATE secrets SET kind = 'channel' WHERE name = 'one'",
        "UPDATE secrets SET type = 'hmac' WHERE name = 'one'",
        "UPDATE secrets SET preset = 'elsewhere' WHERE name = 'one'",
        "UPDATE secrets SET source = 'command' WHERE name = 'one'",
        f"UPDATE secret_values SET value_id = 77 {OF_ONE}",
        f"UPDATE secret_values SET ends_at = 99999999999 {OF_ONE}",
        f"UPDATE secret_values SET version = 7 {OF_ONE}",
        f"UPDATE secret_values SET slot = 'reserve', position = 1 {OF_ONE}",
        f"UPDATE secret_values SET key_id = 'another' {OF_ONE}",
        f"UPDATE secret_values SET sealed = zeroblob(40) {OF_ONE}",
        f"UPDATE secret_values SET sealed = x'' {OF_ONE}",
    ],
)
def test_swapped_rows_do_not_open(tmp_path: Path, swap: str) -> None:
    """A ciphertext under another row, name, kind or field is refused by name (55)."""
    vault = open_vault(tmp_path)
    vault.add("one", VALUE, "key")
    vault.add("two", "other-value", "key")
    vault.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "vault.db")) as connection, connection:
        connection.execute(swap)
    connection.close()
    again = open_vault(tmp_path)
    with pytest.raises(SealBroken):
        again.open("three" if "three" in swap else "one")
    assert reveal(again, "two") == "other-value"
    again.close()


def test_key_file_is_guarded(tmp_path: Path) -> None:
    """A key that others can read, or that is gone while there are secrets, stops the vault with its mend."""
    vault = open_vault(tmp_path)
    vault.add("one", VALUE, "key")
    vault.close()
    key = tmp_path / "vault.key"
    key.chmod(0o640)
    with pytest.raises(LooseKeyFile, match="chmod 600"):
        open_vault(tmp_path)
    key.chmod(0o600)
    key.rename(tmp_path / "elsewhere")
    with pytest.raises(KeyMissing, match="backup"):
        open_vault(tmp_path)
    assert not key.exists()


def test_secret_does_not_show_itself() -> None:
    """No text, format, error or copy of a Secret holds its value."""
    secret = Secret("one", VALUE)
    assert VALUE not in f"{secret!r} {secret} {[secret]} {secret.name}"
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)
