"""A skill's folder as one hash, so that a result says by which words it was made."""

from __future__ import annotations

import hashlib
from pathlib import Path

MAX_FILES = 2_000
MAX_BYTES = 64 << 20


def hash_skill(fork: Path, name: str) -> str:
    """Return SHA-256 in hex over the names and contents of a skill's files, in order; empty if there is none, or too
    much of it. Blocking."""
    folder = fork / "skills" / name
    digest, seen_bytes = hashlib.sha256(), 0
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if not files or len(files) > MAX_FILES:
        return ""
    for path in files:
        shown = path.relative_to(folder).as_posix().encode()
        content = path.read_bytes()
        seen_bytes += len(content)
        if seen_bytes > MAX_BYTES:
            return ""
        digest.update(len(shown).to_bytes(4, "big") + shown + len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
