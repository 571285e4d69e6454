"""What the host remembers of images over restarts: what failed, what was approved, how often they are refreshed.

A file of the home. Blocks for a moment: it is small, and written when a build ends.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from runtime.images.builds import USUAL_REFRESH_DAYS, Failure

REFRESH = "refresh"
"""Under this name stands the last refresh that failed; all other names are references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Packages that an agent asked for and an owner said yes to, until the agent is told what came of it."""

    group: str
    manager: str
    packages: tuple[str, ...]
    task: str
    call: str
    by: str


@dataclass(slots=True, kw_only=True)
class ImageBook:
    """Read once, written whole."""

    path: Path
    failures: dict[str, Failure] = field(default_factory=dict)
    wishes: list[Wish] = field(default_factory=list)
    refresh_days: int = USUAL_REFRESH_DAYS

    def save(self) -> None:
        """Write it down."""
        failures = {name: _to_json(failure) for name, failure in self.failures.items()}
        part = self.path.with_suffix(".part")
        wishes = [asdict(wish) for wish in self.wishes]
        text = json.dumps({"refresh_days": self.refresh_days, "failures": failures, "wishes": wishes})
        part.write_text(text, "utf-8")
        part.replace(self.path)


def open_book(path: Path) -> ImageBook:
    """Return what is remembered; nothing from a file that is not there or cannot be read."""
    book = ImageBook(path=path)
    try:
        found = json.loads(path.read_text("utf-8"))
        book.refresh_days = int(found["refresh_days"])
        book.wishes = [Wish(**{**each, "packages": tuple(each["packages"])}) for each in found["wishes"]]
        book.failures = {str(name): _from_json(each) for name, each in found["failures"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ImageBook(path=path)
    return book


def _to_json(failure: Failure) -> dict[str, object]:
    return {"count": failure.count, "at": failure.at.isoformat(), "why": failure.why, "mend": failure.mend}


def _from_json(found: Any) -> Failure:
    at = datetime.fromisoformat(found["at"])
    return Failure(count=int(found["count"]), at=at, why=str(found["why"]), mend=str(found["mend"]))
