"""The vault's key: replaced, moved, lost, cut off in between; and vaults of the first form."""

from __future__ import annotations

import base64
import contextlib
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from credproxy.vault.errors import KeyMissing, KeyPlaceFailed, LooseKeyFile, NotWritten, SealBroken, VaultTooNew
from credproxy.vault.files import write_whole
from credproxy.vault.key_places import CREDENTIAL, CREDENTIAL_BEFORE, KeyPlaces
from credproxy.vault.seal import context_1, seal
from credproxy.vault.vault import Vault

ROOT = Path(__file__).resolve().parents[3]
VALUE = "canary-value-0123456789"

SECRET_TOOL = """#!{python}
# A keyring of files: what `secret-tool` does, as far as it is asked here.
import pathlib, sys
keyring = pathlib.Path({keyring!r})
verb, attributes = sys.argv[1], sys.argv[2:]
attributes = [each for each in attributes if not each.startswith("--label=")]
assert attributes[::2] == ["application", "vault-key"], attributes
entry = keyring / attributes[3]
if (keyring / "locked").exists():
    sys.exit("secret-tool: Cannot get secret of a locked object")
if verb == "store":
    entry.write_bytes(sys.stdin.buffer.read())
elif verb == "lookup":
    sys.stdout.buffer.write(entry.read_bytes()) if entry.exists() else sys.exit(1)
elif verb == "clear":
    entry.unlink() if entry.exists() else sys.exit(1)
"""


def open_vault(folder: Path, **environment: str) -> Vault:
    places = KeyPlaces(folder / "vault.key", environment)
    return Vault(folder / "vault.db", folder / "vault.key", places=places)


def reveal(vault: Vault, name: str = "one") -> str:
    return vault.values(name)[0].parts["value"].reveal()


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    vault = open_vault(tmp_path)
    vault.add("one", VALUE)
    vault.add_reserve("one", "spare-value")
    vault.close()
    return tmp_path


def test_rekey_makes_the_old_key_useless(filled: Path) -> None:
    """After a rekey all opens with the new key only; the old key and the old wraps are gone from the home."""
    old_key = (filled / "vault.key").read_bytes()
    with closing(sqlite3.connect(filled / "vault.db")) as connection:
        old_rows = connection.execute("SELECT wrapped_key FROM secret_values").fetchall()
    vault = open_vault(filled)
    before = vault.state()
    after = vault.rekey()
    assert after.key_id != before.key_id
    assert reveal(vault) == VALUE
    vault.close()
    new_key = (filled / "vault.key").read_bytes()
    assert new_key != old_key
    assert [path.name for path in filled.iterdir() if old_key in path.read_bytes()] == []
    assert all(row[0] not in path.read_bytes() for row in old_rows for path in filled.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in filled.iterdir())
    again = open_vault(filled)
    assert [value.parts["value"].reveal() for value in again.values("one")] == [VALUE, "spare-value"]
    again.close()
    (filled / "vault.key").write_bytes(old_key)
    with pytest.raises(KeyMissing, match="not the one that fits"):
        open_vault(filled)


@pytest.mark.parametrize(
    ("database", "key", "next_key"),
    [
        ("before", "before", "after"),  # killed before the vault was sealed anew
        ("after", "before", "after"),  # killed right after that
        ("after", "after", "after"),  # killed before the next key's file was taken away
    ],
)
def test_rekey_that_was_cut_off_leaves_a_vault_that_opens(
    filled: Path, tmp_path_factory: pytest.TempPathFactory, database: str, key: str, next_key: str
) -> None:
    """Whatever a kill leaves of database and key files, the vault opens, tidies up, and can be sealed anew again."""
    states = {"before": tmp_path_factory.mktemp("before"), "after": filled}
    for name in ("vault.db", "vault.key"):
        shutil.copy(filled / name, states["before"] / name)
    vault = open_vault(filled)
    vault.rekey()
    vault.close()
    left = tmp_path_factory.mktemp("left")
    shutil.copy(states[database] / "vault.db", left / "vault.db")
    shutil.copy(states[key] / "vault.key", left / "vault.key")
    shutil.copy(states[next_key] / "vault.key", left / "vault.key.next")
    again = open_vault(left)
    assert reveal(again) == VALUE
    assert not (left / "vault.key.next").exists()
    again.rekey()
    again.close()
    last = open_vault(left)
    assert reveal(last) == VALUE
    last.close()


def test_refused_rekey_after_one_that_was_cut_off_keeps_the_key_in_use(filled: Path) -> None:
    """The key in use may still lie where the next one goes: it is taken home before that is written."""
    vault = open_vault(filled)
    vault.add("two", "other-value")
    old_key = (filled / "vault.key").read_bytes()
    vault.rekey()
    in_use = (filled / "vault.key").read_bytes()
    with contextlib.closing(sqlite3.connect(filled / "vault.db")) as connection, connection:
        connection.execute("UPDATE secret_values SET version = 9 WHERE slot = 'reserve'")
    connection.close()
    write_whole(filled / "vault.key.next", in_use, mode=0o600)
    write_whole(filled / "vault.key", old_key, mode=0o600)
    with pytest.raises(SealBroken):
        vault.rekey()
    vault.close()
    again = open_vault(filled)
    assert reveal(again, "two") == "other-value"
    again.close()


def test_rekey_refuses_while_a_value_does_not_open(filled: Path) -> None:
    """Nothing is sealed anew over a secret that was tampered with: it would be lost, and nobody told."""
    with contextlib.closing(sqlite3.connect(filled / "vault.db")) as connection, connection:
        connection.execute("UPDATE secret_values SET version = 9 WHERE slot = 'reserve'")
    connection.close()
    vault = open_vault(filled)
    before = vault.state()
    with pytest.raises(SealBroken):
        vault.rekey()
    assert vault.state() == before
    assert not (filled / "vault.key.next").exists()
    vault.remove_value("one", "reserve-1")
    assert reveal(vault) == VALUE
    vault.close()


def test_systemd_credential_holds_the_key(tmp_path: Path) -> None:
    """A new vault takes the unit's credential, raw or in base64; no key lies in the home."""
    credentials, home = tmp_path / "credentials", tmp_path / "home"
    credentials.mkdir()
    home.mkdir()
    (credentials / CREDENTIAL).write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
    vault = open_vault(home, CREDENTIALS_DIRECTORY=str(credentials))
    vault.add("one", VALUE)
    assert vault.state().place == "systemd"
    vault.close()
    assert not (home / "vault.key").exists()
    again = open_vault(home, CREDENTIALS_DIRECTORY=str(credentials))
    assert reveal(again) == VALUE
    again.close()
    with pytest.raises(KeyMissing, match="systemd"):
        open_vault(home)


def test_key_moves_to_systemd_and_on_to_a_new_credential(filled: Path) -> None:
    """`rekey` to systemd takes the credential and removes the file; another credential is taken over beside the old."""
    credentials = filled / "credentials"
    credentials.mkdir()
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    vault = open_vault(filled, **environment)
    with pytest.raises(KeyPlaceFailed, match="no credential"):
        vault.rekey("systemd")
    first, second = os.urandom(32), os.urandom(32)
    (credentials / CREDENTIAL).write_bytes(first)
    assert vault.rekey("systemd").place == "systemd"
    assert not (filled / "vault.key").exists()
    with pytest.raises(KeyPlaceFailed, match="still is the key in use"):
        vault.rekey()
    vault.close()
    (credentials / CREDENTIAL_BEFORE).write_bytes(first)
    (credentials / CREDENTIAL).write_bytes(second)
    again = open_vault(filled, **environment)
    again.rekey()
    again.close()
    (credentials / CREDENTIAL_BEFORE).unlink()
    third = open_vault(filled, **environment)
    assert reveal(third) == VALUE
    assert third.rekey("file").place == "file"
    third.close()
    fourth = open_vault(filled)
    assert reveal(fourth) == VALUE
    fourth.close()


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    """A folder in which a stand-in for `secret-tool` keeps what it is given."""
    keyring = tmp_path / "keyring"
    keyring.mkdir()
    tool = tmp_path / "bin" / "secret-tool"
    tool.parent.mkdir()
    tool.write_text(SECRET_TOOL.format(python=sys.executable, keyring=str(keyring)))
    tool.chmod(0o755)
    return keyring


def test_keyring_holds_the_key(filled: Path, keyring: Path) -> None:
    """The key moves into the keyring, is replaced there, and comes back into a file; the old entry goes each time."""
    environment = {"PATH": f"{keyring.parent / 'bin'}:{os.environ['PATH']}"}
    vault = open_vault(filled, **environment)
    state = vault.rekey("keyring")
    assert not (filled / "vault.key").exists()
    assert [path.name for path in keyring.iterdir()] == [state.key_id]
    state = vault.rekey()
    assert [path.name for path in keyring.iterdir()] == [state.key_id]
    vault.close()
    again = open_vault(filled, **environment)
    assert reveal(again) == VALUE
    again.rekey("file")
    assert list(keyring.iterdir()) == []
    again.close()


REAL_KEYRING = ("dbus-run-session", "gnome-keyring-daemon", "secret-tool")
MOVE_AND_BACK = """
import pathlib, sys
from credproxy.vault.vault import Vault
home = pathlib.Path(sys.argv[1])
vault = Vault(home / "vault.db", home / "vault.key")
vault.rekey("keyring")
vault.rekey()
vault.close()
assert not (home / "vault.key").exists()
vault = Vault(home / "vault.db", home / "vault.key")
print(vault.values("one")[0].parts["value"].reveal(), vault.state().place, vault.rekey("file").place)
"""


@pytest.mark.skipif(not all(map(shutil.which, REAL_KEYRING)), reason="needs a keyring without a desktop")
def test_real_keyring_holds_the_key(filled: Path) -> None:
    """The same with GNOME's keyring, in a session of its own."""
    own = filled / "session"
    own.mkdir(mode=0o700)
    unlocked = "printf pw | gnome-keyring-daemon --unlock --components=secrets >&2"
    script = f'{unlocked} && exec {sys.executable} -c "$0" "$1"'
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", script, MOVE_AND_BACK, str(filled)],
        env={**os.environ, "HOME": str(own), "XDG_RUNTIME_DIR": str(own), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == f"{VALUE} keyring file\n", done.stderr


def test_locked_or_missing_keyring_says_so(filled: Path, keyring: Path) -> None:
    """What the keyring says comes through; without the tool its package is named; nothing is changed."""
    vault = open_vault(filled, PATH=str(filled / "nowhere"))
    with pytest.raises(KeyPlaceFailed, match="libsecret-tools"):
        vault.rekey("keyring")
    vault.close()
    (keyring / "locked").touch()
    vault = open_vault(filled, PATH=f"{keyring.parent / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(KeyPlaceFailed, match="locked object"):
        vault.rekey("keyring")
    with pytest.raises(KeyPlaceFailed, match="there is no such place"):
        vault.rekey("pocket")
    assert vault.state().place == "file"
    assert reveal(vault) == VALUE
    vault.close()


def test_new_vault_does_not_take_a_loose_key(tmp_path: Path) -> None:
    """A key file that is there before its vault must be private too."""
    write_whole(tmp_path / "vault.key", os.urandom(32), mode=0o644)
    with pytest.raises(LooseKeyFile):
        open_vault(tmp_path)


FORM_1 = """
CREATE TABLE secrets (
    secret_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'channel')), key_id TEXT NOT NULL, wrapped_key BLOB NOT NULL,
    sealed_value BLOB NOT NULL, created_at TEXT NOT NULL, changed_at TEXT NOT NULL
) STRICT;
"""


def make_form_1(folder: Path, key: bytes, values: dict[str, str]) -> None:
    """A vault as the first version wrote it."""
    write_whole(folder / "vault.key", key, mode=0o600)
    connection = sqlite3.connect(folder / "vault.db")
    connection.executescript(FORM_1)
    for number, (name, value) in enumerate(values.items(), start=1):
        data_key = os.urandom(32)
        kind = "channel" if name == "bot" else "key"
        connection.execute(
            "INSERT INTO secrets VALUES (?, ?, ?, '1', ?, ?, '2026-01-01T00:00:00+00:00', '2026-02-02T00:00:00+00:00')",
            (
                number,
                name,
                kind,
                seal(key, data_key, context_1(number, name, kind, "wrapped_key")),
                seal(data_key, value.encode(), context_1(number, name, kind, "sealed_value")),
            ),
        )
    connection.commit()
    connection.close()


def test_vault_of_the_first_form_is_taken_over(tmp_path: Path) -> None:
    """Every secret of an older vault is there, with kind and times, sealed anew; the second start finds the same."""
    make_form_1(tmp_path, os.urandom(32), {"one": VALUE, "bot": "123:token-of-a-bot"})
    for _start in range(2):
        vault = open_vault(tmp_path)
        assert reveal(vault) == VALUE
        assert [(row.name, row.kind, row.created_at[:4], row.changed_at[5:7]) for row in vault.secrets()] == [
            ("bot", "channel", "2026", "02"),
            ("one", "key", "2026", "02"),
        ]
        vault.close()


def test_broken_row_of_the_first_form_stays_broken_and_seen(tmp_path: Path) -> None:
    """One row that was tampered with does not keep the others from being taken over, and does not vanish."""
    make_form_1(tmp_path, os.urandom(32), {"one": VALUE, "two": "other-value"})
    with contextlib.closing(sqlite3.connect(tmp_path / "vault.db")) as connection, connection:
        connection.execute("UPDATE secrets SET sealed_value = zeroblob(40) WHERE name = 'two'")
    connection.close()
    vault = open_vault(tmp_path)
    assert reveal(vault) == VALUE
    with pytest.raises(SealBroken, match="two"):
        vault.values("two")
    vault.add("two", "value-anew", replace=True)
    vault.close()


def test_first_form_under_another_key_is_left_alone(tmp_path: Path) -> None:
    """With a key that opens nothing the old vault is refused and left as it is: the right key may come back."""
    key = os.urandom(32)
    make_form_1(tmp_path, key, {"one": VALUE})
    write_whole(tmp_path / "vault.key", os.urandom(32), mode=0o600)
    with pytest.raises(KeyMissing):
        open_vault(tmp_path)
    write_whole(tmp_path / "vault.key", key, mode=0o600)
    vault = open_vault(tmp_path)
    assert reveal(vault) == VALUE
    vault.close()


def test_newer_vault_is_not_touched(filled: Path) -> None:
    """A vault of a newer Nightyard is refused, with what to do."""
    with contextlib.closing(sqlite3.connect(filled / "vault.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(VaultTooNew, match="newer Nightyard"):
        open_vault(filled)


def test_full_disk_is_an_error_with_a_name_and_changes_nothing(filled: Path) -> None:
    """A change that the disk does not take is refused, is seen by nobody, and the vault goes on."""
    vault = open_vault(filled)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((filled / "vault.db").stat().st_size + 4096, hard))
    try:
        with pytest.raises(NotWritten, match="nothing was changed"):
            for number in range(100):
                vault.add(f"more-{number}", "x" * 16_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    known = [row.name for row in vault.secrets()]
    assert reveal(vault) == VALUE
    vault.add("at-last", "a-value")
    vault.close()
    again = open_vault(filled)
    assert [row.name for row in again.secrets()] == sorted([*known, "at-last"])
    assert reveal(again) == VALUE
    again.close()
