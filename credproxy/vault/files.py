"""Files that hold keys: written whole, and refused if others could read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from credproxy.vault.errors import LooseKeyFile


def refuse_loose(path: Path) -> None:
    """Raise LooseKeyFile if anyone but its owner may read or write a file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise LooseKeyFile(path, mode)


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is never half there, and never readable by more than its mode says."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, content)
        os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk know which names a folder holds: a key that was renamed must not be lost with the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
