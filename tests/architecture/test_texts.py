"""What the files say: docstrings where they are due, nothing of the machine a file was written on."""

from __future__ import annotations

import ast
import re

from tests.architecture.source import FOLDERS, ROOT, sources, tracked_files

MACHINE_WORDS = re.compile(
    "|".join(
        (
            "/ro" + "ot/",
            "/wo" + "rk/",
            "/ho" + "me/(?!(agent|ny|user|x)/)[a-z]+/",
            "/Us" + "ers/[a-z]+/",
            r"(?:pypi|pythonhosted|npmjs|debian|ubuntu)\.(?:org|com)",
        )
    )
)
"""Paths of somebody's machine, hosts of package indexes and mirrors: which ones are used is the machine's affair.
Written so that this file passes itself."""
BUNDLES = "credproxy/policy/bundles/"
"""Grants by name for the public package indexes: there the hosts are the matter itself."""
TEXT_ENDINGS = (".py", ".md", ".yaml", ".toml", ".txt", ".in", ".lock", ".sql", ".json", ".cfg", "nightyard", "run")
LONGEST_FILE_LINES = 550
"""Around 150 reads well, past 400 one looks for the second noun; this is where it has been overlooked."""


def test_every_test_says_what_it_shows() -> None:
    """Each test's docstring is one behaviour in a sentence: the list of them reads as the specification."""
    wrong = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert wrong == []


def test_every_file_says_what_it_is() -> None:
    """Each file begins with what it is."""
    assert [source.path for source in sources(*FOLDERS, "tests") if source.text.strip() and not source.docstring] == []


def test_no_file_has_outgrown_its_noun() -> None:
    """A file past its length holds a second noun."""
    long = {source.path: source.text.count("\n") for source in sources(*FOLDERS)}
    assert {path: lines for path, lines in long.items() if lines > LONGEST_FILE_LINES} == {}


def test_nothing_names_the_machine_it_was_written_on() -> None:
    """No tracked file holds a path of somebody's machine or the host of a package index or mirror."""
    wrong = []
    for name in tracked_files():
        if name.endswith(TEXT_ENDINGS) and not name.startswith(BUNDLES):
            for number, line in enumerate((ROOT / name).read_text("utf-8").splitlines(), 1):
                if MACHINE_WORDS.search(line):
                    wrong.append(f"{name}:{number}: {line.strip()[:100]}")
    assert wrong == []


def test_nothing_is_left_to_be_done() -> None:
    """No reminder stands in the code: what is missing is an issue."""
    reminder = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    wrong = [
        f"{source.path}:{number}"
        for source in sources(*FOLDERS, "tests")
        for number, line in enumerate(source.text.splitlines(), 1)
        if reminder.search(line)
    ]
    assert wrong == []


def test_the_locks_name_no_index_and_hash_everything() -> None:
    """Where packages come from is the machine's choice; what they are is ours: each has a hash."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text("utf-8")
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text), name
        for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
            if "==" in entry:
                assert "--hash=sha256:" in entry, entry.splitlines()[0]
