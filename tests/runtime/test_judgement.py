"""What must be said with a structured result, part by part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import Json
from protocol.proxy_admin import Fetched
from runtime.judgement import JudgementInvalid, needs_sources, parse_judgement, with_sources
from tests.runtime.judged import judged

ALTERNATIVE = {"what": "8", "rejected_because": "one is a folder"}
SOURCE = {"claim": "c", "source": "https://example.org/"}
json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


def test_all_that_was_said_is_there() -> None:
    """Alternatives make the reason for none needless."""
    judgement = parse_judgement(judged(7, alternatives=[ALTERNATIVE], evidence=[SOURCE], confidence=1))
    assert (judgement.why, judgement.confidence, judgement.no_alternatives) == ("It was counted.", 1.0, "")
    assert (judgement.alternatives[0].what, judgement.evidence[0].claim) == ("8", "c")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "it is no object"),
        ([1], "it is no object"),
        (judged(7, why=""), "`why` is missing"),
        (judged(7, why=3), "`why` must be a text"),
        (judged(7, why="x" * 8_001), "`why` must be a text of at most"),
        (judged(7, confidence=None), "`confidence` must be a number from 0 to 1"),
        (judged(7, confidence=True), "`confidence`"),
        (judged(7, confidence=1.01), "`confidence`"),
        (judged(7, confidence=-0.01), "`confidence`"),
        (judged(7, confidence=float("nan")), "`confidence`"),
        (judged(7, confidence="0.5"), "`confidence`"),
        (judged(7, no_alternatives=""), "`no_alternatives` does not say why"),
        (judged(7, alternatives={"what": "x"}), "`alternatives` must be a list"),
        (judged(7, alternatives=[{"what": "x"}]), "`rejected_because` is missing"),
        (judged(7, alternatives=[ALTERNATIVE] * 21), "`alternatives` has 21 entries"),
        (judged(7, evidence=[]), "`evidence` is empty"),
        (judged(7, evidence=[{"claim": "x"}]), "`source` is missing"),
        (judged(7, evidence=["x"]), "`evidence` must be a list of objects"),
        (judged(7, abstain="I cannot know"), "either `found`, or `abstain`"),
        ({"why": "x", "confidence": 1}, "either `found`, or `abstain`"),
    ],
)
def test_what_is_missing_is_named(value: Json, words: str) -> None:
    """In words of the part that is wrong."""
    with pytest.raises(JudgementInvalid) as caught:
        parse_judgement(value)
    assert words in str(caught.value)


def test_who_abstains_says_why() -> None:
    """That is enough: there is nothing that evidence or alternatives could stand for."""
    judgement = parse_judgement({"abstain": "no register names it", "why": "I read both", "confidence": 0.7})
    assert (judgement.abstained, judgement.evidence) == ("no register names it", ())


@given(value=json_values)
def test_any_value_is_a_judgement_or_refused(value: Json) -> None:
    """Nothing else happens, whatever a model says."""
    try:
        judgement = parse_judgement(value)
    except JudgementInvalid:
        return
    assert judgement.why and 0 <= judgement.confidence <= 1


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("https://Example.org", "https://example.org/"),
        ("https://example.org:443/a?b=1#c", "https://example.org/a"),
        ("http://example.org:8080/ä b", "http://example.org:8080/%C3%A4%20b"),
        ("http://[::1]/x", "http://[::1]/x"),
        ("HTTPS://example.org/a", "https://example.org/a"),
        ("www.example.org/a", "https://www.example.org/a"),
        ("//example.org/a", "https://example.org/a"),
    ],
)
def test_an_address_is_the_one_that_was_fetched(source: str, target: str) -> None:
    """However it is written; the newest fetch counts, another method does not."""
    judgement = parse_judgement(judged(7, evidence=[{"claim": "c", "source": source}]))
    assert needs_sources(judgement)
    records = [Fetched(target=f"{method} {target}", at=at, sha256=at) for method, at in (("GET", "1"), ("GET", "2"))]
    assert with_sources(judgement, records).evidence[0].sha256 == "2"
    with pytest.raises(JudgementInvalid, match="was never fetched in this task"):
        with_sources(judgement, [Fetched(target=f"POST {target}", at="3", sha256="3")])


@pytest.mark.parametrize("source", ["input", "/inbox/a.txt", "shell: wc -l", "file:///etc/passwd", "https://"])
def test_what_is_no_address_needs_no_fetch(source: str) -> None:
    """It stands as it was said, without time and hash."""
    judgement = parse_judgement(judged(7, evidence=[{"claim": "c", "source": source}]))
    assert not needs_sources(judgement)
    assert with_sources(judgement, []) == judgement
