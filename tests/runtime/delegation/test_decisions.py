"""Who may ask whom, how deep, how often."""

from __future__ import annotations

import pytest

from protocol.ids import GroupId
from runtime.delegation.decisions import MAX_FILES, MAX_OPEN, MAX_PER_PAIR_AN_HOUR, MAX_PER_TASK, decide_delegation
from runtime.delegation.records import AskingFacts, DelegationRequest

MAIN, SIDE, THIRD, FOURTH = (GroupId(name) for name in ("main", "side", "third", "fourth"))


def facts(*ancestors: GroupId, by_task: int = 0, last_hour: int = 0, open_of_group: int = 0) -> AskingFacts:
    return AskingFacts(
        ancestors=ancestors, asked_by_task=by_task, asked_last_hour=last_hour, open_of_group=open_of_group
    )


def refused(asking: GroupId, request: DelegationRequest, known: AskingFacts, *delegates: str) -> tuple[str, str]:
    decided = decide_delegation(asking, request, delegates=delegates or ("side",), facts=known, handed={"c.0"})
    return (decided.code, decided.message) if decided else ("", "")


def asks(to: str = "side", prompt: str = "Look this up", files: tuple[str, ...] = ()) -> DelegationRequest:
    return DelegationRequest(to=to, prompt=prompt, files=files)


def test_an_agent_may_ask_whom_its_owner_named() -> None:
    """With the name in group.yaml, a prompt and files that have arrived, it may."""
    assert refused(MAIN, asks(files=("c.0",)), facts()) == ("", "")


@pytest.mark.parametrize(
    ("asking", "request_", "known", "delegates", "code", "words"),
    [
        (MAIN, asks("third"), facts(), ("side",), "not_a_delegate", "main may ask side, not 'third'"),
        (MAIN, asks("main"), facts(), ("main",), "loop", "main asks main"),
        (SIDE, asks("main"), facts(MAIN), ("main",), "loop", "main asks side asks main"),
        (THIRD, asks("main"), facts(MAIN, SIDE), ("main",), "loop", "main asks side asks third asks main"),
        (FOURTH, asks("fifth"), facts(MAIN, SIDE, THIRD), ("fifth",), "too_deep", "handed on 3 times already"),
        (MAIN, asks(), facts(by_task=MAX_PER_TASK), (), "too_often", "one task asks others"),
        (MAIN, asks(), facts(last_hour=MAX_PER_PAIR_AN_HOUR), (), "too_often", "within an hour"),
        (MAIN, asks(), facts(open_of_group=MAX_OPEN), (), "too_many", "wait for others already"),
        (MAIN, asks(prompt=" "), facts(), (), "empty_prompt", "nothing to do"),
        (MAIN, asks(prompt="x" * 20_001), facts(), (), "too_long", "hand over a file"),
        (MAIN, asks(files=("c.0",) * (MAX_FILES + 1)), facts(), (), "too_many_files", "at most 10"),
        (MAIN, asks(files=("c.0", "c.9")), facts(), (), "unknown_file", "1 of the files did not arrive"),
    ],
)
def test_what_goes_too_far_is_refused(
    asking: GroupId, request_: DelegationRequest, known: AskingFacts, delegates: tuple[str, ...], code: str, words: str
) -> None:
    """Who is not named, circles, depth, rate and what cannot be handed over are refused, with code and words."""
    found, message = refused(asking, request_, known, *delegates)
    assert found == code
    assert words in message


def test_three_agents_deep_is_allowed() -> None:
    """A third agent in a row may still be asked; a fourth asker may not ask on."""
    assert refused(THIRD, asks("fourth"), facts(MAIN, SIDE), "fourth") == ("", "")
