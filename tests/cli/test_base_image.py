"""The base image: found, pulled or made, with a scripted engine and stub programs for apt and the bootstraps."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from cli.base_image import PACKAGES, USUAL, find_base, make_base, pull_base, read_recipe
from cli.up_progress import SetupFailed, no_progress
from tests.cli.scripted_engine import ScriptedEngine
from tests.cli.stub_system import SUDO, StubSystem

TARGETS = (
    "Debian|http://mirror.test/debian|bookworm|main\n"
    "Debian|http://mirror.test/security|bookworm-security|main\n"
    "Docker|https://other.test/apt|bookworm|stable\n"
    "Debian|cdrom:[x]|bookworm|main\n"
)
NOBODY = 65534


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubSystem]:
    """A Debian with apt, whose mirror is named and nobody's."""
    stubs = StubSystem()
    monkeypatch.setenv("PATH", str(stubs.programs))
    (stubs.folder / "targets").write_text(TARGETS)
    apt_targets(stubs)
    stubs.program("apt-config", "echo 'Acquire::Check-Date \"false\";'")
    yield stubs
    stubs.remove()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ScriptedEngine]:
    scripted = ScriptedEngine(tmp_path / "e.sock")
    yield scripted
    scripted.close()


@pytest.fixture
def client(engine: ScriptedEngine) -> Iterator[docker.DockerClient]:
    opened = docker.DockerClient(base_url=engine.address, version="1.41", timeout=10)
    yield opened
    opened.close()


def apt_targets(system: StubSystem, *, once_updated: bool = False) -> None:
    """An apt-get that knows its sources: at once, or when its lists have been read."""
    condition = f"[ -e {system.folder}/updated ]" if once_updated else "true"
    system.program(
        "apt-get",
        f'case "$*" in *indextargets*) {condition} && cat {system.folder}/targets;; '
        f"*update*) touch {system.folder}/updated;; esac; true",
    )


def makes_a_tree(system: StubSystem) -> None:
    """Both bootstraps, which make a tree of one file."""
    system.program("mmdebstrap", f"cd {system.folder}; echo 'I: extracting archives...' >&2; echo x >made; tar -c made")
    # debootstrap [options] SUITE TREE MIRROR
    system.program(
        "debootstrap", 'while [ "${1#-}" != "$1" ]; do shift; done; mkdir -p "$2/usr"; echo x >"$2/usr/made"'
    )


def names_in(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return opened.getnames()


def test_it_is_made_once_from_the_machines_own_sources(
    system: StubSystem, engine: ScriptedEngine, client: docker.DockerClient
) -> None:
    """mmdebstrap gets the upstream sources, what apt was told, and the agent's tools; the second time it is there."""
    makes_a_tree(system)
    machine = system.machine()
    reference = make_base(client, no_progress, machine)
    (called,) = system.calls("mmdebstrap")
    assert f"--include={','.join(PACKAGES)}" in called
    assert '--aptopt=Acquire::Check-Date "false"' in called
    assert " bookworm - " in called
    ((imported, archive),) = engine.imported
    assert (imported, names_in(archive)) == (reference, ["made"])
    assert find_base(client, machine) == reference
    assert make_base(client, no_progress, machine) == reference
    assert len(system.calls("mmdebstrap")) == 1


def test_the_list_that_mmdebstrap_gets_holds_upstream_sources_only(
    system: StubSystem, client: docker.DockerClient
) -> None:
    """A third party's packages and a disc are no part of a base."""
    system.program("mmdebstrap", f'for last; do :; done; cat "$last" >{system.folder}/list; cd /; tar -c dev/null')
    make_base(client, no_progress, system.machine())
    assert (system.folder / "list").read_text().splitlines() == [
        "deb http://mirror.test/debian bookworm main",
        "deb http://mirror.test/security bookworm-security main",
    ]


def test_an_engine_that_drops_the_tag_is_told_it_again(
    system: StubSystem, engine: ScriptedEngine, client: docker.DockerClient
) -> None:
    """As Podman does."""
    makes_a_tree(system)
    engine.imports_as_latest = True
    assert make_base(client, no_progress, system.machine()) in engine.images


@pytest.mark.parametrize("changed", ["sources", "apt options", "suite"])
def test_a_base_of_other_inputs_is_not_taken(
    changed: str, system: StubSystem, engine: ScriptedEngine, client: docker.DockerClient
) -> None:
    """The cache is keyed by everything that the base is made from."""
    makes_a_tree(system)
    machine = system.machine()
    first = make_base(client, no_progress, machine)
    if changed == "sources":
        (system.folder / "targets").write_text(TARGETS.replace("mirror.test/debian", "elsewhere.test/debian"))
    elif changed == "apt options":
        system.program("apt-config", "true")
    else:
        (system.folder / "os-release").write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    assert find_base(client, machine) is None
    assert make_base(client, no_progress, machine) != first


def test_debootstrap_does_it_where_mmdebstrap_is_missing(
    system: StubSystem, engine: ScriptedEngine, client: docker.DockerClient
) -> None:
    """From the main source, without what no agent reads, and its temporary tree is gone."""
    makes_a_tree(system)
    (system.programs / "mmdebstrap").unlink()
    make_base(client, no_progress, system.machine())
    (called,) = system.calls("debootstrap")
    assert "--components=main bookworm" in called
    assert called.endswith(" http://mirror.test/debian")
    tree = Path(called.split()[-2])
    assert tree.name == "root"
    assert not tree.exists()
    ((_, archive),) = engine.imported
    assert "./usr/made" in names_in(archive)


def test_a_bootstrap_is_installed_where_there_is_none(system: StubSystem, client: docker.DockerClient) -> None:
    """mmdebstrap, by apt, once."""
    system.program("mmdebstrap", "cd /; tar -c dev/null", installed_by="apt-get")
    make_base(client, no_progress, system.machine())
    assert any(call.endswith("install -y --no-install-recommends mmdebstrap") for call in system.calls("apt-get"))


def test_a_normal_user_makes_it_by_sudo(system: StubSystem, client: docker.DockerClient) -> None:
    """Where sudo may be used, the bootstrap runs as root, and never waits for a password."""
    makes_a_tree(system)
    system.program("sudo", SUDO)
    make_base(client, no_progress, system.machine(uid=NOBODY))
    assert any(call.startswith("sudo -n env ") and " mmdebstrap " in call for call in system.calls("sudo"))


def test_package_lists_are_read_where_apt_has_none(system: StubSystem, client: docker.DockerClient) -> None:
    """A fresh machine knows its sources only after an update; until then there is nothing to look a base up by."""
    makes_a_tree(system)
    apt_targets(system, once_updated=True)
    machine = system.machine()
    assert read_recipe(machine) is None
    assert find_base(client, machine) is None
    reference = make_base(client, no_progress, machine)
    assert "apt-get -q -o DPkg::Lock::Timeout=300 update" in system.calls("apt-get")
    assert find_base(client, machine) == reference


def test_a_bootstrap_that_fails_leaves_no_image(
    system: StubSystem, engine: ScriptedEngine, client: docker.DockerClient
) -> None:
    """Its last words are the reason; nothing was imported."""
    system.program("mmdebstrap", "echo 'E: no route to the mirror' >&2; exit 1")
    with pytest.raises(SetupFailed, match="could not be made") as failed:
        make_base(client, no_progress, system.machine())
    assert "no route to the mirror" in failed.value.why
    assert engine.imported == []


def test_without_apt_the_way_out_is_named(system: StubSystem, client: docker.DockerClient) -> None:
    """No registry and no apt: the one command that helps once there is a network."""
    (system.programs / "apt-get").unlink()
    assert find_base(client, system.machine()) is None
    with pytest.raises(SetupFailed) as failed:
        make_base(client, no_progress, system.machine())
    assert failed.value.mend == f"docker pull {USUAL}"


def test_the_usual_base_that_is_there_is_taken(
    system: StubSystem, engine: ScriptedEngine, client: docker.DockerClient
) -> None:
    """It needs no making."""
    engine.images.add(USUAL)
    assert find_base(client, system.machine()) == USUAL


def test_a_registry_that_is_silent_is_given_up_soon(engine: ScriptedEngine, client: docker.DockerClient) -> None:
    """A network that swallows packets costs seconds, not minutes; the client keeps its own patience afterwards."""
    engine.silent = ("/distribution/",)
    began = time.monotonic()
    assert pull_base(client, no_progress, answers_s=1) is None
    assert time.monotonic() - began < 5
    assert client.api.timeout == 10
    assert not any("fromImage" in asked for asked in engine.asked)


def test_a_registry_that_cannot_be_reached_is_no_failure(engine: ScriptedEngine, client: docker.DockerClient) -> None:
    """The engine says so at once, and the base is then made instead."""
    assert pull_base(client, no_progress) is None


def test_a_registry_that_answers_is_pulled_from(engine: ScriptedEngine, client: docker.DockerClient) -> None:
    """What it says on the way is shown."""
    engine.registry_has = {"Descriptor": {"digest": "sha256:1"}, "Platforms": []}
    engine.pull_events = [{"status": "Downloading", "progress": "1MB/29MB"}, {"status": "Pull complete"}]
    seen: list[str] = []
    assert pull_base(client, seen.append) == USUAL
    assert any("1MB/29MB" in line for line in seen)


def test_a_pull_that_breaks_off_is_no_base(engine: ScriptedEngine, client: docker.DockerClient) -> None:
    """Half an image is none."""
    engine.registry_has = {"Descriptor": {"digest": "sha256:1"}, "Platforms": []}
    engine.pull_events = [{"status": "Downloading"}, {"error": "unexpected end"}]
    assert pull_base(client, no_progress) is None
