"""git over https, as it is in the agent's image, with git's own server behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.quarter import Quarter
from tests.clients.shops import git_host, log_of, make_repository
from tests.credproxy.street import CANARY

pytestmark = pytest.mark.engine

COMMIT = "git -c user.name=agent -c user.email=agent@example.org commit -q"


async def test_git_clones_and_pushes_with_a_key_that_it_does_not_have(quarter: Quarter, tmp_path: Path) -> None:
    """Clone, fetch, and a push of three megabytes: git never asks for a password, the proxy adds it."""
    bare = make_repository(tmp_path)
    inject = {"basic": "x-access-token"}
    async with quarter.shop("git.example", git_host(tmp_path, password=CANARY), secret="key", inject=inject) as shop:
        ran = await quarter.run(
            f"""set -e
            git clone -q https://git.example:{shop.port}/notes.git notes; cd notes; cat readme
            head -c 3000000 /dev/urandom > photo; git add photo; {COMMIT} -m second; git push -q origin main
            git clone -q --depth 1 https://git.example:{shop.port}/notes.git again; git -C again log --format=%s
            cat .git/config again/.git/config"""
        )
    assert ran.well().splitlines()[:2] == ["hello from the host", "second"]
    assert log_of(bare) == ["second", "first"]
    assert CANARY not in ran.output + ran.errors
    assert any(arrived.header("transfer-encoding") for arrived in shop.inbox), "the push was to be sent in chunks"


async def test_git_says_no_instead_of_asking(quarter: Quarter, tmp_path: Path) -> None:
    """Without the grant's key the server wants a password: git ends at once and does not wait for one to be typed."""
    make_repository(tmp_path)
    async with quarter.shop("git.example", git_host(tmp_path, password=CANARY)) as shop:
        ran = await quarter.run(f"git clone -q https://git.example:{shop.port}/notes.git")
    assert ran.code == 128
    assert "terminal prompts disabled" in ran.errors


async def test_git_may_be_let_read_and_not_write(quarter: Quarter, tmp_path: Path) -> None:
    """A grant for the paths of a fetch lets it clone; its push is refused by the proxy and changes nothing."""
    bare = make_repository(tmp_path)
    grant = {"secret": "key", "inject": {"basic": "x-access-token"}, "methods": ["GET", "POST"]}
    paths = ["/notes.git/info/refs", "/notes.git/git-upload-pack"]
    serve = git_host(tmp_path, password=CANARY)
    async with quarter.shop("git.example", serve, paths=paths, **grant) as shop:
        ran = await quarter.run(
            f"""git clone -q https://git.example:{shop.port}/notes.git notes && cd notes && echo cloned
            git checkout -q -b other; {COMMIT} --allow-empty -m second; git push -q origin other:main"""
        )
    assert ran.output == "cloned\n"
    assert (ran.code != 0, "403" in ran.errors) == (True, True)
    assert log_of(bare) == ["first"]
