"""What a group's containers are made from, out of its settings and the machine's. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.config import ContainerSettings
from runtime.container_command import ContainerKind, ContainerLimits, FolderMount, SpaceMount
from runtime.group import Group
from runtime.harnesses import LEAST_CPUS, LEAST_MEMORY_MB
from runtime.home import Home
from runtime.skills.catalogue import Skill

MB = 1 << 20
BROWSER_MEMORY_MB = 1536
BROWSER_PIDS = 512
BROWSER_TMP_MB = 256
"""What a container with a browser may use at least, whatever the machine's settings say of the others: Chromium takes
an eighth of it with one page (docs/browser.md), a process and twenty threads for each further window, and keeps in /tmp
what its processes share."""


def build_kind(
    group: Group, skills: Sequence[Skill], settings: ContainerSettings, image: str, home: Home
) -> ContainerKind:
    """Return the kind; equal settings give equal kinds, which is what lets a spare be taken."""
    least = (BROWSER_MEMORY_MB, BROWSER_PIDS, BROWSER_TMP_MB) if group.browser else (0, 0, 0)
    limits = ContainerLimits(
        memory_bytes=max(settings.memory_mb, least[0], LEAST_MEMORY_MB.get(group.harness, 0)) * MB,
        cpus=max(settings.cpus, LEAST_CPUS.get(group.harness, 0.0)),
        pids=max(settings.pids, least[1]),
        file_bytes=settings.file_mb * MB,
        tmp_bytes=max(settings.tmp_mb, least[2]) * MB,
        disk_bytes=settings.disk_mb * MB,
    )
    mounts = tuple(FolderMount(name=skill.card.name, path=str(skill.folder)) for skill in skills)
    return ContainerKind(
        group_id=group.group_id,
        image=image,
        limits=limits,
        skills=mounts,
        spaces=space_mounts(group, home),
        model=group.model,
        harness=group.harness,
    )


def space_mounts(group: Group, home: Home) -> tuple[SpaceMount, ...]:
    """Return the folders that the group shares, as its containers are shown them."""
    return tuple(
        SpaceMount(
            name=space.name,
            path=str(home.space(space.name)),
            may_write=space.access == "rw",
            quota_bytes=space.settings.quota_mb * MB,
            max_files=space.settings.max_files,
        )
        for space in group.spaces
    )
