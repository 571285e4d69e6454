"""What an agent is told of a request."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as some

from channels.webhook.template import CUT, MAX_TEXT_CHARS, MAX_VALUE_CHARS, fill_template

PUSH = {
    "repository": {"full_name": "anna/yard"},
    "commits": [{"message": "Mend the gate"}, {"message": "Paint it"}],
    "forced": False,
    "count": 2,
    "empty": "",
}


def filled(template: str, posted: Any = PUSH, event: str = "push") -> str:
    return fill_template(template, event, "application/json; charset=utf-8", json.dumps(posted).encode())


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("{repository.full_name} has {count} commits", "anna/yard has 2 commits"),
        ("{commits.1.message}", "Paint it"),
        ("{commits.7.message} {nobody} {empty} {repository.full_name.more}", "(none) (none) (none) (none)"),
        ("{event}: {forced}", "push: false"),
        ("{repository}", '{"full_name": "anna/yard"}'),
        ('braces { "stay": {} } {0} {a b}', 'braces { "stay": {} } {0} {a b}'),
        ("no names", "no names"),
    ],
)
def test_names_are_filled_from_what_was_posted(template: str, wanted: str) -> None:
    """By their path; what is not there is said."""
    assert filled(template) == wanted


def test_what_was_posted_is_no_template() -> None:
    """Braces in a value stay what they are."""
    assert filled("{title}", {"title": "{secret} {event}"}) == "{secret} {event}"


def test_the_whole_body_and_the_event_have_names() -> None:
    """Unless the posted JSON has such a key of its own."""
    assert fill_template("{event} {body}", "ping", "text/plain", b"not JSON") == "ping not JSON"
    assert filled("{event} {body}", {"event": "mine", "body": "own"}) == "mine own"


def test_a_form_is_read() -> None:
    """Fields by name; GitHub's one field `payload` is its JSON."""
    kind = "application/x-www-form-urlencoded"
    assert fill_template("{a} {b}", "", kind, urlencode({"a": "1 2", "b": "ä"}).encode()) == "1 2 ä"
    payload = urlencode({"payload": json.dumps(PUSH)}).encode()
    assert fill_template("{repository.full_name}", "", kind, payload) == "anna/yard"


def test_long_values_and_texts_are_cut_and_say_so() -> None:
    """One value, and all together."""
    one = filled("{v}", {"v": "x" * (MAX_VALUE_CHARS + 1)})
    assert len(one) == MAX_VALUE_CHARS and one.endswith(CUT)
    many = filled("{v}" * 20, {"v": "x" * MAX_VALUE_CHARS})
    assert len(many) == MAX_TEXT_CHARS and many.endswith(CUT)


@given(body=some.binary(max_size=300), template=some.text(max_size=100))
def test_any_body_and_any_template_give_a_text(body: bytes, template: str) -> None:
    """Never an error, whatever is posted."""
    assert isinstance(fill_template(template + "{a.b.0}", "e", "application/json", body), str)


def test_a_form_of_very_many_fields_is_read_as_none() -> None:
    """Two million of them would stop the host for seconds."""
    form = "application/x-www-form-urlencoded"
    assert fill_template("{what}", "", form, b"what=gate&" + b"x&" * 998) == "gate"
    assert fill_template("{what}", "", form, b"what=gate&" + b"x&" * 2_000) == "(none)"


def test_half_a_character_becomes_a_question_mark() -> None:
    """JSON can carry one, no store can."""
    assert fill_template("{what}", "", "application/json", b'{"what": "a\\ud83db"}') == "a?b"
