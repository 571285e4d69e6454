"""Make sure that the agent image exists; the base that it stands on is `base_image.py`'s business.

The reference is `nightyard-agent:<hash>` of everything the image is made from, so a changed Dockerfile is a new image
and an unchanged one costs one look-up. The classic builder is used: it is in every Docker and in Podman's socket.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from cli.base_image import PACKAGES, RECIPE, USUAL, find_base, has_image, make_base, pull_base
from cli.engine import engine_address
from cli.up_progress import Progress, SetupFailed, no_progress

IMAGE_FOLDER = Path("agents/image")
NOT_INSIDE = frozenset({"seccomp.json", "derived"})
"""Given to the engine with each container, and what derived images are made with: a change needs no new agent image."""
REPOSITORY = "nightyard-agent"
BUILD_TIMEOUT_S = 900
"""A build step that says nothing for so long (apt on a slow line) has failed."""


def image_reference(root: Path) -> str:
    """Return the reference that this checkout's agent image has, built or not."""
    digest = hashlib.sha256(f"{RECIPE} {PACKAGES}\0".encode())
    for path in sorted((root / IMAGE_FOLDER).rglob("*")):
        inside = path.relative_to(root / IMAGE_FOLDER).parts
        if path.is_file() and "__pycache__" not in inside and inside[0] not in NOT_INSIDE:
            digest.update(f"{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
            digest.update(b"\0")
    return f"{REPOSITORY}:{digest.hexdigest()[:16]}"


def ensure_image(root: Path, *, engine: str = "", progress: Progress = no_progress) -> str:
    """Return the reference of the agent image, building it (and its base) first when the engine does not have it.

    `engine` is the engine's address, empty for the first that answers. Blocking: a fifth of a second when it is built,
    up to minutes when not. Raises SetupFailed.
    """
    reference = image_reference(root)
    address = engine or engine_address()
    try:
        client = docker.DockerClient(base_url=address, version="auto", timeout=BUILD_TIMEOUT_S)
        try:
            if not has_image(client, reference):
                _make(client, root, reference, progress)
        finally:
            client.close()
    except (DockerException, requests.RequestException) as error:
        raise SetupFailed(
            f"the agent image {reference} could not be made",
            f"the engine at {address}: {error}",
            "./nightyard up",
        ) from error
    return reference


def _make(client: docker.DockerClient, root: Path, reference: str, progress: Progress) -> None:
    base = find_base(client) or pull_base(client, progress) or make_base(client, progress)
    failed = build_agent_image(client, root, base, reference, progress)
    if failed and base == USUAL:
        # It needs apt inside the build, which a network may forbid: then on our own, which needs nothing.
        failed = build_agent_image(client, root, make_base(client, progress), reference, progress)
    if failed:
        raise SetupFailed(f"the agent image {reference} could not be built", failed, "./nightyard up")


def build_agent_image(
    client: docker.DockerClient, root: Path, base: str, reference: str, progress: Progress, *, is_anew: bool = False
) -> str:
    """Build on a base; return why it failed, empty when it did not. `is_anew`: nothing that the engine kept is used."""
    said = ""
    arguments = {"BASE_IMAGE": base, "PACKAGES": " ".join(PACKAGES)}
    for event in client.api.build(
        path=str(root / IMAGE_FOLDER),
        tag=reference,
        buildargs=arguments,
        nocache=is_anew,
        rm=True,
        forcerm=True,
        decode=True,
    ):
        if event.get("error"):
            return f"{said}\n{event['error']}".strip()
        line = str(event.get("stream", "")).strip()
        if line:
            said = line[-300:]
            progress(line.splitlines()[0][:100])
    return "" if has_image(client, reference) else said
