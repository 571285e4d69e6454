"""The table of attacks is whole: each is there, and has tests that exist or says why not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.security.proxy.attacks import ATTACKS, Attack, as_document

TESTS = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
NOT_ATTACKS = {"test_table.py", "test_oracle.py"}


def functions_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")}


def test_sixty_attacks_in_order() -> None:
    """Each has its number, once."""
    assert [attack.number for attack in ATTACKS] == list(range(1, len(ATTACKS) + 1))
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: str(attack.number))
def test_every_attack_is_tried_or_says_why_not(attack: Attack) -> None:
    """An attack names tests, and those exist; without any it has a reason."""
    assert attack.tests or attack.reason
    for test in attack.tests:
        file, _, name = test.partition("::")
        assert name in functions_of(TESTS / file), test


def test_every_test_here_is_of_some_attack() -> None:
    """What is tried in this folder stands in the table, so that the table says all that is tried."""
    named = {test.removeprefix("security/proxy/") for attack in ATTACKS for test in attack.tests}
    there = {
        f"{file.name}::{name}"
        for file in HERE.glob("test_*.py")
        if file.name not in NOT_ATTACKS
        for name in functions_of(file)
    }
    loose = {test for test in there - named if "many_" not in test and "for_longer" not in test}
    assert loose == set()


def test_the_document_is_the_table() -> None:
    """People read the table in docs/attacks.md; `python -m tests.security.proxy.attacks` writes it."""
    assert (TESTS.parent / "docs" / "attacks.md").read_text("utf-8") == as_document()
