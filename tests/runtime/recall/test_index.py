"""The search index on disk: found, changed, taken out, and made anew when it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.ids import ChatKey, GroupId, TaskId
from runtime.recall.index import FILE_NAME, RecallIndex
from runtime.recall.passages import match_expression
from runtime.recall.records import Looker, Turn
from runtime.recall.vectors import Vector, build_vector

MAIN, OTHER = GroupId("main"), GroupId("other")
ADA, BOB = ChatKey("stage:ada"), ChatKey("stage:bob")
EVERYTHING = Looker(chats=frozenset(), sees_all=True)


@pytest.fixture
def index(tmp_path: Path) -> RecallIndex:
    return RecallIndex(tmp_path)


def turn(number: int, text: str, chat: ChatKey | None = ADA, group_id: GroupId = MAIN) -> Turn:
    at = f"2026-03-0{number}T10:00:00+00:00"
    return Turn(task_id=TaskId(f"task_{number}"), group_id=group_id, chat=chat, at=at, text=text)


def found(index: RecallIndex, words: str, looker: Looker = EVERYTHING, group_id: GroupId = MAIN) -> list[str]:
    return [each.source for each in index.search(group_id, match_expression(words), looker, 10)]


def test_the_best_comes_first(index: RecallIndex) -> None:
    """More of the words, and rarer ones, weigh more; accents and endings do not matter."""
    index.add_turns([turn(1, "The dentist, Dr. Müller, moved"), turn(2, "The garden moved"), turn(3, "Nothing")], 7)
    assert found(index, "when did dentist muller move") == ["task_1", "task_2"]
    assert index.reached() == 7


def test_each_sees_their_own_chats(index: RecallIndex) -> None:
    """What another chat said is not found, nor work for no chat; notes are everybody's; groups are apart."""
    index.add_turns([turn(1, "plan A", ADA), turn(2, "plan B", BOB), turn(3, "plan C", None)], 3)
    index.add_turns([turn(4, "plan D", ADA, OTHER)], 4)
    index.set_file(MAIN, "plans.md", "1", "2026-03-01", "plan notes")
    assert sorted(found(index, "plan", Looker(chats=frozenset({ADA})))) == ["plans.md", "task_1"]
    nobody = Looker(chats=frozenset(), sees_chatless=True)
    assert sorted(found(index, "plan", nobody)) == ["plans.md", "task_3"]
    assert sorted(found(index, "plan")) == ["plans.md", "task_1", "task_2", "task_3"]


def test_a_file_is_what_it_was_last(index: RecallIndex) -> None:
    """Old words are gone when it changed, all when it is gone."""
    index.set_file(MAIN, "a.md", "1", "2026-03-01", "apples")
    index.set_file(MAIN, "a.md", "2", "2026-03-02", "pears")
    assert (found(index, "apples"), found(index, "pears"), index.stamps(MAIN)) == ([], ["a.md"], {"a.md": "2"})
    index.remove_file(MAIN, "a.md")
    assert (found(index, "pears"), index.stamps(MAIN)) == ([], {})


def test_a_dropped_index_holds_no_word(index: RecallIndex, tmp_path: Path) -> None:
    """The file is gone, and a new one begins from nothing."""
    index.set_file(MAIN, "a.md", "1", "2026-03-01", "zebrafish")
    assert b"zebrafish" in (tmp_path / FILE_NAME).read_bytes()
    index.drop()
    assert not list(tmp_path.iterdir())
    assert (index.reached(), index.stamps(MAIN)) == (0, {})


@pytest.mark.parametrize("content", [b"this is no database", b"\0" * 5_000])
def test_a_broken_file_is_made_anew(index: RecallIndex, tmp_path: Path, content: bytes) -> None:
    """Nothing is only here, so nothing is lost by it."""
    (tmp_path / FILE_NAME).write_bytes(content)
    assert index.reached() == 0
    index.add_turns([turn(1, "plan")], 1)
    assert found(index, "plan") == ["task_1"]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


MODEL = "local/small"
HERE, THERE = build_vector([1.0, 0.1, 0.1]), build_vector([-1.0, 0.1, 0.1])


def learn(index: RecallIndex, **vectors: Vector) -> None:
    """Take in vectors of the passages with these words."""
    new = index.without_vector(MAIN, MODEL, 10)
    index.add_vectors(MODEL, [(number, text, vectors[text]) for number, text in new.items() if text in vectors])


def near(index: RecallIndex, looker: Looker = EVERYTHING) -> list[str]:
    return [each.text for each in index.nearest(MAIN, MODEL, HERE, looker, 10)]


def test_the_nearest_comes_first(index: RecallIndex) -> None:
    """Of the group's own, and of what the looker may see."""
    index.add_turns([turn(1, "far"), turn(2, "near"), turn(3, "bobs", BOB), turn(4, "theirs", ADA, OTHER)], 1)
    learn(index, far=THERE, near=HERE, bobs=HERE)
    assert near(index) == ["bobs", "near", "far"] or near(index) == ["near", "bobs", "far"]
    assert near(index, Looker(chats=frozenset({ADA}))) == ["near", "far"]
    assert index.nearest(OTHER, MODEL, HERE, EVERYTHING, 10) == []


def test_a_vector_goes_with_its_passage(index: RecallIndex) -> None:
    """What was changed or taken out since is asked for anew, and an answer that comes too late is left out."""
    index.set_file(MAIN, "a.md", "1", "2026-03-01T10:00:00+00:00", "near")
    late = index.without_vector(MAIN, MODEL, 10)
    learn(index, near=HERE)
    assert near(index) == ["near"]
    assert index.without_vector(MAIN, MODEL, 10) == {}
    assert list(index.without_vector(MAIN, "local/other", 10).values()) == ["near"]
    index.set_file(MAIN, "a.md", "2", "2026-03-01T10:00:00+00:00", "another")
    assert near(index) == []
    index.add_vectors(MODEL, [(number, text, HERE) for number, text in late.items()])
    assert near(index) == []
    index.remove_file(MAIN, "a.md")
    assert index.without_vector(MAIN, MODEL, 10) == {}
