"""Placeholders: formed like keys, the same for ever, different for each group, and found wherever they turn up."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credproxy.injection.placeholder_form import SETS, is_form, make_tag, write_placeholder
from credproxy.injection.placeholder_key import KEY_FILE, load_placeholder_key
from credproxy.injection.placeholders import PlaceholderName, Placeholders, searched_texts
from credproxy.injection.presets import load_preset, preset_names
from credproxy.wire.target import Target, parse_path
from protocol.ids import GroupId

MAIN, OTHER = GroupId("main"), GroupId("other")
KEY = bytes(range(32))


def target(wire: str) -> Target:
    path = parse_path(wire)
    return Target(scheme="https", host="a.example.org", port=443, path=path.path, query=path.query)


def test_each_is_formed_like_a_key_and_unique() -> None:
    """Every preset's placeholders, for two groups and two secrets: all different, all of the same length as a form."""
    placeholders = Placeholders(KEY)
    seen = set()
    for name in preset_names():
        preset = load_preset(name)
        assert preset is not None
        for part in preset.placeholders:
            made = [placeholders.of(group, secret, name, part) for group in (MAIN, OTHER) for secret in ("one", "two")]
            assert len({len(text) for text in made}) == 1, name
            assert all(text.isascii() and text.isprintable() and " " not in text for text in made)
            seen |= set(made)
            assert len(set(made)) == 4, name
    assert Placeholders(KEY).of(MAIN, "one", "github") in seen
    assert Placeholders(bytes(32)).of(MAIN, "one", "github") not in seen


@pytest.mark.parametrize(
    ("preset", "part", "pattern"),
    [
        ("anthropic", "value", r"sk-ant-api03-[\w-]{93}AA"),
        ("github", "value", r"ghp_[A-Za-z0-9]{36}"),
        ("telegram", "value", r"[1-9][0-9]{9}:AA[\w-]{33}"),
        ("slack", "value", r"xoxb-[1-9][0-9]{11}-[1-9][0-9]{12}-[A-Za-z0-9]{24}"),
        ("aws", "access_key_id", r"AKIA[A-Z2-7]{16}"),
        ("aws", "secret_access_key", r"[A-Za-z0-9/+]{40}"),
        ("openrouter", "value", r"sk-or-v1-[0-9a-f]{64}"),
        ("", "value", r"nightyard-[A-Za-z0-9]{40}"),
    ],
)
def test_a_tool_that_checks_its_key_takes_it(preset: str, part: str, pattern: str) -> None:
    """Beginning, length and characters are the provider's."""
    for secret in ("a", "b", "c", "d"):
        assert re.fullmatch(pattern, Placeholders(KEY).of(MAIN, secret, preset, part))


def test_githubs_check_sum_is_right() -> None:
    """The last six characters are the CRC-32 of the thirty before, in base 62: their tools look."""
    text = Placeholders(KEY).of(MAIN, "github", "github")
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for char in text[-6:]:
        number = number * 62 + digits.index(char)
    assert number == zlib.crc32(text[4:-6].encode())


@pytest.mark.parametrize(
    "form",
    [
        "",
        "plain",
        "{40:digits}",
        "{5:alnum}{5:alnum}",
        "{15:hex}",
        "{40:emoji}",
        "{40:hex} x",
        "{40:hex}{",
        "é{40:hex}",
    ],
)
def test_what_could_not_be_found_again_is_no_form(form: str) -> None:
    """Unknown fields, no room for the tag, spaces."""
    assert not is_form(form)


@given(
    fields=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(sorted(SETS))), min_size=1, max_size=4),
    seed=st.binary(min_size=32, max_size=32),
)
def test_every_form_can_be_written_and_holds_the_tag(fields: list[tuple[int, str]], seed: bytes) -> None:
    """Whatever its fields: the length is right, and the tag is in it."""
    form = "x-" + "".join(f"{{{count}:{name}}}" for count, name in fields)
    if not is_form(form):
        return
    tag = make_tag(seed)
    written = write_placeholder(form, seed, tag)
    assert len(written) == 2 + sum(count for count, _name in fields)
    assert tag in written or tag.upper() in written
    assert write_placeholder(form, seed, tag) == written


WAYS = {
    "header": lambda text: searched_texts(target("/"), [(b"x-anything", text)]),
    "bearer": lambda text: searched_texts(target("/"), [(b"authorization", b"Bearer " + text)]),
    "basic": lambda text: searched_texts(
        target("/"), [(b"authorization", b"basic " + base64.b64encode(b"user:" + text))]
    ),
    "basic without its end": lambda text: searched_texts(
        target("/"), [(b"authorization", b"Basic  " + base64.b64encode(b"user:" + text + b"~").rstrip(b"="))]
    ),
    "basic for URLs, with spaces": lambda text: searched_texts(
        target("/"), [(b"authorization", b"Basic " + b" ".join((base64.urlsafe_b64encode(b"~~?>:" + text), b" \t=")))]
    ),
    "path": lambda text: searched_texts(target("/bot" + text.decode() + "/x"), []),
    "query": lambda text: searched_texts(target("/?q=" + text.decode().replace(":", "%3A")), []),
    "body": lambda text: searched_texts(target("/"), [], b'{"a": "' + text + b'"}'),
    "json": lambda text: searched_texts(target("/"), [], json.dumps({"a": "é" + text.decode()}).encode()),
    "form body": lambda text: searched_texts(target("/"), [], b"a=1&key=" + text.replace(b":", b"%3A")),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("preset", ["telegram", "anthropic", "aws", ""])
def test_it_is_found_wherever_it_stands(way: str, preset: str) -> None:
    """In headers, path, query and body, escaped and in Basic's pair too; and it is known whose it is."""
    part = "access_key_id" if preset == "aws" else "value"
    placeholders = Placeholders(KEY)
    placeholders.watch(
        lambda: [
            PlaceholderName(group_id=group, secret=secret, preset=preset, part=part)
            for group in (MAIN, OTHER)
            for secret in ("one", "two")
        ]
    )
    text = Placeholders(KEY).of(OTHER, "two", preset, part).encode()
    found = placeholders.find(WAYS[way](text))
    assert found is not None
    assert (found.group_id, found.secret, found.part) == (OTHER, "two", part)
    assert placeholders.is_carried(WAYS[way](text), OTHER, "two")
    assert not placeholders.is_carried(WAYS[way](text), OTHER, "one")


def test_one_that_belongs_is_not_misplaced_and_every_other_is() -> None:
    """Its own group's, for the request's own secret: nothing else."""
    placeholders = Placeholders(KEY)
    own = placeholders.of(MAIN, "github", "github").encode()
    foreign = placeholders.of(OTHER, "github", "github").encode()
    assert placeholders.find_misplaced([own], MAIN, "github") is None
    for texts, secret in (([own], "slack"), ([own], None), ([foreign], "github"), ([own, foreign], "github")):
        assert placeholders.find_misplaced(texts, MAIN, secret) is not None
    assert placeholders.find_misplaced([own], MAIN, None, belongs=lambda name: name == "github") is None
    assert placeholders.find_misplaced([own], MAIN, None, belongs=lambda name: name != "github") is not None
    assert placeholders.find_misplaced([own, foreign], MAIN, None, belongs=lambda _name: True) is not None


def test_one_of_a_grant_that_is_gone_is_none() -> None:
    """What policy no longer names is no placeholder, but what was handed out in this run stays known."""
    placeholders = Placeholders(KEY)
    name = PlaceholderName(group_id=MAIN, secret="old", preset="groq")
    text = Placeholders(KEY).of(MAIN, "old", "groq").encode()
    placeholders.watch(lambda: [name])
    assert placeholders.find([text]) is not None
    placeholders.watch(list)
    assert placeholders.find([text]) is None
    given = placeholders.of(MAIN, "token", "groq").encode()
    placeholders.watch(list)
    assert placeholders.find([given]) is not None


def test_nothing_is_listed_until_the_tag_was_seen() -> None:
    """A request without a placeholder costs a search for the tag, and where there is none to be found not even that."""
    placeholders, listed = Placeholders(KEY), []
    texts = tuple(searched_texts(target("/a?b"), [(b"a", b"b" * 5000)], b"c" * 100_000))

    def list_names() -> Iterator[PlaceholderName]:
        for secret in ("one", "two"):
            listed.append(secret)
            yield PlaceholderName(group_id=MAIN, secret=secret)

    assert placeholders.find(texts) is None
    placeholders.watch(list_names)
    assert placeholders.find(texts) is None
    assert listed == ["one"]
    assert placeholders.find([Placeholders(KEY).of(MAIN, "two").encode()]) is not None
    assert listed == ["one", "one", "two"]


@given(st.binary(max_size=200))
def test_any_bytes_may_be_searched(noise: bytes) -> None:
    """Around a placeholder there may be anything; without one nothing is found."""
    placeholders = Placeholders(KEY)
    text = placeholders.of(MAIN, "k", "tavily").encode()
    assert placeholders.find([noise]) is None
    assert placeholders.find([noise + text + noise]) is not None


def test_broken_basic_credentials_are_no_error() -> None:
    """What is not base64 is searched as it is."""
    assert Placeholders(KEY).find(searched_texts(target("/"), [(b"authorization", b"Basic ???")])) is None


def test_the_key_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    """So placeholders outlive a restart; a file cut short is made anew."""
    key = load_placeholder_key(tmp_path)
    assert load_placeholder_key(tmp_path) == key
    path = tmp_path / KEY_FILE
    assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116
    path.write_bytes(b"short")
    assert load_placeholder_key(tmp_path) != key
    with pytest.raises(ValueError, match="too short"):
        Placeholders(b"short")
