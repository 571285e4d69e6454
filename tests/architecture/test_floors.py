"""What a file may import beyond what import-linter can say: by marker, by standard library, by platform."""

from __future__ import annotations

import configparser
import subprocess
import sys

from cli.check import CODE_FOLDERS
from tests.architecture.source import FOLDERS, ROOT, sources, tracked_files

IMPURE = {"asyncio", "socket", "sqlite3", "subprocess", "time", "random"}
STANDARD_ONLY = {
    "protocol": {"protocol"},
    "client": {"protocol", "client"},
    "agents": {"protocol", "agents"},
}
PLATFORM_SDKS = {
    "telegram": "channels/telegram/client.py",
    "discord": "channels/discord/client.py",
    "slack_sdk": "channels/slack/client.py",
    "slack_bolt": "channels/slack/client.py",
}


def is_pure(docstring: str) -> bool:
    """A file says `Pure.` (or `Pure,` and the one exception) in its docstring's first paragraph."""
    first = docstring.partition("\n\n")[0]
    return any(word in ("Pure.", "Pure;") or word.startswith("Pure,") for word in first.replace("\n", " ").split())


def test_files_that_only_decide_import_nothing_that_acts() -> None:
    """A file marked pure has no clock, no chance, no disk database, no network, no process and no event loop."""
    pure = [source for source in sources(*FOLDERS) if is_pure(source.docstring)]
    assert len(pure) >= 10, "the marker is not found any more"
    wrong = [
        f"{source.path}:{line} imports {module}"
        for source in pure
        for module, line in source.imported()
        if module.split(".")[0] in IMPURE
    ]
    assert wrong == []


def test_what_runs_in_the_container_needs_only_the_standard_library() -> None:
    """Agents and protocol run on a bare Python; the clients start fast."""
    wrong = [
        f"{source.path}:{line} imports {module}"
        for folder, allowed in STANDARD_ONLY.items()
        for source in sources(folder)
        for module, line in source.imported()
        if module.split(".")[0] not in sys.stdlib_module_names | allowed
    ]
    assert wrong == []


def test_each_platform_sdk_has_one_file() -> None:
    """A platform's library is imported by its channel's client.py alone, and by the runs that put it to a twin."""
    wrong = [
        f"{source.path}:{line} imports {module}"
        for source in sources(*FOLDERS)
        if not str(source.path).startswith("twins/conformance/")
        for module, line in source.imported()
        if module.split(".")[0] in PLATFORM_SDKS and source.path != PLATFORM_SDKS[module.split(".")[0]]
    ]
    assert wrong == []


def test_no_folder_is_left_unchecked() -> None:
    """Every folder with Python in it is type-checked and stands under the import contracts."""
    with_python = {name.split("/")[0] for name in tracked_files() if name.endswith(".py") and "/" in name}
    assert with_python - {"skills"} <= set(CODE_FOLDERS)
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    assert set(contracts["importlinter"]["root_packages"].split()) == set(FOLDERS)


def test_no_import_is_relative() -> None:
    """Every import names its whole path, so that a reader and a tool see the floor."""
    import ast

    wrong = [
        f"{source.path}:{node.lineno}"
        for source in sources(*FOLDERS)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert wrong == []


def test_the_modules_with_borrowed_names_are_ours() -> None:
    """`agents` and `channels` are also names of published packages: the ones that load are this project's."""
    script = "import agents, channels; print(agents.__file__); print(channels.__file__)"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = [str(ROOT / "agents" / "__init__.py"), str(ROOT / "channels" / "__init__.py")]
    assert loaded.stdout.split() == expected


def test_no_task_is_started_outside_a_group() -> None:
    """A bare create_task loses its exception and may be collected in the middle: tasks belong to a TaskGroup."""
    wrong = [
        f"{source.path}:{number}"
        for source in sources(*(set(FOLDERS) - {"bench"}))
        for number, line in enumerate(source.text.splitlines(), 1)
        if "asyncio.create_task(" in line or "asyncio.ensure_future(" in line
    ]
    assert wrong == []
