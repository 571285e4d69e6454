"""A credential: what one way of putting a secret into requests needs, opened. Pure.

Made late, for one request, and never stored; `vault.py` and `issuers/` make it, `injection/` uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from credproxy.vault.secret import Secret


class PartMissing(KeyError):
    """A credential lacks a part that its use needs: it is of another type."""

    def __init__(self, name: str, part: str) -> None:
        super().__init__(name, part)
        self.name = name
        self.part = part

    def __str__(self) -> str:
        return f"the secret {self.name} has no part {self.part}: it is of another type than its use needs"


@dataclass(frozen=True, slots=True)
class Credential:
    """One usable value of a secret."""

    name: str
    """The secret's name, as grants and audit know it."""
    label: str
    """Which of its values: `current`, `previous`, `reserve-1` …; said in the audit where it is not `current`."""
    parts: Mapping[str, Secret]
    """By name, as `types.py` lists them for each type; tokens that were issued: `value` is the access token."""

    @property
    def value(self) -> Secret:
        """The one part that most injections need; raises PartMissing."""
        found = self.parts.get("value")
        if found is None:
            raise PartMissing(self.name, "value")
        return found

    def part(self, part: str) -> Secret:
        """Raises PartMissing."""
        found = self.parts.get(part)
        if found is None:
            raise PartMissing(self.name, part)
        return found
