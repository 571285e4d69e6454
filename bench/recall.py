"""How well and how fast an agent's memory is searched: a small labelled set, alone and among thousands of turns.

By words, and by words and meaning together. The meaning is the twin's, which knows parts of words and takes no time.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.report import Metric, at_least, figure, percentile, publish
from protocol.ids import ChatKey, GroupId, TaskId
from runtime.recall.index import RecallIndex
from runtime.recall.passages import match_expression
from runtime.recall.records import Looker, Turn
from runtime.recall.room import MAX_FOUND
from runtime.recall.vectors import build_vector, fuse
from twins.models.embeddings import embed

SET = Path(__file__).with_name("recall_set.json")
GROUP = GroupId("main")
AMONG = 10_000
"""Turns of other talk: a busy year."""
LINES = 3
MIN_LINE_CHARS = 40
SHOWN = 5
MODEL = "twin/embeddings"
LEARNT_AT_ONCE = 500
SEED = 7
OWNER = Looker(chats=frozenset(), sees_all=True)


async def run() -> None:
    """Measure, print and keep."""
    known = json.loads(SET.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        publish("recall", await asyncio.to_thread(measure, Path(folder), known["passages"], known["questions"]))


def measure(folder: Path, passages: Mapping[str, str], questions: Mapping[str, Sequence[str]]) -> list[Metric]:
    """Return how many questions find their passage among the first, and how long that takes."""
    index = RecallIndex(folder)
    index.add_turns([_turn(name, text) for name, text in passages.items()], 1)
    found, first, _ = _ask(index, questions)
    began = time.perf_counter()
    index.add_turns(_other_talk(), 2)
    adding_s = time.perf_counter() - began
    found_among, first_among, times_ms = _ask(index, questions)
    size_mb = _size_mb(folder)
    began = time.perf_counter()
    _learn(index)
    learning_s = time.perf_counter() - began
    found_near, first_near, near_ms = _ask_both(index, questions)
    return [
        at_least("recall_at_5", found, "", 0.9),
        at_least("precision_at_1", first, "", 0.8),
        at_least("recall_at_5_among_10000", found_among, "", 0.85),
        at_least("precision_at_1_among_10000", first_among, "", 0.75),
        figure("search_p50", percentile(times_ms, 50), "ms"),
        figure("search_p95", percentile(times_ms, 95), "ms"),
        figure("adding_rate", AMONG / adding_s, "1/s"),
        figure("index_size", size_mb, "MB"),
        at_least("recall_at_5_with_vectors_among_10000", found_near, "", 0.85),
        figure("precision_at_1_with_vectors_among_10000", first_near, ""),
        figure("search_with_vectors_p50", percentile(near_ms, 50), "ms"),
        figure("search_with_vectors_p95", percentile(near_ms, 95), "ms"),
        figure("vectors_rate", AMONG / learning_s, "1/s"),
        figure("index_size_with_vectors", _size_mb(folder), "MB"),
    ]


def _ask(index: RecallIndex, questions: Mapping[str, Sequence[str]]) -> tuple[float, float, list[float]]:
    found, first, times_ms = 0, 0, []
    for question, wanted in questions.items():
        began = time.perf_counter()
        got = [each.source for each in index.search(GROUP, match_expression(question), OWNER, SHOWN)]
        times_ms.append(1_000 * (time.perf_counter() - began))
        found += bool(set(got) & set(wanted))
        first += bool(set(got[:1]) & set(wanted))
    return found / len(questions), first / len(questions), times_ms


def _learn(index: RecallIndex) -> None:
    """Take in the twin's vectors of all passages: what a service answers in no time and for nothing."""
    while new := index.without_vector(GROUP, MODEL, LEARNT_AT_ONCE):
        index.add_vectors(MODEL, [(number, text, build_vector(embed(text))) for number, text in new.items()])


def _ask_both(index: RecallIndex, questions: Mapping[str, Sequence[str]]) -> tuple[float, float, list[float]]:
    """Search by words and by meaning, as for a group with a model for embeddings."""
    found, first, times_ms = 0, 0, []
    for question, wanted in questions.items():
        asked = build_vector(embed(question))
        began = time.perf_counter()
        by_words = index.search(GROUP, match_expression(question), OWNER, MAX_FOUND)
        near = index.nearest(GROUP, MODEL, asked, OWNER, MAX_FOUND)
        got = [each.source for each in fuse((by_words, near), SHOWN)]
        times_ms.append(1_000 * (time.perf_counter() - began))
        found += bool(set(got) & set(wanted))
        first += bool(set(got[:1]) & set(wanted))
    return found / len(questions), first / len(questions), times_ms


def _size_mb(folder: Path) -> float:
    return (folder / "recall.db").stat().st_size / 1e6


def _other_talk() -> list[Turn]:
    """Return turns made of lines of this project's documents: other things, in many of the same words."""
    chance = random.Random(SEED)
    texts = (path.read_text("utf-8") for path in sorted((SET.parents[1] / "docs").glob("*.md")))
    lines = [line for text in texts for line in text.splitlines() if len(line) > MIN_LINE_CHARS]
    return [_turn(f"other_{number}", "\n".join(chance.sample(lines, LINES))) for number in range(AMONG)]


def _turn(name: str, text: str) -> Turn:
    at = "2026-03-01T10:00:00+00:00"
    return Turn(task_id=TaskId(name), group_id=GROUP, chat=ChatKey("bench:1"), at=at, text=text)
