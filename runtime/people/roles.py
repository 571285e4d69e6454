"""Which role has the rights of which. Pure."""

from __future__ import annotations

from runtime.store.records import ROLES, Role


def reaches(role: Role, least: Role) -> bool:
    """Return whether a role has the rights of another."""
    return ROLES.index(role) >= ROLES.index(least)
