"""The prices in force: the project's own table, and over it what the user's `prices.yaml` in the fork says."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from credproxy.audit.prices import Price, Prices, parse_prices

log = logging.getLogger(__name__)

OURS = Path(__file__).with_name("prices.yaml")
THEIRS = "prices.yaml"
"""In the fork."""


class PriceFile(Mapping[str, Price]):
    """Prices by model name. A model that the user's file does not name has our price."""

    def __init__(self, fork: Path, ours: Path = OURS) -> None:
        self.path = fork / THEIRS
        self._ours = ours
        self._prices: Prices = {}
        self.problem = ""
        """What is wrong with the user's file: then ours alone count."""
        self.load()

    def load(self) -> None:
        """Read both again."""
        ours, problem = _read(self._ours, self._ours.name)
        if problem:
            log.warning("prices are ignored: %s", problem, extra={"action": "prices_broken"})
        theirs, self.problem = _read(self.path, THEIRS) if self.path.exists() else ({}, "")
        self._prices = {**ours, **theirs}

    def __getitem__(self, name: str) -> Price:
        return self._prices[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._prices)

    def __len__(self) -> int:
        return len(self._prices)

    def __contains__(self, name: object) -> bool:
        return name in self._prices


def _read(path: Path, shown: str) -> tuple[Prices, str]:
    try:
        prices = parse_prices(path.read_text("utf-8"), shown)
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"{shown} cannot be read: {error}"
    if isinstance(prices, list):
        return {}, "; ".join(str(problem) for problem in prices[:5])
    return prices, ""
