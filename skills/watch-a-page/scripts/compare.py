"""Compares what a page says now with what it said last.

    compare.py FOLDER           tells what came and went, and keeps now.txt as last.txt
    compare.py --peek FOLDER    only tells: first, same or changed; exit code 0, 78 or 0

FOLDER/now.txt has one fact a line; white space and the order of lines do not count.
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

SAME_EXIT_CODE = 78
"""What a schedule's pre-check ends with when there is nothing to do."""


def main(arguments: list[str]) -> int:
    is_peek = arguments[:1] == ["--peek"]
    if len(arguments) != 1 + is_peek:
        sys.exit(__doc__)
    folder = Path(arguments[-1])
    now = facts(folder / "now.txt")
    if not now:
        sys.exit(f"{folder / 'now.txt'} is empty or missing: fetch the page first; nothing was kept")
    last = facts(folder / "last.txt")
    word = "first" if not last else "same" if now == last else "changed"
    if is_peek:
        print(word)
        return SAME_EXIT_CODE if word == "same" else 0
    print(word if word != "changed" else "\n".join(changes(last, now)))
    if word != "same":
        (folder / "now.txt").replace(folder / "last.txt")
        with (folder / "history.txt").open("a", encoding="utf-8") as history:
            lines = "".join(f"  {line}\n" for line in sorted(now.elements()))
            history.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n{lines}")
    return 0


def facts(path: Path) -> Counter[str]:
    """Return the lines of a file, each with how often it stands there."""
    if not path.exists():
        return Counter()
    lines = (" ".join(line.split()) for line in path.read_text("utf-8", "replace").splitlines())
    return Counter(line for line in lines if line)


def changes(last: Counter[str], now: Counter[str]) -> list[str]:
    gone = [f"- {line}" for line in (last - now).elements()]
    return [*gone, *(f"+ {line}" for line in (now - last).elements())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
