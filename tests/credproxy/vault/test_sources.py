"""Values that live elsewhere: real files, real commands; what is kept, for how long, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import select
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from credproxy.vault.errors import SealBroken
from credproxy.vault.rows import SecretValue, Source
from credproxy.vault.secret import BadValue
from credproxy.vault.sources import FAILED_CACHE_S, MAX_OUTPUT_BYTES, SourceFailed, Sources
from credproxy.vault.vault import Vault

VALUE = "canary-value-0123456789"


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    (tmp_path / "home").mkdir()
    vault = Vault(tmp_path / "home" / "vault.db", tmp_path / "home" / "vault.key")
    yield vault
    vault.close()


def stored(vault: Vault, source: Source, type_name: str = "key") -> SecretValue:
    vault.add("one", source, type_name=type_name, replace=True)
    (value,) = vault.values("one")
    assert value.parts == {}
    return value


def command(text: str, cache_s: float = 100.0, field: str = "") -> Source:
    return Source(kind="command", command=(sys.executable, "-c", text), cache_s=cache_s, field=field)


def counting(tmp_path: Path, answer: str = VALUE) -> str:
    """A command that counts how often it was run."""
    return f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); print({answer!r})"


def runs(tmp_path: Path) -> int:
    counter = tmp_path / "runs"
    return len(counter.read_text()) if counter.exists() else 0


async def read(sources: Sources, value: SecretValue) -> dict[str, str]:
    async with asyncio.timeout(20):
        return {name: secret.reveal() for name, secret in (await sources.read(value)).items()}


async def test_command_is_run_once_for_its_cache_time(vault: Vault, tmp_path: Path) -> None:
    """Fifty requests at once run it once; after its time it is run again; `forget` runs it at the next use."""
    clock = Clock()
    sources, value = Sources(clock=clock), stored(vault, command(counting(tmp_path)))
    async with asyncio.TaskGroup() as group:
        reading = [group.create_task(read(sources, value)) for _number in range(50)]
    assert {each.result()["value"] for each in reading} == {VALUE}
    clock.now += 99
    await read(sources, value)
    assert runs(tmp_path) == 1
    assert sources.kept(value)["value"].reveal() == VALUE
    clock.now += 1
    assert sources.kept(value) == {}
    await read(sources, value)
    assert runs(tmp_path) == 2
    sources.forget("another")
    await read(sources, value)
    assert runs(tmp_path) == 2
    sources.forget("one")
    await read(sources, value)
    assert runs(tmp_path) == 3


async def test_what_was_read_is_on_no_disk(vault: Vault, tmp_path: Path) -> None:
    """The vault holds where to read, sealed, and never what was read."""
    sources = Sources()
    value = stored(vault, command(f"print({VALUE[:8]!r} + {VALUE[8:]!r})"))
    assert (await read(sources, value))["value"] == VALUE
    assert VALUE not in repr(sources.kept(value))
    home = tmp_path / "home"
    assert [path.name for path in home.iterdir() if VALUE.encode() in path.read_bytes()] == []
    assert [path.name for path in home.iterdir() if sys.executable.encode() in path.read_bytes()] == []


FAILING = {
    "ends badly": ("import sys; sys.stderr.write('no such item'); sys.exit(3)", "ended with 3"),
    "prints nothing": ("pass", "the value is empty"),
    "prints control characters": (r"print('a\x07b')", "control characters"),
    "prints beyond ASCII": (r"print('\u00e4')", "beyond ASCII"),
    "prints too much": (f"print('x' * {MAX_OUTPUT_BYTES * 3}, flush=True); input()", "more than 64 KiB"),
}


@pytest.mark.parametrize("case", FAILING)
async def test_command_that_gives_no_value_says_why(vault: Vault, case: str) -> None:
    """Whatever a command does instead of printing a value is a failure with its reason; its output is not repeated."""
    text, reason = FAILING[case]
    with pytest.raises(SourceFailed, match=reason) as failure:
        await read(Sources(), stored(vault, command(text)))
    assert "no such item" not in str(failure.value)


async def test_command_that_is_not_there_is_named(vault: Vault) -> None:
    """A program that cannot be run is said by name."""
    value = stored(vault, Source(kind="command", command=("no-such-program", "x"), cache_s=1))
    with pytest.raises(SourceFailed, match="no-such-program cannot be run"):
        await read(Sources(), value)


async def test_failing_command_is_not_run_for_every_request(vault: Vault, tmp_path: Path) -> None:
    """A failure is kept for some seconds, then it is tried again."""
    clock = Clock()
    failing = Sources(clock=clock)
    value = stored(vault, command(counting(tmp_path, answer="")))
    for _number in range(3):
        with pytest.raises(SourceFailed):
            await read(failing, value)
    assert runs(tmp_path) == 1
    clock.now += FAILED_CACHE_S
    with pytest.raises(SourceFailed):
        await read(failing, value)
    assert runs(tmp_path) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="watches processes by their descriptors")
async def test_command_that_is_given_up_is_gone_with_its_children(vault: Vault, tmp_path: Path) -> None:
    """A cancelled reading leaves no process behind."""
    told = tmp_path / "told"
    os.mkfifo(told)
    text = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
        f"open({str(told)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "child.wait()"
    )
    value = stored(vault, command(text))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        reading = group.create_task(read(Sources(), value))
        pids = (await asyncio.to_thread(told.read_text)).split()
        watched = [os.pidfd_open(int(pid)) for pid in pids]
        reading.cancel()
    for process in watched:
        ended = await asyncio.to_thread(has_ended, process)
        os.close(process)
        assert ended


def has_ended(process: int) -> bool:
    """Wait for the end of a process, some seconds at most."""
    return bool(select.select([process], [], [], 10)[0])


async def test_first_line_counts(vault: Vault) -> None:
    """`pass` prints notes behind the password: the first line is the value."""
    assert await read(Sources(), stored(vault, command(f"print({VALUE!r}); print('login: me')"))) == {"value": VALUE}


async def test_member_of_json_counts_if_it_is_named(vault: Vault) -> None:
    """`bws` prints JSON: the named member is the value, also further down; one that is missing is said."""
    text = f"print({json.dumps({'id': 'x', 'value': VALUE, 'data': {'key': 'deeper-value'}})!r})"
    assert await read(Sources(), stored(vault, command(text, field="value"))) == {"value": VALUE}
    assert await read(Sources(), stored(vault, command(text, field="data.key"))) == {"value": "deeper-value"}
    for field, reason in (("absent", "no member absent"), ("data", "control characters|no JSON object|no part")):
        with pytest.raises(SourceFailed, match=reason):
            await read(Sources(), stored(vault, command(text, field=field)))
    with pytest.raises(SourceFailed, match="not JSON"):
        await read(Sources(), stored(vault, command("print('{')", field="value")))


async def test_type_of_several_parts_is_read_as_json(vault: Vault) -> None:
    """An AWS key comes as an object of its parts; one that lacks a part is refused."""
    parts = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "secret-of-aws"}
    assert await read(Sources(), stored(vault, command(f"print({json.dumps(parts)!r})"), "aws")) == parts
    with pytest.raises(SourceFailed, match="needs its part secret_access_key"):
        await read(Sources(), stored(vault, command('print(\'{"access_key_id": "A"}\')'), "aws"))
    with pytest.raises(SourceFailed, match="object of texts"):
        await read(Sources(), stored(vault, command("print('{\"access_key_id\": 5}')"), "aws"))


async def test_file_is_read_again_when_its_time_is_over(vault: Vault, tmp_path: Path) -> None:
    """A changed file counts after the cache time; one that others could read, or that is gone, gives nothing."""
    clock, path = Clock(), tmp_path / "token"
    path.write_text(VALUE + "\n")
    path.chmod(0o600)
    sources, value = Sources(clock=clock), stored(vault, Source(kind="file", place=str(path), cache_s=5))
    assert await read(sources, value) == {"value": VALUE}
    path.write_text("value-second")
    assert await read(sources, value) == {"value": VALUE}
    clock.now += 5
    assert await read(sources, value) == {"value": "value-second"}
    path.chmod(0o644)
    clock.now += 5
    with pytest.raises(SourceFailed, match="others could read") as failure:
        await read(sources, value)
    assert failure.value.mend == f"chmod 600 {path}"
    path.unlink()
    clock.now += 5
    with pytest.raises(SourceFailed, match="No such file"):
        await read(sources, value)


async def test_variable_of_the_proxys_environment(vault: Vault) -> None:
    """A variable is read at each use; one that is missing is named."""
    value = stored(vault, Source(kind="env", place="SOME_KEY"))
    assert await read(Sources({"SOME_KEY": VALUE}), value) == {"value": VALUE}
    with pytest.raises(SourceFailed, match="no variable SOME_KEY"):
        await read(Sources({}), value)


async def test_value_of_the_vault_is_its_own_source(vault: Vault) -> None:
    """What is in the vault is given as it is."""
    vault.add("one", VALUE)
    (value,) = vault.values("one")
    assert await Sources().read(value) is value.parts


def test_sources_that_say_nothing_are_refused(vault: Vault) -> None:
    """A source without a place, with a relative path, an odd variable, or an endless cache time is not stored."""
    good = Source(kind="file", place="/etc/token")
    for bad in (
        Source(kind="vault"),
        Source(kind="env"),
        Source(kind="env", place="A=B"),
        Source(kind="file", place="token"),
        Source(kind="file", place="/a\0b"),
        Source(kind="command"),
        Source(kind="command", command=("",)),
        Source(kind="command", command=("a", "b\0")),
        dataclasses.replace(good, cache_s=-1),
        dataclasses.replace(good, cache_s=1e9),
        dataclasses.replace(good, cache_s=float("nan")),
    ):
        with pytest.raises(BadValue):
            vault.add("one", bad)
    assert vault.secrets() == ()


def test_swapped_command_does_not_run(vault: Vault, tmp_path: Path) -> None:
    """A command is sealed as a value is: nobody who writes to the database makes the proxy run another one."""
    vault.add("one", Source(kind="command", command=("true",), cache_s=1))
    vault.add("two", Source(kind="command", command=("false",), cache_s=1))
    vault.close()
    home = tmp_path / "home"
    with contextlib.closing(sqlite3.connect(home / "vault.db")) as connection, connection:
        connection.execute(
            "UPDATE secret_values SET (wrapped_key, sealed) = (SELECT wrapped_key, sealed FROM secret_values"
            " WHERE secret_id = (SELECT secret_id FROM secrets WHERE name = 'two'))"
        )
    connection.close()
    again = Vault(home / "vault.db", home / "vault.key")
    with pytest.raises(SealBroken):
        again.values("one")
    again.close()
