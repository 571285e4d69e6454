"""An agent's last word as a task may end: structured where that was asked for, whatever the agent made of it."""

from __future__ import annotations

import pytest

from protocol.codec import Json
from protocol.proxy_admin import Fetched
from protocol.task import TaskResult, TaskStatus
from runtime.checked_result import checked_result, sourced_result
from tests.runtime.judged import judged

WORDS = """{"found": %s, "why": "w", "confidence": 1, "no_alternatives": "n",
    "evidence": [{"claim": "c", "source": "input"}]}"""


def given(structured: Json) -> TaskResult:
    return TaskResult(status=TaskStatus.STRUCTURED, structured=structured)


def said(text: str) -> TaskResult:
    return TaskResult(status=TaskStatus.REPLY, text=text)


def test_a_result_that_was_asked_for_is_taken_in_either_way() -> None:
    """By the tool, or as the whole of the last message, fenced or not."""
    words = WORDS % "7"
    for result in (given(judged(7)), said(words), said(f"```json\n{words}\n```")):
        ended = checked_result(result, {"type": "integer"})
        assert (ended.status, ended.structured) == (TaskStatus.STRUCTURED, 7)
        assert ended.judgement is not None and not ended.judgement.abstained


@pytest.mark.parametrize(
    "found", ["NaN", "-Infinity", "1e999", '"\\ud800"', '{"\\udfff": 1}', "9" * 5_000, "[" * 99_999]
)
def test_what_is_no_json_is_no_result(found: str) -> None:
    """Python's parser takes numbers and halves of characters that JSON does not have: neither is kept or sent on."""
    ended = checked_result(said(WORDS % found), {})
    assert (ended.status, ended.code, ended.structured) == (TaskStatus.FAILED, "result_not_json", None)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (said("It is seven."), "result_not_json"),
        (given(judged("seven")), "result_invalid"),
        (given(judged(7, confidence=1.5)), "judgement_invalid"),
        (given({"found": 7}), "judgement_invalid"),
        (given([7]), "judgement_invalid"),
    ],
)
def test_a_result_that_cannot_stand_fails_with_its_code(result: TaskResult, code: str) -> None:
    """What the agent gave is kept beside the reason, for whoever asked."""
    ended = checked_result(result, {"type": "integer"})
    assert (ended.status, ended.code) == (TaskStatus.FAILED, code)
    assert ended.reason and ended.structured == result.structured


def test_who_abstains_need_not_fit_the_schema() -> None:
    """There is nothing found that could; the reason stands in the judgement."""
    ended = checked_result(given({"abstain": "no register names it", "why": "I read both", "confidence": 0.4}), False)
    assert (ended.status, ended.structured) == (TaskStatus.STRUCTURED, None)
    assert ended.judgement is not None and ended.judgement.abstained == "no register names it"


def test_a_result_that_nobody_asked_for_is_misbehaviour() -> None:
    """An agent has no structured results of its own accord."""
    assert checked_result(given(judged(7))).code == "agent_misbehaved"


def test_a_source_that_the_proxy_never_fetched_fails_the_result() -> None:
    """With a code of its own; one that it fetched carries when, and the hash of what came."""
    evidence: Json = [{"claim": "c", "source": "https://example.org/a"}]
    ended = checked_result(given(judged(7, evidence=evidence)), {"type": "integer"})
    assert sourced_result(ended, []).code == "source_not_fetched"
    sourced = sourced_result(
        ended, [Fetched(target="GET https://example.org/a", at="2026-01-02T03:04:05Z", sha256="ab")]
    )
    assert sourced.judgement is not None
    assert (sourced.judgement.evidence[0].sha256, sourced.status) == ("ab", TaskStatus.STRUCTURED)
