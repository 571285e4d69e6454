"""`twin new`: what it makes runs, passes the project's own checks, and its test passes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.problem import CliProblem
from cli.twin_new import write_twin

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = {
    "openapi": "3.1.0",
    "paths": {
        "/v1/things/{id}": {"get": {"operationId": "getThing"}},
        "/v1/parcels": {"post": {"operationId": "sendParcel"}, "parameters": []},
        "/v1/parcels/{parcel-id}/labels/with/a/very/long/path/that/goes/on/and/on/until/the/line/is/too/long": {
            "patch": {}
        },
    },
}


@pytest.fixture
def fork(tmp_path: Path) -> Path:
    """What a twin stands on, without the others."""
    for name in ("http_server.py", "clock.py", "event_log.py", "faults.py", "__init__.py"):
        (tmp_path / "twins").mkdir(exist_ok=True)
        shutil.copy(ROOT / "twins" / name, tmp_path / "twins" / name)
    shutil.copytree(ROOT / "twins" / "template", tmp_path / "twins" / "template")
    (tmp_path / "tests" / "twins").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(fork: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(fork)}
    ran = subprocess.run(
        [sys.executable, "-P", "-m", *command], cwd=fork, env=environment, capture_output=True, text=True, timeout=100
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_new_twin_passes_its_own_test_and_the_checks(fork: Path) -> None:
    """As it is made, with a description and without one."""
    (fork / "parcel.json").write_text(json.dumps(DESCRIPTION))
    written = write_twin(fork, "parcel", fork / "parcel.json")
    assert "twins/parcel/server.py" in written and "tests/twins/test_parcel.py" in written
    write_twin(fork, "plain", None)
    assert "6 passed" in run(fork, "pytest", "-q", "tests/twins/test_parcel.py", "tests/twins/test_plain.py")
    run(fork, "ruff", "check", "twins", "tests")
    run(fork, "ruff", "format", "--check", "twins/parcel", "twins/plain", "tests")


def test_the_description_s_calls_are_known_by_name(fork: Path) -> None:
    """One that nobody has written answers that it is missing, and is not taken for one that the service has not."""
    (fork / "parcel.json").write_text(json.dumps(DESCRIPTION))
    write_twin(fork, "parcel", fork / "parcel.json")
    script = """
from twins.parcel.calls import find_call
from twins.parcel.refusal import Refusal
for method, path in (("POST", "/v1/parcels"), ("POST", "/v1/nothing")):
    try:
        find_call(method, path)
    except Refusal as refusal:
        print(refusal.status, refusal.message)
print(find_call("GET", "/v1/things/a%20b")[0])
"""
    (fork / "look.py").write_text(script)
    assert run(fork, "look").splitlines() == [
        "501 the twin does not do sendParcel yet: write it in twins/parcel/calls.py",
        "404 POST /v1/nothing is no call of this service's",
        "get_thing",
    ]


@pytest.mark.parametrize("name", ["", "Parcel", "a", "x" * 32, "../x", "template", "phone", "with-hyphen"])
def test_a_name_that_is_none_is_refused(fork: Path, name: str) -> None:
    """Nothing is written."""
    with pytest.raises(CliProblem, match="cannot be a twin's name"):
        write_twin(fork, name, None)
    assert sorted(path.name for path in (fork / "twins").iterdir() if path.is_dir()) == ["template"]


def test_what_is_there_is_not_written_over(fork: Path) -> None:
    """A second time, or where a test has that name."""
    write_twin(fork, "parcel", None)
    with pytest.raises(CliProblem, match="twins/parcel is there already"):
        write_twin(fork, "parcel", None)


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"openapi": "3.1.0"}', "[" * 100_000])
def test_a_description_that_is_none_is_named(fork: Path, text: str) -> None:
    """Before anything is written."""
    (fork / "parcel.json").write_text(text)
    with pytest.raises(CliProblem, match=r"parcel\.json (cannot be read|is no OpenAPI)"):
        write_twin(fork, "parcel", fork / "parcel.json")
    assert not (fork / "twins" / "parcel").exists()
