"""Records: what a frozen dataclass promises, without what it costs."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.codec import from_json, to_json
from protocol.record import FrozenRecord, Record, replace
from protocol.task import Limits, TaskResult, TaskStatus

ROOT = Path(__file__).resolve().parents[2]


def test_a_record_is_its_values() -> None:
    """Two records of one class with equal values are equal and hash alike; a class apart is another thing."""
    assert Limits(rounds=3) == Limits(rounds=3) != Limits()
    assert hash(Limits(rounds=3)) == hash(Limits(rounds=3))
    assert Limits() != TaskResult(status=TaskStatus.REPLY)
    assert "rounds=3" in repr(Limits(rounds=3))


def test_a_record_never_changes() -> None:
    """Setting, deleting or adding an attribute is refused."""
    limits = Limits()
    with pytest.raises(FrozenRecord):
        limits.rounds = 1  # type: ignore[misc]
    with pytest.raises(FrozenRecord):
        del limits.rounds
    with pytest.raises(FrozenRecord):
        limits.other = 1


def test_a_record_wants_exactly_its_fields() -> None:
    """A field without a default must be given, one that does not exist must not, and places mean nothing."""
    with pytest.raises(TypeError, match="status"):
        TaskResult()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        TaskResult(status=TaskStatus.REPLY, colour="red")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Limits(3)  # type: ignore[call-arg]


@pytest.mark.parametrize("change", [replace, dataclasses.replace])
def test_replace_makes_another(change: object) -> None:
    """Both our replace and the dataclasses' give a new record with the fields named, and refuse names that are none."""
    assert callable(change)
    limits = Limits(rounds=3)
    assert change(limits, wall_s=1.0) == Limits(rounds=3, wall_s=1.0)
    assert limits == Limits(rounds=3)
    with pytest.raises(TypeError):
        change(limits, colour="red")


def test_a_record_survives_copies() -> None:
    """A copied or pickled record equals the one it was made from."""
    limits = Limits(cost_usd=0.5)
    assert copy.deepcopy(limits) == limits
    assert pickle.loads(pickle.dumps(limits)) == limits


def test_the_frames_of_the_link_import_no_dataclasses() -> None:
    """An agent's start does not pay for the modules that records replace."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import protocol.link; print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True, check=True
    )
    assert not {"dataclasses", "inspect", "typing"} & set(ran.stdout.split())


def test_a_record_without_fields_is_one_too() -> None:
    """A noun that only says that something is asked can be made, told apart and read back."""

    class Nothing(Record):
        """Nothing more."""

    assert Nothing() == Nothing()
    assert from_json(Nothing, to_json(Nothing())) == Nothing()
