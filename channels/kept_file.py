"""A small file of JSON that a channel keeps for the next host: written whole, beside and then in place of the old one.

Both functions block: they are for a thread, and one file's writes must not overlap.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

MAX_BYTES = 16 << 20
"""What is longer was not written by us."""


def read_kept(path: Path) -> object:
    """Return what was kept. Raises OSError, of which FileNotFoundError is for nothing; ValueError for what is none of
    ours."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES >> 20} MiB")
    try:
        kept: object = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return kept


def write_kept(path: Path, kept: object, *, what: str, action: str) -> None:
    """Keep this. A disk that does not take it is said in the log, as `what`, and nothing else: it holds up no work."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(f"{path.suffix}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            file.write(json.dumps(kept))
        part.replace(path)
    except OSError as error:
        log.warning("%s was not noted: %s", what, error.strerror, extra={"action": action})
