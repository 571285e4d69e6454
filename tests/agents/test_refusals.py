"""How a refusal of the proxy's is known, and what the model is told of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.refusals import MAX_KEPT, Refusal, Refusals, add_refusals, read_refusal


def answer(status: str = "403 No", code: str = "host_not_granted", **error: object) -> bytes:
    body = json.dumps({"error": {"message": "m.", "grant_with": "", "retry": False, **error}})
    return f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-nightyard: {code}\r\n\r\n{body}".encode()


def known(advice: str) -> Refusal:
    return Refusal(message="m.", advice=advice, code="host_not_granted")


@pytest.mark.parametrize(
    ("seen", "refusal"),
    [
        (answer(), known("Trying again does not help.")),
        (answer("503 No", retry=True), known("Trying again may help.")),
        (
            answer(grant_with="nightyard x"),
            known("The owner would allow it with: nightyard x. Trying again does not help."),
        ),
        (answer()[:-5], Refusal(message="The proxy refused a connection: host_not_granted.", advice="")),
        (answer("200 Connection established"), None),
        (answer().replace(b"x-nightyard", b"x-other"), None),
        (b"HTTP/1.1 403 No\r\n\r\n\r\nx-nightyard: a\r\n", None),
        (b"\x16\x03\x01", None),
    ],
)
def test_only_the_proxys_own_refusals_are_read(seen: bytes, refusal: Refusal | None) -> None:
    """By status and header; what is cut off is told by its code, what others answered not at all."""
    assert read_refusal(seen) == refusal


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(seen: bytes) -> None:
    """Whatever comes back on a connection, the forwarder goes on."""
    Refusals().note(seen)
    Refusals().note(b"HTTP/1.1 403 \r\nx-nightyard: a\r\n\r\n" + seen)


def test_few_are_kept() -> None:
    """A tool that is refused a thousand times fills no memory and no prompt."""
    refusals = Refusals()
    for number in range(100):
        refusals.note(answer(message=f"m{number}."))
    taken = refusals.take()
    assert (len(taken), taken[-1].message, refusals.take()) == (MAX_KEPT, "m99.", ())
    assert add_refusals("", taken[:1]) == "[m92. Trying again does not help.]"
