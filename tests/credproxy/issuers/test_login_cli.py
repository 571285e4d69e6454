"""`nightyard secret login` against a real proxy process and a real issuer, as a person with a browser does it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.credproxy.issuers.house import CLIENT
from tests.credproxy.issuers.test_logins import browse
from tests.credproxy.process import ROOT, ProxyProcess
from twins.oauth.server import serve_oauth


@pytest.fixture
def process(short_folder: Path) -> Iterator[ProxyProcess]:
    with ProxyProcess(short_folder).started() as process:
        yield process


async def start(process: ProxyProcess, *arguments: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, **process.environment, "CLIENT_SECRET": CLIENT.secret or "", "PYTHONUNBUFFERED": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli.main",
        "secret",
        *arguments,
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_login_by_a_browser(process: ProxyProcess) -> None:
    """The address is shown, what the browser ends at is pasted, the login is there, and no token is in any output."""
    async with serve_oauth() as (address, twin), asyncio.timeout(40):
        twin.logins.clients[CLIENT.client_id] = CLIENT
        where = ["--authorize-url", f"{address}/oauth/authorize", "--token-url", f"{address}/oauth/token"]
        who = ["--client-id", CLIENT.client_id, "--client-secret-env", "CLIENT_SECRET", "--scope", "read"]
        command = await start(process, "login", "mine", *where, *who)
        assert command.stdin is not None
        assert command.stdout is not None
        shown = await command.stdout.readuntil(b"paste the code")
        opened = re.search(rb"(http://\S+/oauth/authorize\S+)", shown)
        assert opened is not None
        ended_at = await asyncio.to_thread(browse, opened[1].decode())
        said, _none = await command.communicate(ended_at.encode() + b"\n")
        assert command.returncode == 0, said
        assert b"The login mine is in the vault; no route or grant names it yet." in said
        (login,) = twin.logins.logins
        assert login.refresh_token.encode() not in shown + said
        show = await start(process, "show", "mine", "--json")
        state = json.loads((await show.communicate())[0])
        assert state["type"] == "oauth2-refresh"
        assert login.refresh_token not in json.dumps(state)
        assert process.spilled(login.refresh_token.encode()) == []


async def test_login_that_is_refused(process: ProxyProcess) -> None:
    """Nothing pasted, no client, another login's answer: each says what to do, and nothing is kept."""
    for arguments, pasted, said in (
        (["claude"], b"\n", b"nothing was pasted"),
        (["mine"], b"", b"--authorize-url is missing"),
        (["google"], b"", b"--client-id is missing"),
        (["claude"], b"abc#other", b"another login"),
        (["claude", "--found", "/nowhere"], b"", b"cannot be read"),
    ):
        command = await start(process, "login", *arguments)
        output, _none = await command.communicate(pasted)
        assert command.returncode != 0
        assert said in output


async def test_found_login_is_taken_over(process: ProxyProcess, tmp_path: Path) -> None:
    """Codex' file becomes a secret for ChatGPT's plan; the person is told to log out there."""
    kept = {"access_token": "canary-a", "refresh_token": "canary-r", "account_id": "acct-1"}
    (tmp_path / "auth.json").write_text(json.dumps({"tokens": kept}))
    command = await start(process, "login", "chatgpt", "--found", str(tmp_path / "auth.json"))
    output, _none = await command.communicate()
    assert command.returncode == 0, output
    assert b"log out" in output
    assert b"canary" not in output
