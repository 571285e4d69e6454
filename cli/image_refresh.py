"""Make the images anew from today's packages, for security updates, and take the old ones away.

Nothing that runs is touched: a name goes over to the new image when that is whole and starts, and an old one that
containers still stand on goes with a later refresh. Whatever fails, what was there stays in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from cli.base_image import has_image, make_base, pull_base, read_recipe
from cli.image import REPOSITORY, build_agent_image
from cli.image_build import build_derived
from cli.image_shelf import look_at_images, remove_image
from cli.machine import Machine
from cli.up_progress import Progress, SetupFailed, step
from runtime.images.recipe import ImageRecipe

KEPT_DAYS = 30
"""A derived image that no agent wants any more is kept for so long: taking a package out and in again costs nothing."""
MEND = "./nightyard image refresh"
CHECK = ["/usr/bin/python3", "-I", "-c", "import asyncio, ctypes, json, sqlite3, ssl"]
"""What an agent image that cannot do this is not fit for."""


def refresh_images(
    client: docker.DockerClient, root: Path, base: str, recipes: Mapping[str, ImageRecipe]
) -> tuple[list[str], list[str]]:
    """Make the agent image `base` and those of the groups anew; return what was made and what was removed. Raises
    SetupFailed when something was not; the rest is made all the same."""
    made, failed = [], []
    with step("the agent image, anew") as progress:
        _refresh_agent_image(client, root, base, progress)
    made.append(base)
    for recipe in dict.fromkeys(recipe for recipe in recipes.values() if not recipe.is_plain):
        try:
            with step(f"an image with {recipe.summary}, anew") as progress:
                made.append(build_derived(client, root, recipe, progress))
        except SetupFailed as failure:
            failed.append(failure)
    removed = remove_old(client, root, base, recipes)
    if failed:
        raise SetupFailed(
            f"{len(failed)} of {len(failed) + len(made)} images could not be made anew",
            "\n".join(f"{failure.what}: {failure.why}" for failure in failed),
            MEND,
        )
    return made, removed


def remove_old(client: docker.DockerClient, root: Path, base: str, recipes: Mapping[str, ImageRecipe]) -> list[str]:
    """Remove what newer images have replaced, and what no agent has wanted for long; return what went."""
    now, removed = datetime.now(UTC), []
    found = look_at_images(client, root, base, recipes)
    # The newest first: the engine keeps an image while another stands on it.
    for image in sorted(found, key=lambda one: one.made_at, reverse=True):
        is_old = image.is_replaced or (now - image.made_at).days >= KEPT_DAYS
        if image.is_unused and is_old and not remove_image(client, image):
            removed.append(image.reference)
    return removed


def _refresh_agent_image(client: docker.DockerClient, root: Path, reference: str, progress: Progress) -> None:
    fresh = f"{reference}-new"
    try:
        below = _refresh_base(client, progress)
        failed = build_agent_image(client, root, below, fresh, progress, is_anew=True)
        if failed:
            raise SetupFailed("the agent image could not be made anew", failed, MEND)
        client.containers.run(fresh, CHECK, network_mode="none", remove=True)
        client.images.get(fresh).tag(REPOSITORY, reference.partition(":")[2])
        client.images.remove(fresh)
    except (DockerException, requests.RequestException) as error:
        raise SetupFailed("the agent image could not be made anew", f"the engine: {error}", MEND) from error


def _refresh_base(client: docker.DockerClient, progress: Progress) -> str:
    """Return what the agent image stands on, as it is today."""
    recipe = read_recipe(Machine())
    if recipe is not None and has_image(client, recipe.reference):
        return make_base(client, progress, is_anew=True)
    return pull_base(client, progress) or make_base(client, progress, is_anew=True)
