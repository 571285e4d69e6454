"""The image with a browser, and a shop to visit from it; needs an engine and, the first time, Debian's packages."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from cli.base_image import has_image
from cli.image_build import build_derived
from cli.up_progress import no_progress
from runtime.images.inputs import load_inputs
from runtime.images.recipe import ImageRecipe
from tests.clients.quarter import Quarter, Reply, open_quarter
from tests.conftest import ROOT
from tests.credproxy.street import Arrived

INSIDE = (Path(__file__).parent / "inside.py").read_text()
HTML = {"Content-Type": "text/html; charset=utf-8"}
Page = str | Reply | Callable[[Arrived], Reply]


@pytest.fixture(scope="session")
def browser_image(agent_image: str) -> str:
    """The image of a group with `browser: true`, built if the engine does not have it."""
    recipe = ImageRecipe(base=agent_image, browser=True)
    reference = recipe.reference(load_inputs(ROOT))
    client = docker.from_env(timeout=1800)
    try:
        return reference if has_image(client, reference) else build_derived(client, ROOT, recipe, no_progress)
    finally:
        client.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of one call."""

    is_error: bool
    text: str
    media_types: list[str]


@dataclass(slots=True)
class Town:
    """A quarter with shops whose pages a test writes."""

    quarter: Quarter
    stack: AsyncExitStack
    arrived: list[Arrived] = field(default_factory=list)

    async def shop(self, host: str, pages: Mapping[str, Page], **grant: object) -> str:
        """Open a shop that the group may reach; return its address."""

        async def serve(arrived: Arrived) -> Reply:
            self.arrived.append(arrived)
            page = pages.get(arrived.line.split(" ")[1], Reply(status=404, body=b"nothing here", headers=HTML))
            if callable(page):
                page = page(arrived)
            return page if isinstance(page, Reply) else Reply(body=f"<!doctype html>{page}".encode(), headers=HTML)

        upstream = await self.stack.enter_async_context(self.quarter.shop(host, serve, **grant))
        return f"https://{host}:{upstream.port}"

    async def visit(self, *calls: tuple[str, Mapping[str, object]], before: str = "true") -> list[Done]:
        """Make calls of the browser's tools in one container, a shell command before; return what came of each."""
        given = json.dumps([(f"browser_{name}", arguments) for name, arguments in calls])
        script = f"{before}; PYTHONPATH=/opt/agent python3 -c {shlex.quote(INSIDE)} <<'END'\n{given}\nEND"
        ran = await self.quarter.run(script)
        try:
            answers = json.loads(ran.well())
        except ValueError:
            raise AssertionError(f"{ran.output}\n{ran.errors}") from None
        return [Done(is_error=answer[0], text=answer[1], media_types=answer[2]) for answer in answers]

    def lines(self) -> list[str]:
        return [arrived.line.removesuffix(" HTTP/1.1") for arrived in self.arrived]


@pytest.fixture
async def town(browser_image: str) -> AsyncIterator[Town]:
    async with _town(browser_image) as town:
        yield town


@asynccontextmanager
async def _town(image: str) -> AsyncIterator[Town]:
    async with open_quarter(image) as quarter, AsyncExitStack() as stack:
        yield Town(quarter, stack)
