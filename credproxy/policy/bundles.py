"""Ready-made grants by name: one file each in `bundles/`, in the words of a grants.yaml. Read when first asked for.

A line for several hosts of a domain may say so: `- {domain: example.org, hosts: [www, api], …}` stands for one grant
each. A fork adds its own bundles (`own_files.py`).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from credproxy.vault.secret import is_secret_name

FOLDER = Path(__file__).parent / "bundles"
_OF_DOMAIN = re.compile(r"^- \{domain: ([a-z0-9.-]+), hosts: \[([a-z0-9., -]+)\]", re.MULTILINE)
_OWN: dict[str, str] = {}
"""The fork's, by name: these count over ours."""


def bundle_names() -> tuple[str, ...]:
    return tuple(sorted({*_our_names(), *_OWN}))


def read_bundle(name: str) -> str | None:
    """Return a bundle's text; None if there is none of that name."""
    own = _OWN.get(name)
    text = own if own is not None else _read_ours(name)
    return None if text is None else "\n".join(map(_name_hosts, text.split("\n")))


def _name_hosts(line: str) -> str:
    """Return a line that names hosts of a domain as one line for each host."""
    found = _OF_DOMAIN.match(line)
    if found is None:
        return line
    rest = line[found.end() :]
    return "\n".join(f"- {{host: {host.strip()}.{found[1]}{rest}" for host in found[2].split(","))


def use_own_bundles(folder: Path) -> tuple[str, ...]:
    """Take up the bundles of a fork, again after a change; return what is wrong with their files."""
    found, problems = {}, []
    for path in sorted(folder.glob("*.yaml")):
        if not is_secret_name(path.stem):
            problems.append(f"{folder.name}/{path.name}: a bundle's name has a-z, 0-9 and inner hyphens")
            continue
        try:
            found[path.stem] = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{folder.name}/{path.name} cannot be read: {error}")
    _OWN.clear()
    _OWN.update(found)
    return tuple(problems)


@functools.cache
def _our_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@functools.cache
def _read_ours(name: str) -> str | None:
    return (FOLDER / f"{name}.yaml").read_text("utf-8") if name in _our_names() else None


def bundle_title(name: str) -> str:
    """Return what a bundle is for: its first line."""
    text = read_bundle(name) or ""
    return text.partition("\n")[0].removeprefix("#").strip()
