"""The images on the engine's shelf: which there are, whose they are, and which may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError

from cli.base_image import REPOSITORY as BASE_REPOSITORY
from cli.image import REPOSITORY as AGENT_REPOSITORY
from cli.image_build import LABEL_RECIPE
from runtime.images.inputs import load_inputs
from runtime.images.recipe import REPOSITORY, ImageRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfImage:
    """One image of ours."""

    reference: str
    """Its id where a newer image has taken its name."""
    summary: str
    """What is in it beside the usual; empty for an agent image."""
    size_mb: int
    made_at: datetime
    groups: tuple[str, ...]
    """The agents that want it."""
    containers: int
    """How many containers stand on it, running or not."""
    is_current: bool
    """Whether it is the agent image of this checkout."""

    @property
    def is_replaced(self) -> bool:
        """Whether a newer one has taken its name."""
        return ":" not in self.reference

    @property
    def is_unused(self) -> bool:
        """Whether it may go unasked: agent images of other checkouts may not."""
        is_ours = self.is_replaced or self.reference.startswith(f"{REPOSITORY}:")
        return is_ours and not self.groups and not self.containers

    def row(self) -> list[str]:
        """Return it as a row of a table."""
        days = (datetime.now(UTC) - self.made_at).days
        use = ", ".join(self.groups) or ("current" if self.is_current else "unused" if self.is_unused else "")
        running = f"{self.containers} container{'' if self.containers == 1 else 's'}" if self.containers else ""
        age = f"{days} d old" if days else "new"
        return [self.reference, f"{self.size_mb} MB", age, use, running, self.summary or "agent image"]

    def as_json(self) -> dict[str, object]:
        return {
            "reference": self.reference,
            "summary": self.summary,
            "size_mb": self.size_mb,
            "made_at": self.made_at.isoformat(),
            "groups": list(self.groups),
            "containers": self.containers,
            "current": self.is_current,
            "unused": self.is_unused,
        }


def look_at_images(
    client: docker.DockerClient, root: Path, base: str, recipes: Mapping[str, ImageRecipe]
) -> list[ShelfImage]:
    """Return all images of ours, agent images first. `recipes`: what each group's image is made of."""
    inputs = load_inputs(root)
    wanted = {group: recipe.reference(inputs) for group, recipe in recipes.items()}
    users: dict[str, int] = {}
    for container in client.api.containers(all=True):
        users[container["ImageID"]] = users.get(container["ImageID"], 0) + 1
    found = []
    for image in client.api.images():
        labels = image.get("Labels") or {}
        for name in _names_of(image, labels):
            found.append(
                ShelfImage(
                    reference=name,
                    summary=labels.get(LABEL_RECIPE, ""),
                    size_mb=round(image["Size"] / 1e6),
                    made_at=datetime.fromtimestamp(image["Created"], UTC),
                    groups=tuple(group for group, reference in wanted.items() if reference == name),
                    containers=users.get(image["Id"], 0),
                    is_current=name == base,
                )
            )
    return sorted(found, key=lambda one: (bool(one.summary), one.reference))


def _names_of(image: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    """Return an image's names of ours; the id of one of ours whose name a newer one has taken."""
    names = [name for name in image.get("RepoTags") or () if name != "<none>:<none>"]
    if not names and labels.get("org.opencontainers.image.title") in (AGENT_REPOSITORY, BASE_REPOSITORY):
        return [str(image["Id"]).removeprefix("sha256:")[:12]]
    # Podman puts `localhost/` before what was named without a registry.
    names = [name.removeprefix("localhost/") for name in names]
    return [name for name in names if name.partition(":")[0] in (REPOSITORY, AGENT_REPOSITORY)]


def remove_image(client: docker.DockerClient, image: ShelfImage) -> str:
    """Remove an image; return why the engine did not, empty when it did."""
    try:
        client.images.remove(image.reference)
    except APIError as error:
        return str(error.explanation or error)
    return ""
