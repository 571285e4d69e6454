"""Makes an agent group of the example's folder. Blocks for as long as a few small files take."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from protocol.ids import GroupId, is_group_id
from runtime.refusal import OperationRefused

SHIPPED_EXAMPLE = Path(__file__).resolve().parents[2] / "groups" / "example"
"""What agents are made from in a fork without an example of its own."""


def make_group(fork: Path, name: str) -> GroupId:
    """Copy groups/example to groups/NAME, whole or not at all; OperationRefused."""
    if not is_group_id(name) or name == "example":
        text = f"{name[:40]!r} cannot be an agent's name: 1-32 of a-z, 0-9 and inner hyphens, and not example"
        raise OperationRefused("wrong_name", text)
    folder = fork / "groups"
    target, fresh = folder / name, folder / f".{name}.{os.getpid()}"
    if target.exists():
        raise OperationRefused("known_group", f"there is an agent {name!r} already", f"./nightyard group show {name}")
    try:
        own = folder / "example"
        shutil.copytree(own if own.is_dir() else SHIPPED_EXAMPLE, fresh)
        fresh.rename(target)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        text = f"the agent {name!r} could not be made: {error.strerror}"
        raise OperationRefused("group_not_made", text, f"./nightyard group new {name}") from error
    return GroupId(name)
