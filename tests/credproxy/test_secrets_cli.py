"""`nightyard secret` against a real proxy process, as a person would type it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.credproxy.process import ROOT, ProxyProcess

VALUE = "canary-of-the-cli-0123456789"


@pytest.fixture
def process(short_folder: Path) -> Iterator[ProxyProcess]:
    with ProxyProcess(short_folder).started() as process:
        (process.fork / "nightyard.yaml").write_text(
            "routes: {claude: {api: anthropic, url: 'https://api.example.org', secret: claude}}\n"
        )
        yield process


def nightyard(
    process: ProxyProcess, *arguments: str, given: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "secret", *arguments],
        cwd=ROOT,
        env={**os.environ, **process.environment, **variables},
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_secret_is_added_listed_replaced_and_removed(process: ProxyProcess) -> None:
    """Each verb says what it did; no output ever holds the value."""
    asyncio.run(process.ask(lambda admin: admin.reload()))
    added = nightyard(process, "add", "claude", "--stdin", given=VALUE + "\n")
    assert added.stdout == "claude is in the vault; used by route claude.\n", added.stderr
    again = nightyard(process, "add", "claude", "--env", "KEY", KEY=VALUE)
    assert (again.returncode, again.stderr) == (
        1,
        "nightyard: a secret named claude is already in the vault\n  mend: ./nightyard secret add claude --replace\n",
    )
    replaced = nightyard(process, "add", "claude", "--env", "KEY", "--replace", KEY=VALUE + "2")
    assert replaced.returncode == 0
    listed = nightyard(process, "list")
    assert listed.stdout.startswith("claude  key      changed 2")
    assert listed.stdout.endswith("used by route claude\n")
    removed = nightyard(process, "remove", "claude")
    assert removed.stdout == (
        "claude is no longer in the vault.\nWhat needs it is refused from now on: route claude still names it.\n"
    )
    outputs = [text for each in (added, again, replaced, listed, removed) for text in (each.stdout, each.stderr)]
    assert not any(VALUE in text for text in outputs)
    assert process.spilled(VALUE.encode()) == []


def test_bad_values_and_names_are_refused(process: ProxyProcess) -> None:
    """What could end a header early, or nobody could name, is not stored; the message does not repeat the value."""
    split = nightyard(process, "add", "claude", "--stdin", given="two\nlines")
    assert split.returncode == 1
    assert "line breaks" in split.stderr
    assert "two" not in split.stderr
    assert nightyard(process, "add", "No Name", "--stdin", given="value").returncode == 1
    assert nightyard(process, "add", "empty", "--stdin", given="").returncode == 1
    assert nightyard(process, "remove", "absent").returncode == 1


def test_proxy_that_is_down_is_said_with_its_mend(short_folder: Path) -> None:
    """Without a proxy the command says so and names `up`; its exit code tells programs."""
    down = nightyard(ProxyProcess(short_folder), "list")
    assert down.returncode == 3
    assert down.stderr.endswith("mend: ./nightyard up\n")
