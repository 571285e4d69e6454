"""The vault of a real proxy process: killed while it writes, copied, dumped; and `nightyard secret` as it is typed."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from cli.verb_group import run
from credproxy.admin_client.link import ProxyUnavailable
from credproxy.admin_client.secrets import GivenValue, add_secret, rotate_secret, show_secret
from tests.credproxy.process import ROOT, ProxyProcess
from tests.credproxy.vault.test_verbs import make_pem

VALUE = "canary-of-the-vault-0123456789"
AWS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": VALUE}


@pytest.fixture
def process(short_folder: Path) -> Iterator[ProxyProcess]:
    with ProxyProcess(short_folder).started() as process:
        yield process


def nightyard(
    process: ProxyProcess, *arguments: str, given: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, **process.environment, **variables},
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def secret(
    process: ProxyProcess, *arguments: str, given: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return nightyard(process, "secret", *arguments, given=given, **variables)


def test_kill_in_the_middle_of_rotations_leaves_one_of_the_values(process: ProxyProcess) -> None:
    """kill -9 while values are written: the vault opens again with what was said to be stored, or the one after it;
    no value is in clear in any file, in a copy made by SQLite, or in a core file."""
    stored: list[int] = []
    enough = asyncio.Event()

    async def rotate_until_killed() -> None:
        async def rotate() -> None:
            for number in range(2, 10_000):
                value = GivenValue(parts={"value": f"{VALUE}-{number:05}"})
                stored.append(await process.ask(partial(rotate_secret, name="one", given=value, overlap_s=3600)))
                if number == 20:
                    enough.set()

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            rotating = group.create_task(_until_unavailable(rotate()))
            await enough.wait()
            process.end(signal.SIGKILL)
            await rotating

    assert secret(process, "add", "one", "--stdin", given=f"{VALUE}-00001").returncode == 0
    asyncio.run(rotate_until_killed())
    process.start()
    state = asyncio.run(process.ask(lambda admin: show_secret(admin, "one")))
    assert state.values[0].version in (stored[-1], stored[-1] + 1)
    assert [value.is_broken for value in state.values] == [False, False]
    copy = process.home / "copy.db"
    with closing(sqlite3.connect(process.home / "vault.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    assert process.spilled(VALUE.encode()) == []


async def _until_unavailable(work: Awaitable[None]) -> None:
    try:
        await work
    except ProxyUnavailable:
        return


@pytest.mark.skipif(sys.platform != "linux", reason="core files")
def test_crash_leaves_no_core_file(short_folder: Path) -> None:
    """Even where core files are allowed without limit, the proxy writes none: it holds keys in clear."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        with ProxyProcess(short_folder).started() as process:
            assert secret(process, "add", "one", "--stdin", given=VALUE).returncode == 0
            assert process.end(signal.SIGABRT) == -signal.SIGABRT
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert [path for folder in (ROOT, process.home) for path in folder.glob("core*") if path.is_file()] == []
    assert process.spilled(VALUE.encode()) == []


MAY_LOCK = os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY


@pytest.mark.skipif(sys.platform != "linux" or not MAY_LOCK, reason="may not keep memory from swap")
def test_memory_is_kept_from_swap_where_that_is_allowed(process: ProxyProcess) -> None:
    """All of the proxy's memory is locked if the user may lock as much as it likes."""
    assert process.process is not None
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if line.startswith("Vm")}
    assert sizes["VmLck"] >= sizes["VmRSS"]


def test_life_of_a_secret_as_it_is_typed(process: ProxyProcess) -> None:
    """Added, shown, given a reserve, rotated, promoted, removed in part and as a whole; no output holds a value."""
    done = [
        secret(process, "add", "one", "--stdin", given=VALUE),
        secret(process, "add", "one", "--reserve", "--env", "KEY", KEY=f"{VALUE}-spare"),
        secret(process, "rotate", "one", "--stdin", "--overlap", "1h", given=f"{VALUE}-new"),
        secret(process, "show", "one"),
        secret(process, "list"),
        secret(process, "promote", "one", "reserve-1"),
        secret(process, "remove", "one", "--value", "previous"),
        secret(process, "show", "one", "--json"),
        secret(process, "remove", "one"),
    ]
    assert [each.returncode for each in done] == [0] * len(done), [each.stderr for each in done]
    assert done[1].stdout.startswith("one has one more value, reserve-1")
    assert done[2].stdout == ("one has a new value (version 3); the old value is tried where it is refused, for 1h.\n")
    shown = done[3].stdout.splitlines()
    assert shown[0] == "one: key: one value, sent as it is"
    assert [line.split(",")[0].strip() for line in shown[3:]] == [
        "current: version 3",
        "previous: version 1",
        "reserve-1: version 2",
    ]
    assert "used until" in shown[4]
    assert "1 in reserve, previous value still used, no route or grant names it yet" in done[4].stdout
    (value,) = json.loads(done[7].stdout)["values"]
    assert (value["label"], value["version"]) == ("current", 2)
    assert not any(VALUE in text for each in done for text in (each.stdout, each.stderr))
    assert process.spilled(VALUE.encode()) == []


def test_types_of_several_parts_as_they_are_typed(process: ProxyProcess, tmp_path: Path) -> None:
    """Public parts may be arguments, the others come from files or as JSON; what is missing is named."""
    key = tmp_path / "app.pem"
    pem = make_pem()
    key.write_text(pem + "\n")
    canary = pem.splitlines()[2]
    app = ("add", "app", "--type", "github-app", "--part", "app_id=1", "--part", "installation_id=2")
    added = secret(process, *app, "--part", f"private_key=@{key}")
    assert added.returncode == 0, added.stderr
    shown = secret(process, "show", "app").stdout
    assert "app_id: 1\n" in shown
    assert "private_key: is there\n" in shown
    assert canary not in shown
    assert process.spilled(canary.encode()) == []
    assert secret(process, "add", "aws", "--stdin", given=json.dumps(AWS)).returncode == 0
    assert process.spilled(VALUE.encode()) == []


REFUSED = (
    (("add", "bad", "--type", "aws", "--part", "secret_access_key=typed"), "", "other processes could read it"),
    (("add", "bad", "--type", "aws", "--part", "nonsense=x"), "", "has the parts access_key_id"),
    (("add", "bad", "--type", "aws", "--stdin"), "{}", "needs its part access_key_id"),
    (("add", "bad", "--type", "aws", "--stdin"), "text", "JSON object of texts"),
    (
        ("add", "bad", "--type", "github-app", "--part", "app_id=1", "--part", "installation_id=2"),
        "",
        "from a file",
    ),
    (("add", "bad", "--type", "aws"), "", "no terminal"),
    (("add", "bad", "--from-env", "A", "--from-file", "b"), "", "exclude each other"),
    (("add", "bad", "--stdin", "--cache", "5m"), "", "go with --from-env"),
    (("add", "bad", "--from-env", "A", "--cache", "5"), "", "is no time"),
    (("add", "bad", "--from-command", "op 'read"), "", "not understood"),
    (("add", "aws", "--reserve", "--type", "aws"), "", "type and provider are as they are"),
    (("add", "bad", "--preset", "nonsense"), "", "no provider named nonsense"),
    (("rotate", "aws", "--overlap", "soon"), "", "is no time"),
    (("presets", "nonsense"), "", "no provider named nonsense"),
)


def test_what_is_not_understood_is_refused_with_its_reason(
    process: ProxyProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Contradictions, missing parts, unknown names and odd times are told as such, and no value is repeated."""
    for name, text in process.environment.items():
        monkeypatch.setenv(name, text)
    asyncio.run(process.ask(lambda admin: add_secret(admin, "aws", GivenValue(parts=AWS), type_name="aws")))
    for arguments, given, reason in REFUSED:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        assert run(["secret", *arguments]) in (1, 2), arguments
        told = capsys.readouterr().err
        assert reason in told
        assert "typed" not in told


def test_value_from_a_command_is_run_by_the_proxy(process: ProxyProcess) -> None:
    """A command that prints the value is stored as such; its failure is said when the secret is tried."""
    (process.fork / "nightyard.yaml").write_text(
        "routes: {local: {api: openai, url: 'http://127.0.0.1:9', secret: one}}\n"
    )
    asyncio.run(process.ask(lambda admin: admin.reload()))
    added = secret(process, "add", "one", "--from-command", f"{shutil.which('sh')} -c 'exit 3'", "--cache", "1m")
    assert added.stdout == "one is in the vault; used by route local.\n", added.stderr
    assert "command " in secret(process, "show", "one").stdout
    tried = secret(process, "test", "one")
    assert (tried.returncode, "ended with 3" in tried.stderr) == (1, True)
    assert secret(process, "add", "one", "--replace", "--from-env", "HOME").returncode == 0
    tried = secret(process, "test", "one")
    assert (tried.returncode, tried.stdout.startswith("one: no verdict. ")) == (1, True), tried


def test_vault_is_sealed_anew_as_it_is_typed(process: ProxyProcess) -> None:
    """`vault rekey` says where the new key is; the vault opens with it after a restart."""
    assert secret(process, "add", "one", "--stdin", given=VALUE).returncode == 0
    before = nightyard(process, "vault", "show").stdout
    after = nightyard(process, "vault", "rekey")
    assert before.startswith("1 secrets, sealed under the key ")
    assert after.stdout.endswith("kept in vault.key in the home, which only its owner may read.\n")
    assert after.stdout.split()[6] != before.split()[6]
    refused = nightyard(process, "vault", "rekey", "--to", "systemd")
    assert (refused.returncode, "no credential nightyard.vault-key" in refused.stderr) == (1, True)
    process.end(signal.SIGTERM)
    process.start()
    assert nightyard(process, "vault", "show").stdout == after.stdout


def test_providers_are_listed(process: ProxyProcess) -> None:
    """Each provider that is known has a line; one of them tells its hosts and where its keys are made."""
    assert "github" in secret(process, "presets").stdout
    told = secret(process, "presets", "github").stdout
    assert "api.github.com" in told
    assert "keys at" in told
