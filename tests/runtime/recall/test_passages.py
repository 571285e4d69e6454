"""How texts are cut into passages, and questions into what the index is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.recall.passages import cut, match_expression


@given(text=st.text(max_size=4_000), most=st.integers(min_value=20, max_value=400))
def test_nothing_is_lost_in_cutting(text: str, most: int) -> None:
    """All that is no white space is there, in its order, in passages of the size."""
    passages = list(cut(text, most))
    assert "".join("".join(passages).split()) == "".join(text.split())
    assert all(0 < len(passage) <= most for passage in passages)


def test_paragraphs_stay_whole_where_they_fit() -> None:
    """A passage ends where a thought does."""
    text = "The first thought.\n\nThe second thought is here.\n\nThe third."
    assert list(cut(text, 50)) == ["The first thought.\n\nThe second thought is here.", "The third."]


@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("What is the name of Anna's dentist?", '"name"* OR "anna"* OR "dentist"*'),
        ("what is it", '"what"* OR "is" OR "it"'),
        ("invoices 2026", '"invoic"* OR "2026"'),
        ('") OR * NEAR( -"', '"near"*'),
        ("?!", ""),
    ],
)
def test_a_question_is_its_telling_words(question: str, expression: str) -> None:
    """Each as a beginning; words that stand everywhere count only alone; operators of the index mean nothing."""
    assert match_expression(question) == expression
