"""Derived images on a real engine: fetched with nothing run, installed without a network, run hardened."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from cli.image_build import LABEL_BUILDING, build_derived
from cli.image_fetch import Inside, fetch
from cli.image_refresh import refresh_images
from cli.image_shelf import look_at_images, remove_image
from cli.up_progress import SetupFailed, no_progress
from runtime.images.inputs import load_inputs
from runtime.images.recipe import NATIVE, ImageRecipe
from runtime.images.settings import PackageSettings

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
PROGRAMS = {"claude-code": "claude", "codex": "codex", "opencode": "opencode"}
INSIDE = """
set -e
tree --version
python3 -c 'import tabulate'
! /usr/bin/python3 -I -c 'import tabulate' 2>/dev/null
node -e 'console.log(require("is-odd")(3), process.versions.node.split(".")[0])'
npm --version >/dev/null
find / -xdev -perm /6000 -type f 2>/dev/null || true
test -z "$(ls -A /run/fetched)"
"""


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    with contextlib.closing(docker.DockerClient.from_env(version="auto", timeout=300)) as client:
        yield client


def run_hardened(client: docker.DockerClient, image: str, *command: str, program: str = "sh") -> str:
    """Run a command as an agent's container would; return what it says."""
    seccomp = json.dumps(json.loads((ROOT / "agents/image/seccomp.json").read_bytes()))
    said: bytes = client.containers.run(
        image,
        [program, *command],
        user="10001:10001",
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges", f"seccomp={seccomp}"],
        tmpfs={"/tmp": "exec"},
        environment={"HOME": "/tmp"},
        mem_limit="1g",
        remove=True,
    )
    return said.decode()


def leftovers(client: docker.DockerClient, reference: str) -> int:
    mine: dict[str, str | list[str] | bool] = {"label": f"{LABEL_BUILDING}={reference}"}
    return len(client.containers.list(all=True, filters=mine)) + len(client.volumes.list(filters=mine))


def test_packages_of_all_managers_are_there(engine: docker.DockerClient, agent_image: str) -> None:
    """The shell's Python has them and the agent's own has not; nothing fetched is left, and no set-id program."""
    packages = PackageSettings(apt=("tree",), pip=("tabulate",), npm=("is-odd",))
    wanted = ImageRecipe(base=agent_image, packages=packages)
    reference = build_derived(engine, ROOT, wanted, no_progress)
    said = run_hardened(engine, reference, "-ec", INSIDE).splitlines()
    assert said[0].startswith("tree v") and said[1:] == ["true 24"]
    found = engine.images.get(reference)
    assert found.attrs["Config"]["Cmd"] == engine.images.get(agent_image).attrs["Config"]["Cmd"]
    shelf = look_at_images(engine, ROOT, agent_image, {"main": wanted})
    mine = next(one for one in shelf if one.reference == reference)
    assert mine.groups == ("main",) and not mine.is_unused and mine.summary == wanted.summary
    unwanted = next(one for one in look_at_images(engine, ROOT, agent_image, {}) if one.reference == reference)
    assert unwanted.is_unused and remove_image(engine, unwanted) == ""


def test_a_package_that_nobody_knows_leaves_nothing_behind(engine: docker.DockerClient, agent_image: str) -> None:
    """Its manager's own words are the reason; no image, no container, no volume."""
    wanted = ImageRecipe(base=agent_image, packages=PackageSettings(apt=("nightyard-has-no-such",)))
    with pytest.raises(SetupFailed) as failed:
        build_derived(engine, ROOT, wanted, no_progress)
    assert "nightyard-has-no-such" in failed.value.why and "correct `packages`" in failed.value.mend
    reference = wanted.reference(load_inputs(ROOT))
    assert leftovers(engine, reference) == 0
    with pytest.raises(docker.errors.ImageNotFound):
        engine.images.get(reference)


def test_what_comes_with_another_hash_is_not_used(tmp_path: Path) -> None:
    """Node's wheel is refused by pip itself, before anything of it is unpacked."""
    pins = json.loads((ROOT / "agents/image/derived/pins.json").read_bytes())
    pins["node"]["sha256"] = dict.fromkeys(pins["node"]["sha256"], "0" * 64)
    folder = tmp_path / "fetched"
    folder.mkdir()
    wanted = ImageRecipe(base="x", packages=PackageSettings(npm=("is-odd",)))
    inside = Inside(architecture="amd64", python=(3, 11), glibc=(2, 36))
    with pytest.raises(SetupFailed) as failed:
        fetch(wanted, pins, inside, folder, no_progress)
    assert "hash" in failed.value.why.lower()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
@pytest.mark.parametrize("python", [(3, 11), (3, 13)])
def test_wheels_are_those_of_the_machine_inside(tmp_path: Path, architecture: str, python: tuple[int, int]) -> None:
    """Whatever this machine and its own Python are; markers are read for the Python inside."""
    folder = tmp_path / "fetched"
    folder.mkdir()
    inside = Inside(architecture=architecture, python=python, glibc=(2, 36))
    fetch(ImageRecipe(base="x", packages=PackageSettings(pip=("markupsafe",))), {}, inside, folder, no_progress)
    (wheel,) = (path.name for path in (folder / "wheels").iterdir())
    assert f"cp{python[0]}{python[1]}" in wheel
    assert {"amd64": "x86_64", "arm64": "aarch64"}[architecture] in wheel


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("harness", sorted(PROGRAMS))
def test_a_harness_runs_hardened(engine: docker.DockerClient, agent_image: str, harness: str) -> None:
    """At its place, in its pinned version, without Node, network and a writable root."""
    wanted = ImageRecipe(base=agent_image, harness=harness)
    pins = load_inputs(ROOT).pins["harnesses"]
    assert isinstance(pins, dict)
    reference = build_derived(engine, ROOT, wanted, no_progress)
    said = run_hardened(engine, reference, "--version", program=f"/usr/local/bin/{PROGRAMS[harness]}")
    assert pins[harness]["version"] in said


@pytest.mark.long
@pytest.mark.timeout(600)
def test_all_are_made_anew(engine: docker.DockerClient, agent_image: str) -> None:
    """Other images under the same names; what stood under them before is gone unless a container has it."""
    wanted = ImageRecipe(base=agent_image, packages=PackageSettings(pip=("tabulate",)))
    reference = build_derived(engine, ROOT, wanted, no_progress)
    before = [engine.images.get(name).id for name in (agent_image, reference)]
    plain = replace(wanted, harness=NATIVE, packages=PackageSettings())
    made, _ = refresh_images(engine, ROOT, agent_image, {"main": wanted, "other": plain})
    assert made == [agent_image, reference]
    assert not set(before) & {engine.images.get(name).id for name in made}
    assert run_hardened(engine, reference, "-c", "python3 -c 'import tabulate' && echo there") == "there\n"
