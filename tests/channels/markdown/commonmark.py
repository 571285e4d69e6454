"""CommonMark's own examples, out of a parser's source distribution: fetched when asked for, never committed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

PINNED = (
    "markdown-it-py==4.3.0 --hash=sha256:91a58fa5b72c71a40cf7177250fd767480d7a2bb3ac426ccfb76fb90305fdaaa"
    " --hash=sha256:7aa1511a46c39138de78d9eba92ce47e63124d8003fc98b3a351909e04239efa"
)
_MEMBER = "tests/test_cmark_spec/commonmark.json"
_FETCH_S = 300


def commonmark_documents() -> list[tuple[str, str]]:
    """Return the examples with their names. The first call fetches them, and keeps them in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightyard-tests" / "commonmark"
    kept = cache / "commonmark-0.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(_fetch(cache))
    examples = json.loads(kept.read_bytes())
    return [(f"commonmark/{example['section']}/{example['example']}", example["markdown"]) for example in examples]


def _fetch(into: Path) -> bytes:
    wanted = into / "wanted.txt"
    wanted.write_text(f"{PINNED}\n", "ascii")
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", str(into)]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(wanted)]
    subprocess.run(command, check=True, timeout=_FETCH_S)
    (archive,) = into.glob("markdown_it_py-*.tar.gz")
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{_MEMBER}")
        assert member is not None
        return member.read()
