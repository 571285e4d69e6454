"""Tools of the host, unmodified, through the loopback door: with the environment that `nightyard token` gives them."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runtime.client_environment import build_client_environment
from tests.clients.quarter import Serve, respond_with
from tests.clients.shops import git_host, log_of, make_repository
from tests.clients.test_curl import echo
from tests.credproxy.porch import Porch, open_porch
from tests.credproxy.street import CANARY, Street, Upstream

TIMEOUT_S = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    with TemporaryDirectory(prefix="cp-") as folder:
        yield Path(folder)


@pytest.fixture
async def porch(folder: Path) -> AsyncIterator[Porch]:
    async with Street(folder).open() as street, open_porch(street) as porch:
        yield porch


@asynccontextmanager
async def shop(porch: Porch, host: str, serve: Serve, inject: str) -> AsyncIterator[Upstream]:
    async with porch.street.upstream(host) as upstream:
        upstream.respond = respond_with(serve)
        porch.street.addresses[host] = ["127.0.0.1"]
        place = f"host: {host}, port: {upstream.port}, addresses: [127.0.0.1]"
        porch.street.grants = f"- {{{place}, secret: key, inject: {inject}}}"
        porch.street.proxy.reload()
        yield upstream


async def run(porch: Porch, folder: Path, script: str) -> str:
    """Run a script with a token's environment and nothing else; return what it wrote."""
    made = await porch.token()
    proxy = f"http://nightyard:{made.text}@127.0.0.1:{made.port}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_TERMINAL_PROMPT": "0",
        **build_client_environment(proxy, str(porch.street.ca)),
    }
    pipe, error = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    running = await asyncio.create_subprocess_exec(
        "sh", "-ec", script, cwd=folder, env=environment, stdout=pipe, stderr=error
    )
    async with asyncio.timeout(TIMEOUT_S):
        written, _ = await running.communicate()
    assert running.returncode == 0, written.decode()
    assert made.text.encode() not in written
    return written.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed on this machine")
async def test_curl_of_the_host_gets_the_groups_key(porch: Porch, tmp_path: Path) -> None:
    """With a token's environment curl reaches what the group may, with its key."""
    async with shop(porch, "api.example", echo, "bearer") as upstream:
        written = await run(porch, tmp_path, f"curl -sS https://api.example:{upstream.port}/a")
    assert '"GET /a HTTP/1.1"' in written
    assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]


async def test_git_of_the_host_clones_and_pushes(porch: Porch, tmp_path: Path) -> None:
    """git, which first asks the proxy without its token, clones and pushes with the group's key."""
    bare = make_repository(tmp_path)
    serve = git_host(tmp_path, password=CANARY)
    async with shop(porch, "git.example", serve, "{basic: x-access-token}") as upstream:
        written = await run(
            porch,
            tmp_path,
            f"""git clone -q https://git.example:{upstream.port}/notes.git mine; cd mine; cat readme
            git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m second
            git push -q origin main""",
        )
    assert written == "hello from the host\n"
    assert log_of(bare) == ["second", "first"]


async def test_python_of_the_host_needs_nothing_more(porch: Porch, tmp_path: Path) -> None:
    """Python's own client shows the token when it opens its tunnel, whatever version of HTTP it says there."""
    async with shop(porch, "api.example", echo, "bearer") as upstream:
        code = f"import urllib.request as u; print(u.urlopen('https://api.example:{upstream.port}/a').status)"
        assert await run(porch, tmp_path, f'python3 -c "{code}"') == "200\n"
    assert upstream.inbox[0].header("authorization") == [f"Bearer {CANARY}"]
