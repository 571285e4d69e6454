"""Which links may stay in a space: those that cannot lead out of it, whoever follows them. Pure."""

from __future__ import annotations


def leads_out(path: str, target: str) -> bool:
    """Return whether a link at `path`, below the space, could lead out of it.

    It stays where `target` is relative, begins with no more `..` than the link is deep, and has none after a name: a
    name may be a link itself, from where `..` is another way up. Then no chain of such links leads out either.
    """
    if not target or target.startswith("/"):
        return True
    steps = [step for step in target.split("/") if step not in ("", ".")]
    ups = next((index for index, step in enumerate(steps) if step != ".."), len(steps))
    return ups > path.count("/") or ".." in steps[ups:]
