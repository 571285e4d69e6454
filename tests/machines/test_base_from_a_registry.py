"""The README's command where a registry answers: the base is pulled from it, and everything else stands on that."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from cli.base_image import REPOSITORY as OWN_BASE
from cli.base_image import USUAL
from cli.image import image_reference
from tests.chaos.engine import PrivateEngine, private_engine
from tests.doors.installation import ROOT, Installation, clone_into, short_folder
from tests.machines.registry import HOST, find_registry, registry

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="an engine of the test's own needs root"),
]


@pytest.fixture
def installation() -> Iterator[Installation]:
    made = Installation(short_folder())
    clone_into(made.clone)
    yield made
    made.remove()


@pytest.fixture
def engine(agent_image: str) -> Iterator[PrivateEngine]:
    with private_engine(agent_image, keeps_containers=False, mirror=f"http://{HOST}") as started:
        yield started


def publish(client: docker.DockerClient, image: str) -> None:
    """Push an image as the usual base, and leave the engine without any."""
    repository, _, tag = USUAL.partition(":")
    pushed = f"{HOST}/library/{repository}"
    client.api.tag(image, pushed, tag)
    said = list(client.api.push(pushed, tag, stream=True, decode=True))
    assert not any("error" in each for each in said), said
    for reference in (f"{pushed}:{tag}", image):
        client.images.remove(reference)
    assert client.images.list() == []


def layers(client: docker.DockerClient, reference: str) -> list[str]:
    return list(client.images.get(reference).attrs["RootFS"]["Layers"])


def test_the_base_is_pulled_where_a_registry_answers(
    tmp_path: Path, agent_image: str, engine: PrivateEngine, installation: Installation
) -> None:
    """`up` pulls `debian:bookworm-slim`, makes no base of its own, builds on what it pulled, and an agent works in it.
    The registry's has the agent's tools in it, so that the build asks no package source."""
    program = find_registry(tmp_path)
    if program is None:
        pytest.skip("neither this machine nor its apt sources have docker-registry")
    client = docker.DockerClient(base_url=engine.address, version="auto", timeout=300)
    with contextlib.closing(client), registry(program, tmp_path, engine.pid) as log:
        publish(client, agent_image)

        first = installation.type("up", stdin="make a file\n", environment={"DOCKER_HOST": engine.address})
        assert first.code == 0, first.text
        assert "Hello from inside the container" in first.out

        (digest,) = client.images.get(USUAL).attrs["RepoDigests"]
        assert digest.split("@")[1] in log.read_text("utf-8", "replace")
        assert client.images.list(OWN_BASE) == []
        pulled = layers(client, USUAL)
        assert layers(client, image_reference(ROOT))[: len(pulled)] == pulled
        installation.type("down", "--now")
