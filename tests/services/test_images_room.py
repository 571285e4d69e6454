"""Images in a whole house: a missing one is built in the background, an agent asks for packages. Real containers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import docker
import pytest
import pytest_asyncio

from bench.installation import Installation, installation
from client.errors import ControlError
from client.processes import read_state
from runtime.images.inputs import load_inputs
from runtime.images.recipe import ImageRecipe
from runtime.images.settings import PackageSettings
from tests.faults.house import WAIT_S, talk, until_true

pytestmark = [pytest.mark.engine, pytest.mark.asyncio(loop_scope="session")]

ROOT = Path(__file__).resolve().parents[2]
BUILD_S = 90.0
"""A pip package and the engine's work take three seconds on a quiet machine."""
SCRIPT = {
    "rules": [
        {
            "when": "^a table",
            "turns": [
                {"calls": [{"tool": "shell", "arguments": {"command": "python3 -c 'import tabulate'"}}]},
                {
                    "calls": [
                        {
                            "tool": "add_packages",
                            "arguments": {"manager": "pip", "packages": ["tabulate"], "reason": "for a table"},
                        }
                    ]
                },
                {"calls": [{"tool": "shell", "arguments": {"command": "python3 -c 'import tabulate' && echo there"}}]},
                {"text": "the module is {output}"},
            ],
        },
        {
            "when": "^a riddle",
            "turns": [
                {"calls": [{"tool": "shell", "arguments": {"command": "riddle"}}]},  # only then is the tool offered
                {
                    "calls": [
                        {
                            "tool": "add_packages",
                            "arguments": {"manager": "pip", "packages": ["nightyard-has-no-such"], "reason": "for fun"},
                        }
                    ]
                },
                {"text": "heard: {output}"},
            ],
        },
        {"when": "", "turns": [{"text": "noted: {said}"}]},
    ]
}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def running(agent_image: str) -> AsyncIterator[Installation]:
    """A house whose images, tabulate's apart, are built here and nowhere else."""
    forget_image(recipe(agent_image, "tabulate"))
    async with installation(script=SCRIPT, groups=("main", "other")) as house:
        yield house


def recipe(base: str, *packages: str) -> ImageRecipe:
    return ImageRecipe(base=base, packages=PackageSettings(pip=packages))


def forget_image(wanted: ImageRecipe) -> None:
    with contextlib.closing(docker.from_env()) as client, contextlib.suppress(docker.errors.ImageNotFound):
        client.images.remove(wanted.reference(load_inputs(ROOT)), force=True)


async def settle(house: Installation, group: str, text: str) -> None:
    """Have a group's file say this."""
    (house.fork / "groups" / group / "group.yaml").write_text(text, "utf-8")
    assert await house.control.request("reload") == {"problems": []}


async def paused(house: Installation, group: str) -> list[str]:
    status: Any = await house.control.request("status")
    return next(list(one["paused"]) for one in status["groups"] if one["group"] == group)


async def until_built(house: Installation, group: str) -> None:
    async with asyncio.timeout(BUILD_S):
        while await paused(house, group):  # noqa: ASYNC110 - the host is asked, as `status` does
            await asyncio.sleep(0.1)


async def decide(house: Installation, word: str) -> dict[str, Any]:
    """Say yes or no to the one thing that waits; return what was shown of it."""
    async with asyncio.timeout(WAIT_S):
        while not (found := await waiting(house)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    shown = found[0]
    await house.control.request(f"approval_{word}", {"approval": shown["approval"]})
    return dict(shown)


async def waiting(house: Installation) -> list[dict[str, Any]]:
    answer: Any = await house.control.request("approval_list")
    return list(answer["waiting"])


async def test_messages_wait_for_their_image_and_nobody_elses_do(running: Installation, agent_image: str) -> None:
    """The chat is told once; other agents answer meanwhile; then all is taken up by itself, in order."""
    await settle(running, "main", "packages: {pip: [tabulate]}\n")
    async with talk(running, "main", "waits") as chat, talk(running, "other", "goes-on") as other:
        await chat.say("good morning")
        await chat.until("message", "gets an image with pip: tabulate first")
        await chat.say("are you there?")
        assert "noted: hello" in await other.ask("hello")
        await chat.until("message", "noted: ", BUILD_S)
        assert not any("image" in text for text in chat.read("message")[1:])
    await until_built(running, "main")
    with contextlib.closing(docker.from_env()) as client:
        reference = recipe(agent_image, "tabulate").reference(load_inputs(ROOT))
        assert client.images.get(reference).labels["nightyard.recipe"] == "pip: tabulate"


async def test_a_build_that_fails_is_told_with_cause_and_mend(running: Installation) -> None:
    """Whoever waits reads which package it was; the mended file is enough to go on."""
    await settle(running, "main", "packages: {pip: [nightyard-has-no-such]}\n")
    async with talk(running, "main", "fails") as chat:
        await chat.say("good evening")
        told = (await chat.until("message", "could not be built", BUILD_S)).text
        assert "No matching distribution found for nightyard-has-no-such" in told
        assert "To mend it: correct `packages`" in told and "nightyard image build main" in told
        assert "could not be built" in (await paused(running, "main"))[0]
        await settle(running, "main", "")
        await chat.until("message", "noted: good evening")


async def test_an_agent_gets_the_packages_that_it_asks_for(running: Installation) -> None:
    """An owner sees names, reason and the file's change; after the yes the same task has them, and the file too."""
    await settle(running, "main", "# mine\nskills: []\n")
    async with talk(running, "main", "asks") as chat:
        await chat.say("a table, please")
        shown = await decide(running, "approve")
        assert shown["summary"] == "main would get the package `tabulate` by pip, in an image of its own."
        assert "the module is there" in (await chat.until("message", "the module is", BUILD_S)).text
    text = (running.fork / "groups/main/group.yaml").read_text("utf-8")
    assert text == "# mine\nskills: []\npackages:\n  pip: [tabulate]\n"
    assert await paused(running, "main") == []


async def test_what_cannot_be_had_holds_nobody_up(running: Installation) -> None:
    """The agent reads why; its file is as it was, and it goes on."""
    await settle(running, "other", "")
    async with talk(running, "other", "cannot") as chat:
        await chat.say("a riddle, please")
        await decide(running, "approve")
        heard = (await chat.until("message", "heard: ", BUILD_S)).text
        assert "The owner said yes, but an image with pip: nightyard-has-no-such could not be built" in heard
        assert (running.fork / "groups/other/group.yaml").read_text("utf-8") == ""
        assert "noted: thanks" in await chat.ask("thanks")


async def test_a_no_is_a_no(running: Installation) -> None:
    """The agent is told not to go round it, and nothing is built."""
    async with talk(running, "other", "denied") as chat:
        await chat.say("a riddle, again")
        await decide(running, "deny")
        assert "The owner did not allow these packages" in (await chat.until("message", "heard: ")).text


@pytest.mark.long
async def test_a_killed_host_builds_on(running: Installation, agent_image: str) -> None:
    """The next one takes up what was wanted; the message of before is answered."""
    forget_image(recipe(agent_image, "tabulate", "tinydb"))
    await settle(running, "main", "packages: {pip: [tabulate, tinydb]}\n")
    async with talk(running, "main", "killed") as chat:
        await chat.say("still there?")
        await chat.until("message", "gets an image with")
        os.kill(running.processes()["host"], signal.SIGKILL)
    await until_true(lambda: "host" in running.processes() and read_state(running.home) is not None)
    async with asyncio.timeout(WAIT_S):
        while True:
            with contextlib.suppress(ControlError, OSError):  # it is not up yet
                await running.control.request("health")
                break
            await asyncio.sleep(0.1)
    async with talk(running, "main", "killed") as chat:
        await chat.until("message", "noted: still there?", BUILD_S)
