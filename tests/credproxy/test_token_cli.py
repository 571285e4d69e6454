"""`nightyard token` against a real proxy process, as a person would type it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from credproxy.admin_client.tokens import list_tokens
from tests.credproxy.porch import free_port
from tests.credproxy.process import ROOT, ProxyProcess
from twins.models.server import ModelTwin, serve_models

KEY = "canary-of-the-token-0123456789"
ASK = """
import json, os, urllib.request
body = json.dumps({"model": "echo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}).encode()
headers = {"x-api-key": os.environ["ANTHROPIC_AUTH_TOKEN"], "content-type": "application/json"}
request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", body, headers)
print(json.load(urllib.request.urlopen(request))["content"][0]["text"])
"""


class House:
    """A proxy process, a model behind it, and the command."""

    def __init__(self, process: ProxyProcess, twin: ModelTwin, port: int) -> None:
        self.process = process
        self.twin = twin
        self.port = port

    async def nightyard(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`nightyard token …`, waited for while the model's twin answers."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "cli.main", "token", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.process.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def settings(self, model_port: int, door_port: int) -> None:
        route = f"{{api: anthropic, url: 'http://127.0.0.1:{model_port}', secret: claude}}"
        door = f"host_door_port: {door_port}\n" if door_port else ""
        (self.process.fork / "nightyard.yaml").write_text(f"model: claude/echo\nroutes: {{claude: {route}}}\n{door}")


@pytest.fixture
async def house(short_folder: Path) -> AsyncIterator[House]:
    async with serve_models(required_key=KEY) as (model_port, twin):
        process = ProxyProcess(short_folder)
        group = process.fork / "groups" / "main"
        group.mkdir()
        (group / "group.yaml").write_text("limits: {model_calls: 2}\n")
        (group / "AGENTS.md").write_text("Be brief.\n")
        house = House(process, twin, free_port())
        house.settings(model_port, house.port)
        with process.started():
            await process.ask(lambda admin: admin.secret_add("claude", KEY, "key"))
            yield house


async def test_a_command_runs_with_a_token_of_its_own(house: House) -> None:
    """`token run` gives a command the group's model, revokes its token afterwards, and ends as the command did."""
    done = await house.nightyard("run", "main", "--for", "5m", "--", sys.executable, "-c", ASK + "raise SystemExit(7)")
    assert (done.returncode, done.stdout) == (7, "hello\n"), done.stderr
    assert {call["key"] for call in house.twin.log} == {KEY}
    assert (await house.process.ask(list_tokens)).tokens == ()
    missing = await house.nightyard("run", "main", "no-such-command")
    assert (missing.returncode, "no-such-command cannot be run" in missing.stderr) == (127, True)
    assert (await house.process.ask(list_tokens)).tokens == ()


async def test_a_token_is_told_once_listed_and_revoked(house: House) -> None:
    """`token add` prints lines for a shell; `list` never shows the token; a revoked one opens nothing."""
    added = await house.nightyard("add", "main", "--for", "2h", "--note", "my editor")
    assert added.returncode == 0, added.stderr
    lines = added.stdout.splitlines()
    assert all(line.startswith(("# ", "unset ", "export ")) for line in lines)
    assert "unset ANTHROPIC_API_KEY" in lines
    environment = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    token = environment["ANTHROPIC_AUTH_TOKEN"]
    assert environment["HTTPS_PROXY"] == f"http://nightyard:{token}@127.0.0.1:{house.port}"
    assert environment["SSL_CERT_FILE"] == str(house.process.home / "ca" / "ca.pem")
    assert environment["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{house.port}/m/claude"
    asked = await asyncio.to_thread(_ask, environment)
    assert asked.stdout == "hello\n", asked.stderr
    listed = await house.nightyard("list")
    assert f"open at 127.0.0.1 port {house.port}" in listed.stdout and "my editor" in listed.stdout
    shown = json.loads((await house.nightyard("list", "--json")).stdout)
    assert [(one["group"], one["note"], one["routes"]) for one in shown["tokens"]] == [
        ("main", "my editor", ["claude"])
    ]
    assert token not in listed.stdout + json.dumps(shown)
    assert house.process.spilled(token.encode()) == []
    token_id = shown["tokens"][0]["token_id"]
    revoked = await house.nightyard("revoke", token_id.removeprefix("token_")[:6])
    assert revoked.stdout == f"{token_id} is revoked.\n", revoked.stderr
    assert "407" in (await asyncio.to_thread(_ask, environment)).stderr
    assert "No token is valid." in (await house.nightyard("list")).stdout


def _ask(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command, variables = [sys.executable, "-c", ASK], {**os.environ, **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30, check=False)


async def test_the_groups_limits_hold_for_a_token(house: House) -> None:
    """Of the two model calls that the group allows a task, a token gets two as well."""
    again = f"exec({ASK!r})\n"
    done = await house.nightyard("run", "main", "--", sys.executable, "-c", again * 3)
    assert (done.stdout, "402" in done.stderr) == ("hello\nhello\n", True)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("add", "nobody"), 1, "there is no agent 'nobody'; known: main"),
        (("add", "main", "--for", "48h"), 2, "a token is valid for 60s to 24h"),
        (("add", "main", "--for", "soon"), 2, "a token is valid for 60s to 24h"),
        (("revoke", "token_x"), 1, "no valid token is called 'token_x'"),
        (("revoke",), 2, "name the tokens to be revoked, or say --all"),
    ],
)
async def test_what_cannot_be_done_is_said(house: House, arguments: tuple[str, ...], code: int, told: str) -> None:
    """Unknown groups and tokens, and times beyond the bounds, are refused by name."""
    done = await house.nightyard(*arguments)
    assert (done.returncode, told in done.stderr) == (code, True), done.stderr


async def test_without_a_port_in_the_settings_there_is_no_token(house: House) -> None:
    """Off, `add` says which setting opens the door; named in the settings again, it works without a restart."""
    house.settings(1, 0)
    refused = await house.nightyard("add", "main")
    assert (refused.returncode, "host_door_port" in refused.stderr) == (1, True)
    assert "The door is closed" in (await house.nightyard("list")).stdout
    house.settings(1, house.port)
    assert (await house.nightyard("add", "main", "--json")).returncode == 0
    assert (await house.nightyard("revoke", "--all")).stdout.endswith(" is revoked.\n")
