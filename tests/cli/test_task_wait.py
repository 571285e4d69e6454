"""What a script learns from an exit code, and what a spec that cannot be read is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.problem import CliProblem
from cli.task import task
from cli.task_wait import NOT_YET, exit_code_of


@pytest.mark.parametrize(
    ("state", "status", "code"),
    [
        ("ended", "reply", 0),
        ("ended", "structured", 0),
        ("ended", "nothing_to_say", 0),
        ("ended", "failed", 1),
        ("ended", "stopped", 1),
        ("running", None, NOT_YET),
        ("suspended", None, NOT_YET),
    ],
)
def test_exit_codes(state: str, status: str | None, code: int) -> None:
    """Done is 0, failed is 1, not yet is its own."""
    assert exit_code_of({"state": state, "result": {"status": status} if status else None}) == code


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        (json.dumps({"group": "main", "inputs": 1}), "'inputs' is not a key of a task (known: group, input"),
        (json.dumps({"group": "main"}), "input: is missing"),
        ('{"group": "main", "group": "side", "input": "x"}', "the key 'group' stands twice"),
        ("[" * 100_000, "is not JSON"),
        (
            json.dumps({"group": "main", "input": "x", "limits": {"model_cals": 1}}),
            "limits: 'model_cals' is not a key of limits (known: model_calls",
        ),
        (json.dumps({"group": "main", "input": "x", "effects": "loud"}), "expected one of live, shadow, twin"),
    ],
)
def test_a_spec_with_a_fault_is_told_before_the_host_is_asked(text: str, told: str, tmp_path: Path) -> None:
    """File, key and what would be right."""
    spec = tmp_path / "spec.json"
    spec.write_text(text)
    result = CliRunner().invoke(task, ["run", str(spec)])
    assert isinstance(result.exception, CliProblem)
    assert told in result.exception.message and str(spec) in result.exception.message
