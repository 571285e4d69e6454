"""Begins a twin of another service: a folder that runs and a test that passes, from `twins/template/`.

With the service's OpenAPI description every call of it is known from the first day, by name: what is not written yet is
answered with 501 and says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.problem import NOT_UNDERSTOOD, CliProblem

MAX_DESCRIPTION_BYTES = 64 << 20
METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
TAKEN = ("template", "phone", "conformance")
_NAME = re.compile(r"[a-z][a-z0-9]{1,30}")
_WIDTH = 120
Operation = tuple[str, str, str]


def write_twin(root: Path, name: str, description: Path | None) -> list[str]:
    """Make `twins/NAME/` and its test; return the files, as paths from the root. Raise CliProblem."""
    if not _NAME.fullmatch(name) or name in TAKEN:
        text = f"{name[:40]!r} cannot be a twin's name: 2-31 of a-z and 0-9, beginning with a letter"
        raise CliProblem(text, "./nightyard twin new --help", NOT_UNDERSTOOD)
    folder, test = root / "twins" / name, root / "tests" / "twins" / f"test_{name}.py"
    for path in (folder, test):
        if path.exists():
            raise CliProblem(f"{path.relative_to(root)} is there already", "choose another name")
    operations = tuple(_operations(_load(description))) if description is not None else ()
    words = {
        "name": name,
        "Name": name.capitalize(),
        "source": f"From {description.name}." if description is not None else "None yet: write down what it offers.",
        "operations": "".join(map(_line, operations)),
    }
    templates = sorted((root / "twins" / "template").glob("*.txt"))
    folder.mkdir()
    written = []
    for template in templates:
        target = test if template.name == "test.py.txt" else folder / template.name.removesuffix(".txt")
        target.write_text(_fill(template.read_text("utf-8"), words), "utf-8")
        written.append(str(target.relative_to(root)))
    return written


def _fill(text: str, words: Mapping[str, str]) -> str:
    filled = re.sub(r"@(\w+)@", lambda found: words[found[1]], text)
    return filled.replace("] = (\n)\n", "] = ()\n")


def _line(operation: Operation) -> str:
    method, path, name = map(json.dumps, operation)
    line = f"    ({method}, {path}, {name}),\n"
    return line if len(line) <= _WIDTH else f"    (\n        {method},\n        {path},\n        {name},\n    ),\n"


def _load(path: Path) -> Mapping[str, object]:
    try:
        if path.stat().st_size > MAX_DESCRIPTION_BYTES:
            raise ValueError(f"it is larger than {MAX_DESCRIPTION_BYTES >> 20} MiB")
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CliProblem(f"{path} cannot be read as an OpenAPI description in JSON: {error}") from error
    paths = value.get("paths") if isinstance(value, dict) else None
    if not isinstance(paths, dict):
        raise CliProblem(f"{path} is no OpenAPI description: it has no `paths`")
    return paths


def _operations(paths: Mapping[str, object]) -> Iterator[Operation]:
    for path, item in paths.items():
        for method in METHODS:
            operation = item.get(method) if isinstance(item, dict) else None
            if isinstance(operation, dict):
                name = operation.get("operationId")
                yield method.upper(), _plain(path), name if isinstance(name, str) and name else f"{method} {path}"


def _plain(path: str) -> str:
    """Return a path whose arguments have names that a call can be given."""
    return re.sub(r"\{([^}]*)\}", lambda found: "{" + re.sub(r"\W", "_", found[1]) + "}", path)
