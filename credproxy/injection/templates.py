"""Texts with named fields, `{timestamp}.{body}`, filled without any of str.format's power. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FIELD = re.compile(rb"\{([a-z0-9_]*)\}")


def fields_of(template: str) -> frozenset[str]:
    """Return the names in braces; a `{}` is the empty name."""
    return frozenset(name.decode("ascii") for name in _FIELD.findall(template.encode("ascii")))


def fill_fields(template: str, values: Mapping[str, bytes]) -> bytes:
    """Return the template with each field's value in its place; KeyError for a field without one."""
    return _FIELD.sub(lambda found: values[found[1].decode("ascii")], template.encode("ascii"))
