"""The image that the agent image stands on: the usual one if it is there or can be had, else our own from apt.

Our own is bootstrapped from the machine's own apt sources with the agent's tools in it, so that it needs no registry,
and the build on it no network. `image.py` is the half that builds on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import docker
import requests
from docker.errors import DockerException, NotFound

from cli.machine import Machine, find_program, read_os_release, search_path
from cli.up_command import apt_install, apt_update, root_prefix, run_step
from cli.up_progress import Progress, SetupFailed

USUAL = "debian:bookworm-slim"
REPOSITORY = "nightyard-base"
PACKAGES = ("python3", "python3-venv", "bash", "git", "curl", "ca-certificates", "ripgrep", "jq")
LABEL = f"LABEL org.opencontainers.image.title={REPOSITORY}"
"""By which one is known again that a newer one has taken the name of."""
LEFT_OUT = ("man", "doc", "locale", "info")
"""Folders of /usr/share that no agent reads: 40 MB."""
RECIPE = "1"
"""Counted up when the way the base is made changes without a change in the lists above."""
REGISTRY_ANSWERS_S = 5
PULL_SILENCE_S = 60
APT_OPTIONS = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date")
"""What the machine's apt was told about reaching its sources also holds for the bootstrap."""
TARGET = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
STAGES = ("apt-get update", "downloading", "extracting", "essential", "remaining", "cleaning", "tarball")
"""Words of mmdebstrap's lines, in order: they say how far it is."""
SPACE = os.environ.get("TMPDIR", "/var/tmp")
"""Half a gigabyte for a minute: not in /tmp, which is memory on Debian 13."""
UPSTREAM = ("Debian", "Ubuntu", "Raspbian")
"""Origins that make a system; third-party sources of the machine have no place in a base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that our own base is made from; another recipe is another image."""

    suite: str
    sources: tuple[str, ...]
    apt_options: tuple[str, ...]
    packages: tuple[str, ...] = PACKAGES

    @property
    def reference(self) -> str:
        inputs = (RECIPE, *self.packages, *LEFT_OUT, self.suite, *self.sources, *self.apt_options)
        digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()
        return f"{REPOSITORY}:{digest[:16]}"


def find_base(client: docker.DockerClient, machine: Machine | None = None) -> str | None:
    """Return a base that the engine already has: our own first, as the build on it needs no network.

    Our own counts only if it was made from what it would be made from today.
    """
    recipe = read_recipe(machine or Machine())
    if recipe and has_image(client, recipe.reference):
        return recipe.reference
    return USUAL if has_image(client, USUAL) else None


def pull_base(client: docker.DockerClient, progress: Progress, answers_s: int = REGISTRY_ANSWERS_S) -> str | None:
    """Return the usual base, fetched; None when no registry answers within seconds, or it lets us down later."""
    usual_timeout = client.api.timeout
    try:
        progress(f"asking the registry for {USUAL}")
        client.api.timeout = answers_s
        client.images.get_registry_data(USUAL)
        client.api.timeout = PULL_SILENCE_S
        for event in client.api.pull(USUAL, stream=True, decode=True):
            if event.get("error"):
                return None
            progress(f"{USUAL}: {event.get('status', '')} {event.get('progress', '')}")
    except (DockerException, requests.RequestException):
        return None
    finally:
        client.api.timeout = usual_timeout
    return USUAL if has_image(client, USUAL) else None


def make_base(
    client: docker.DockerClient,
    progress: Progress,
    machine: Machine | None = None,
    packages: Sequence[str] = PACKAGES,
    *,
    is_anew: bool = False,
) -> str:
    """Return our own base, made from the machine's apt sources unless it is there; raise SetupFailed.

    Other `packages` make another image, under a reference of its own. `is_anew`: it is made although it is there.
    """
    machine = machine or Machine()
    if find_program("apt-get") is None:
        why = "no registry answers, and this system has no apt to make one from"
        raise SetupFailed("no base image", why, f"docker pull {USUAL}")
    recipe = read_recipe(machine)
    if recipe is None:
        progress("reading the package lists")
        apt_update(machine)
        recipe = read_recipe(machine)
    if recipe is None:
        raise SetupFailed("no base image", "apt knows no Debian or Ubuntu source", f"docker pull {USUAL}")
    recipe = replace(recipe, packages=tuple(packages))
    if has_image(client, recipe.reference) and not is_anew:
        return recipe.reference
    maker = next((name for name in ("mmdebstrap", "debootstrap") if find_program(name)), None)
    if maker is None:
        progress("installing mmdebstrap")
        apt_install(machine, ["mmdebstrap"], progress)
        maker = "mmdebstrap"
    with tempfile.NamedTemporaryFile(prefix="nightyard-base-", suffix=".tar", dir=SPACE) as archive:
        if maker == "mmdebstrap":
            _run_mmdebstrap(machine, recipe, archive, progress)
        else:
            _run_debootstrap(machine, recipe, archive, progress)
        progress("importing it into the engine")
        _import(client, archive.name, recipe.reference)
    if not has_image(client, recipe.reference):
        raise SetupFailed("the base image could not be imported", "the engine did not take it", "./nightyard up")
    return recipe.reference


def _import(client: docker.DockerClient, archive: str, reference: str) -> None:
    repository, _, tag = reference.partition(":")
    said = client.api.import_image(src=archive, repository=repository, tag=tag, changes=[LABEL])
    if not has_image(client, reference):
        # Podman 4.3 names every import `latest`.
        client.api.tag(json.loads(said.strip().splitlines()[-1])["status"], repository, tag)


def has_image(client: docker.DockerClient, reference: str) -> bool:
    try:
        client.images.get(reference)
    except NotFound:
        return False
    return True


def read_recipe(machine: Machine) -> Recipe | None:
    """Return what our own base would be made from here; None without apt, or before its lists were read."""
    suite = read_os_release(machine).get("VERSION_CODENAME", "")
    if not suite or find_program("apt-get") is None:
        return None
    sources = _apt_sources(machine)
    return Recipe(suite=suite, sources=sources, apt_options=machine_apt_options()) if sources else None


def _apt_sources(machine: Machine) -> tuple[str, ...]:
    """Return the machine's own Debian or Ubuntu sources, a one-line entry each, as far as their lists were read."""
    shown = _output("apt-get", "indextargets", "--format", TARGET, "Identifier: Packages")
    system = read_os_release(machine).get("ID", "-")
    keyring = next(machine.keyrings.glob(f"{system}-archive-keyring.*"), None)
    option = f"[signed-by={keyring}] " if keyring else ""
    lines = []
    for origin, uri, release, component in (line.split("|") for line in shown.splitlines()):
        if origin in UPSTREAM and not uri.startswith(("cdrom:", "file:")):
            lines.append(f"deb {option}{uri} {release} {component}")
    return tuple(dict.fromkeys(lines))


def machine_apt_options() -> tuple[str, ...]:
    """Return what this machine's apt was told about reaching its sources; empty without apt."""
    if find_program("apt-config") is None:
        return ()
    lines = [line.rstrip(";") for line in _output("apt-config", "dump").splitlines()]
    return tuple(line for line in lines if line.split(" ")[0] in APT_OPTIONS and '""' not in line)


def _output(*command: str) -> str:
    environment = {**os.environ, "PATH": search_path()}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout


def _run_mmdebstrap(machine: Machine, recipe: Recipe, archive: IO[bytes], progress: Progress) -> None:
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    # Some packages' scripts want these two; the rest of what is left out is never missed.
    keep = [
        "--dpkgopt=path-include=/usr/share/locale/locale.alias",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    ]
    command = [
        *(root_prefix(machine) or []),  # without root it makes its own user namespace, where the system lets it
        "env",
        f"TMPDIR={SPACE}",
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(recipe.packages)}",
        *(f"--aptopt={option}" for option in recipe.apt_options),
        *excludes,
        *keep,
        "--format=tar",
        recipe.suite,
        "-",
    ]
    with tempfile.NamedTemporaryFile("w", prefix="nightyard-", suffix=".list") as listed:
        listed.write("\n".join(recipe.sources) + "\n")
        listed.flush()
        Path(listed.name).chmod(0o644)

        def tell(line: str) -> None:
            stage = next((number for number, word in enumerate(STAGES, 1) if word in line), 0)
            if stage:
                progress(f"{stage}/{len(STAGES)} {line.removeprefix('I: ')}")

        run_step(
            "the base image could not be made",
            [*command, listed.name],
            "check the network, then: ./nightyard up",
            progress=tell,
            output=archive,
        )


def _run_debootstrap(machine: Machine, recipe: Recipe, archive: IO[bytes], progress: Progress) -> None:
    root = root_prefix(machine)
    if root is None:
        raise SetupFailed("no base image", "debootstrap needs root, or sudo", "as root: apt-get install mmdebstrap")
    entries = [entry.removeprefix("deb ").rpartition("] ")[2].split() for entry in recipe.sources]
    # It takes one source; apt lists the main one first, also where that is called `stable` and not by the code name.
    main_uri, main_release, _ = next((entry for entry in entries if entry[1] == recipe.suite), entries[0])
    components = dict.fromkeys(part for uri, release, part in entries if (uri, release) == (main_uri, main_release))
    what, mend = "the base image could not be made", "check the network, then: ./nightyard up"
    with tempfile.TemporaryDirectory(prefix="nightyard-base-", dir=SPACE) as folder:
        tree = f"{folder}/root"
        make = [
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(recipe.packages)}",
            f"--components={','.join(components)}",
        ]
        left_out = [f"--exclude=./usr/share/{name}/*" for name in LEFT_OUT]
        left_out += ["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*", "--exclude=./dev/*"]
        try:
            run_step(what, [*root, *make, recipe.suite, tree, main_uri], mend, progress=progress)
            run_step(what, [*root, "tar", "-C", tree, *left_out, "-c", "."], mend, output=archive)
        finally:
            run_step("a temporary folder stays", [*root, "rm", "-rf", "--one-file-system", tree], f"rm -rf {tree}")
