"""A secret's several values: rotation with its overlap, reserves, tokens stored by compare and swap."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from credproxy.vault.errors import SealBroken, SecretUnknown, ValueMoved, ValueUnknown
from credproxy.vault.rows import MAX_RESERVES, Source
from credproxy.vault.secret import BadValue
from credproxy.vault.upkeep import forget_ended
from credproxy.vault.vault import OPENED_S, Vault

LOGIN = {"refresh_token": "refresh-1", "client_id": "tool", "token_url": "https://login.example.org/token"}


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(tmp_path: Path, clock: Clock) -> Iterator[Vault]:
    vault = Vault(tmp_path / "vault.db", tmp_path / "vault.key", clock=clock)
    yield vault
    vault.close()


def spelled(vault: Vault, name: str = "one") -> list[tuple[str, str, int]]:
    """Every value that would be tried: (label, text, version)."""
    return [(value.label, value.parts["value"].reveal(), value.version) for value in vault.values(name)]


def test_rotation_keeps_the_old_value_for_its_overlap(vault: Vault, clock: Clock) -> None:
    """The new value is tried first, the old one after it, until its time is over; then it is on no disk."""
    vault.add("one", "value-first")
    assert vault.rotate("one", "value-second", overlap_s=60) == 2
    assert spelled(vault) == [("current", "value-second", 2), ("previous", "value-first", 1)]
    clock.now += 59
    assert len(spelled(vault)) == 2
    clock.now += 1
    assert spelled(vault) == [("current", "value-second", 2)]
    vault.add("two", "any-change")
    row = vault.find("one")
    assert row is not None
    assert [value.label for value in row.values] == ["current"]


async def test_old_value_is_taken_off_the_disk_by_itself(tmp_path: Path, vault: Vault, clock: Clock) -> None:
    """Without any other change: while the proxy runs, and at its next start."""
    vault.add("one", "value-first")
    vault.add("two", "value-first")
    vault.rotate("one", "value-second", overlap_s=60)
    vault.rotate("two", "value-second", overlap_s=600)
    clock.now += 60
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        keeping = group.create_task(forget_ended(vault, every_s=0.001))
        while await asyncio.to_thread(count_rows, tmp_path) > 3:
            pass
        keeping.cancel()
    vault.close()
    clock.now += 600
    Vault(tmp_path / "vault.db", tmp_path / "vault.key", clock=clock).close()
    assert count_rows(tmp_path) == 2


def count_rows(folder: Path) -> int:
    connection = sqlite3.connect(folder / "vault.db")
    try:
        return int(connection.execute("SELECT count(*) FROM secret_values").fetchone()[0])
    finally:
        connection.close()


def test_only_one_value_before_the_current_one_is_kept(vault: Vault) -> None:
    """A second rotation within the overlap drops the oldest value; without an overlap the old one goes at once."""
    vault.add("one", "value-first")
    vault.rotate("one", "value-second", overlap_s=60)
    vault.rotate("one", "value-third", overlap_s=60)
    assert spelled(vault) == [("current", "value-third", 3), ("previous", "value-second", 2)]
    vault.rotate("one", "value-fourth", overlap_s=0)
    assert spelled(vault) == [("current", "value-fourth", 4)]


def test_reserves_are_tried_in_the_order_they_were_added(vault: Vault) -> None:
    """Current, previous, then the reserves; one that is removed leaves the others their labels."""
    vault.add("one", "value-first")
    assert [vault.add_reserve("one", text) for text in ("spare-a", "spare-b", "spare-c")] == [
        "reserve-1",
        "reserve-2",
        "reserve-3",
    ]
    vault.rotate("one", "value-second", overlap_s=60)
    vault.remove_value("one", "reserve-2")
    assert [(label, text) for label, text, _version in spelled(vault)] == [
        ("current", "value-second"),
        ("previous", "value-first"),
        ("reserve-1", "spare-a"),
        ("reserve-3", "spare-c"),
    ]


def test_reserve_can_take_over(vault: Vault) -> None:
    """A promoted value is the current one, under its own version; the one it replaces is gone."""
    vault.add("one", "value-first")
    vault.add_reserve("one", "spare-a")
    assert vault.promote("one", "reserve-1") == 2
    assert spelled(vault) == [("current", "spare-a", 2)]
    vault.rotate("one", "value-third", overlap_s=60)
    vault.promote("one", "previous")
    assert spelled(vault) == [("current", "spare-a", 2)]


def test_what_is_not_there_is_refused_by_name(vault: Vault) -> None:
    """Verbs about absent secrets or values change nothing and say which."""
    vault.add("one", "value-first")
    with pytest.raises(SecretUnknown, match="two"):
        vault.rotate("two", "value", overlap_s=0)
    with pytest.raises(SecretUnknown):
        vault.add_reserve("two", "value")
    for label in ("reserve-1", "previous", "nonsense"):
        with pytest.raises(ValueUnknown, match=label):
            vault.promote("one", label)
        with pytest.raises(ValueUnknown, match=label):
            vault.remove_value("one", label)
    with pytest.raises(ValueUnknown):
        vault.remove_value("one", "current")
    assert vault.values("two") == ()


def test_reserves_have_an_end(vault: Vault) -> None:
    """A secret takes so many values in reserve and no more."""
    vault.add("one", "value-first")
    for number in range(MAX_RESERVES):
        vault.add_reserve("one", f"spare-{number}")
    with pytest.raises(BadValue, match="in reserve already"):
        vault.add_reserve("one", "one-too-many")


def test_values_of_one_secret_are_alike(vault: Vault) -> None:
    """A rotation keeps the type, and whether the value is in the vault or read from elsewhere."""
    vault.add("one", "value-first")
    vault.add("login", LOGIN, type_name="oauth2-refresh")
    with pytest.raises(BadValue, match="would come from: env"):
        vault.rotate("one", Source(kind="env", place="KEY"), overlap_s=0)
    with pytest.raises(BadValue, match="no part 'value'"):
        vault.rotate("login", "just-a-text", overlap_s=0)


def test_replacing_forgets_every_value_and_counts_on(vault: Vault) -> None:
    """A replaced secret has one value, of a version of its own; nothing of the old ones is tried."""
    vault.add("one", "value-first")
    vault.add_reserve("one", "spare-a")
    vault.add("one", "value-anew", replace=True)
    assert spelled(vault) == [("current", "value-anew", 3)]


def test_same_objects_come_back_until_something_changes(vault: Vault, clock: Clock) -> None:
    """What was opened is not opened again for each request, and never outlives a change."""
    vault.add("one", "value-first")
    first = vault.values("one")
    assert vault.values("one") is first
    clock.now += OPENED_S
    again = vault.values("one")
    assert again is not first
    vault.add("one", "value-second", replace=True)
    assert spelled(vault)[0][1] == "value-second"
    vault.remove("one")
    assert vault.values("one") == ()


def test_token_is_stored_beside_its_parts(tmp_path: Path, vault: Vault) -> None:
    """A token survives a restart with its end; a part that is taken away is gone; the refresh token is the new one."""
    vault.add("login", LOGIN, type_name="oauth2-refresh", preset="somewhere")
    (value,) = vault.values("login")
    parts = {"access_token": "access-1", "refresh_token": "refresh-2", "client_id": None}
    stored = vault.store_token("login", value, parts, token_ends_at=1_234.5)
    assert stored.revision == value.revision + 1
    vault.close()
    again = Vault(tmp_path / "vault.db", tmp_path / "vault.key")
    (value,) = again.values("login")
    assert {name: secret.reveal() for name, secret in value.parts.items()} == {
        "access_token": "access-1",
        "refresh_token": "refresh-2",
        "token_url": LOGIN["token_url"],
    }
    assert value.token_ends_at == 1_234.5
    again.close()


def test_only_one_of_two_stores_wins(vault: Vault) -> None:
    """Whoever read the value before another stored into it is told, and changes nothing."""
    vault.add("login", LOGIN, type_name="oauth2-refresh")
    (value,) = vault.values("login")
    vault.store_token("login", value, {"access_token": "access-1"})
    with pytest.raises(ValueMoved):
        vault.store_token("login", value, {"access_token": "access-2"})
    assert vault.values("login")[0].parts["access_token"].reveal() == "access-1"
    (value,) = vault.values("login")
    vault.add("login", LOGIN, type_name="oauth2-refresh", replace=True)
    with pytest.raises(ValueMoved):
        vault.store_token("login", value, {"access_token": "access-3"})
    vault.remove("login")
    with pytest.raises(ValueMoved):
        vault.store_token("login", value, {"access_token": "access-3"})


def test_fifty_threads_store_and_none_is_lost(vault: Vault) -> None:
    """Compare and swap under contention: each store that was taken is one revision."""
    vault.add("login", LOGIN, type_name="oauth2-refresh")
    taken: list[int] = []

    def store(number: int) -> None:
        while True:
            (value,) = vault.values("login")
            try:
                stored = vault.store_token("login", value, {"access_token": f"access-{number}"})
            except ValueMoved:
                continue
            taken.append(stored.revision)
            return

    threads = [threading.Thread(target=store, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(taken) == list(range(2, 52))


def test_bad_token_is_not_stored(vault: Vault) -> None:
    """What no header takes is refused from issuers too, and a needed part cannot be taken away."""
    vault.add("login", LOGIN, type_name="oauth2-refresh")
    (value,) = vault.values("login")
    for parts in ({"access_token": "a\r\nb"}, {"refresh_token": None}, {"unheard_of": "x"}):
        with pytest.raises(BadValue):
            vault.store_token("login", value, parts)
    (now,) = vault.values("login")
    assert (now.revision, now.parts["refresh_token"].reveal()) == (value.revision, "refresh-1")


def test_one_broken_value_breaks_its_secret(tmp_path: Path, vault: Vault) -> None:
    """A secret one of whose values was tampered with gives none: nothing is used in silence."""
    vault.add("one", "value-first")
    vault.add_reserve("one", "spare-a")
    vault.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "vault.db")) as connection, connection:
        connection.execute("UPDATE secret_values SET position = 2 WHERE slot = 'reserve'")
    connection.close()
    again = Vault(tmp_path / "vault.db", tmp_path / "vault.key")
    with pytest.raises(SealBroken, match="--replace"):
        again.values("one")
    shown = again.look_into("one")
    assert [(sealed.label, opened is None) for sealed, opened in shown] == [("current", False), ("reserve-2", True)]
    again.remove_value("one", "reserve-2")
    assert spelled(again) == [("current", "value-first", 1)]
    again.close()


TEXTS = st.text(alphabet="abcdef0123456789", min_size=1, max_size=8)


class Model(RuleBasedStateMachine):
    """Any order of changes leaves what a plain list would hold, in memory and after a restart."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.expected: dict[str, str] = {}
        self.ends_at = 0.0
        self.vault = self.open()

    def open(self) -> Vault:
        folder = Path(self.folder.name)
        return Vault(folder / "vault.db", folder / "vault.key", clock=self.clock)

    @rule(text=TEXTS)
    def add(self, text: str) -> None:
        self.vault.add("one", text, replace=True)
        self.expected = {"current": text}

    @precondition(lambda self: self.expected)
    @rule(text=TEXTS, overlap_s=st.sampled_from((0.0, 30.0)))
    def rotate(self, text: str, overlap_s: float) -> None:
        self.vault.rotate("one", text, overlap_s=overlap_s)
        self.expected.pop("previous", None)
        if overlap_s:
            self.expected["previous"] = self.expected["current"]
            self.ends_at = self.clock.now + overlap_s
        self.expected["current"] = text

    @precondition(lambda self: self.expected and sum(key.startswith("r") for key in self.expected) < MAX_RESERVES)
    @rule(text=TEXTS)
    def reserve(self, text: str) -> None:
        self.expected[self.vault.add_reserve("one", text)] = text

    @precondition(lambda self: len(self.expected) > 1)
    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        label = data.draw(st.sampled_from([key for key in self.expected if key != "current"]))
        self.vault.promote("one", label)
        self.expected["current"] = self.expected.pop(label)

    @precondition(lambda self: len(self.expected) > 1)
    @rule(data=st.data())
    def remove_value(self, data: st.DataObject) -> None:
        label = data.draw(st.sampled_from([key for key in self.expected if key != "current"]))
        self.vault.remove_value("one", label)
        del self.expected[label]

    @rule(seconds=st.sampled_from((1.0, 29.0, 31.0)))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        if self.clock.now >= self.ends_at:
            self.expected.pop("previous", None)

    @rule()
    def restart(self) -> None:
        self.vault.close()
        self.vault = self.open()

    @rule()
    def rekey(self) -> None:
        self.vault.rekey()

    @precondition(lambda self: self.expected)
    @rule()
    def remove(self) -> None:
        self.vault.remove("one")
        self.expected = {}

    @invariant()
    def holds_what_was_put_in(self) -> None:
        found = [(value.label, value.parts["value"].reveal()) for value in self.vault.values("one")]
        order = sorted(self.expected, key=lambda label: (label != "current", label != "previous", label))
        assert found == [(label, self.expected[label]) for label in order]

    def teardown(self) -> None:
        self.vault.close()
        self.folder.cleanup()


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
