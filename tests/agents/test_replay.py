"""A whole run repeats bit for bit: the agent's real program against what was recorded of another run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agents.conftest import Api
from tests.agents.recorded_run import RECORDINGS, Run, load_run, record, replay

ANEW = "if the agent is meant to: PYTHONPATH=. .venv/bin/python -m tests.agents.recorded_run"


@pytest.fixture
def run(api: Api) -> Run:
    return load_run((RECORDINGS / f"{api}.json").read_text("utf-8"))


async def test_a_run_repeats_bit_for_bit(run: Run, root: Path) -> None:
    """Thoughts, parallel calls, a failing tool, a word in between, a file, a question, a call of no shape, an answer
    that breaks off: each frame and each question is what it was."""
    assert len(run.frames) > 50 and len(run.model) == 4 and not run.model[2]["is_whole"]
    differences = await replay(run, root)
    assert not differences, f"{differences[0]}\n{ANEW}"


async def test_what_is_recorded_today_repeats(api: Api, root: Path) -> None:
    """A recording of this very agent is one that it repeats, too."""
    assert await replay(await record(api), root) == []


@pytest.mark.parametrize(
    ("side", "was", "now", "told"),
    [
        ("host", "You are a helpful agent.", "You are a helpful agent!", "question 1 is another one: from byte"),
        ("host", '"text":"and send it"', '"text":"and send me"', "question 2 is another one: from byte"),
        ("host", '"answer":"No"', '"answer":"no"', '"text":"No"'),
        ("agent", "YARD", "yard", "[exit code 3]"),
        ("agent", '"seq":15', '"seq":16', '"seq":15'),
        ("model", "Written,", "Wrote,", '"delta","text":"Wrote,"'),
    ],
)
async def test_one_other_byte_is_told(run: Run, root: Path, side: str, was: str, now: str, told: str) -> None:
    """Whichever side it was planted on, the first thing that differs is named."""
    if side == "model":
        pieces = [{**each, "pieces": [piece.replace(was, now) for piece in each["pieces"]]} for each in run.model]
        planted = Run(frames=run.frames, model=pieces)
        assert pieces != list(run.model)
    else:
        frames = [(sender, body.replace(was, now) if sender == side else body) for sender, body in run.frames]
        planted = Run(frames=frames, model=run.model)
        assert frames != list(run.frames)
    differences = await replay(planted, root)
    assert differences and told in differences[0]


async def test_other_borders_are_another_run(run: Run, root: Path) -> None:
    """The same bytes, cut elsewhere, are shown to people in other pieces."""
    joined = [{**each, "pieces": ["".join(each["pieces"])]} for each in run.model]
    differences = await replay(Run(frames=run.frames, model=joined), root)
    assert differences and '"type":"delta"' in differences[0]


async def test_a_question_too_few_is_told(run: Run, root: Path) -> None:
    """A run that ends before it did is no repetition."""
    more = Run(frames=run.frames, model=[*run.model, run.model[-1]])
    assert await replay(more, root) == ["4 questions were asked, and 5 then"]
