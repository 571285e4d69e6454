"""The agent's code as containers see it: a versioned, compiled copy of `agents/` and `protocol/` at /opt/agent.

A copy, so that a change to the code never changes under a running agent and needs no image build. Its name is the
hash of what is in it and of the image whose Python compiled it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import shutil
import time
from pathlib import Path

from runtime.container_command import ContainerUser, EngineTraits, build_compile_request
from runtime.container_engine import ContainerEngine
from runtime.door import give_to
from runtime.engine_errors import EngineRefused

log = logging.getLogger(__name__)

PACKAGES = ("agents", "protocol")
MAIN = """\
import sys

if sys.argv[1:] == ["mcp"]:
    from agents.mcp.relay import main
elif sys.argv[1:] == ["opencode"]:
    from agents.harness.opencode_bridge import main
else:
    from agents.main import main

main()
"""
COMPILE_TIMEOUT_S = 60
COMPILE_TRIES = 3
KILLED = (None, 137)
"""A compiler that somebody killed, or that went with its engine, has said nothing about the code."""
YOUNG_S = 600.0


def read_sources(repository: Path) -> dict[str, bytes]:
    """Return the files of a bundle by their path in it."""
    sources = {"__main__.py": MAIN.encode()}
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            relative = path.relative_to(repository)
            if relative.parts[:2] != ("agents", "image"):
                sources[str(relative)] = path.read_bytes()
    return sources


def bundle_name(sources: dict[str, bytes], image: str) -> str:
    """Return the hash that names a bundle."""
    digest = hashlib.sha256(image.encode())
    for name, content in sorted(sources.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


async def ensure_bundle(
    repository: Path,
    bundles: Path,
    image: str,
    engine: ContainerEngine,
    traits: EngineTraits,
    user: ContainerUser,
    home_id: str,
) -> Path:
    """Return the bundle of this repository's agent for this image, made now if it is not there. Raises EngineError."""
    sources = await asyncio.to_thread(read_sources, repository)
    folder = bundles / bundle_name(sources, image)
    if (folder / "__main__.py").is_file():
        return folder
    fresh = bundles / f".new-{secrets.token_hex(4)}"
    try:
        await asyncio.to_thread(_write_sources, fresh, sources, user)
        for tries_left in reversed(range(COMPILE_TRIES)):
            exit_code = await _compile(fresh, image, engine, traits, user, home_id)
            if exit_code == 0:
                break
            if tries_left == 0 or exit_code not in KILLED:
                code = "gone" if exit_code is None else f"exit code {exit_code}"
                raise EngineRefused("compile the agent's code", f"the container ended with {code}")
        await asyncio.to_thread(_settle, fresh, folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)
    log.info("agent code copied and compiled", extra={"action": "bundle_made", "bundle": folder.name})
    return folder


def prune_bundles(bundles: Path, in_use: frozenset[str]) -> None:
    """Remove the bundles that no container uses; one that is being made is young. Blocks."""
    for folder in bundles.iterdir() if bundles.is_dir() else ():
        if folder.name not in in_use and time.time() - folder.stat().st_mtime > YOUNG_S:
            shutil.rmtree(folder, ignore_errors=True)


def _write_sources(folder: Path, sources: dict[str, bytes], user: ContainerUser) -> None:
    for name, content in sources.items():
        path = folder / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    # The compiler runs as the container's user and writes beside the sources.
    for inner in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        inner.chmod(0o755)
        give_to(inner, user)


async def _compile(
    folder: Path, image: str, engine: ContainerEngine, traits: EngineTraits, user: ContainerUser, home_id: str
) -> int | None:
    """Return the compiler's exit code, None if its container is gone. Raises EngineError."""
    request = build_compile_request(image, home_id, str(folder), user, traits)
    name = f"nightyard-{home_id}-compile-{folder.name.removeprefix('.new-')}-{secrets.token_hex(2)}"
    container, _ = await engine.start(request, name)
    try:
        if not await engine.wait_for_end(container, COMPILE_TIMEOUT_S):
            raise EngineRefused("compile the agent's code", f"not done after {COMPILE_TIMEOUT_S} s")
        state = await engine.inspect(container)
        return None if state is None else state.exit_code
    finally:
        await engine.remove(container)


def _settle(fresh: Path, folder: Path) -> None:
    """Give the copy back to the host and put it in its place at once."""
    if os.geteuid() == 0:
        for path in (fresh, *fresh.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)
    try:
        fresh.rename(folder)
    except OSError:
        # Another host process was quicker, or a broken copy is in the way.
        if not (folder / "__main__.py").is_file():
            shutil.rmtree(folder)
            fresh.rename(folder)
