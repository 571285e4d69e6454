"""A text and its entities become what the real server makes of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from twins.telegram.entities import STYLES, end_of, units, untangled
from twins.telegram.found import found_entities
from twins.telegram.html_text import parse_html
from twins.telegram.links import checked_link, user_of_link
from twins.telegram.markdown import parse_markdown, parse_markdown_v2
from twins.telegram.reader import CannotParse
from twins.telegram.refusal import Refusal
from twins.telegram.texts import MAX_ENTITIES, checked_caption, checked_text, formatted


def spans(entities: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(each["type"], each["offset"], each["length"]) for each in entities]


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("*b* _i_ __u__ ~s~ ||x|| `c`", "b i u s x c", "bold italic underline strikethrough spoiler code"),
        ("_*both*_", "both", "bold italic"),
        (r"1\. \*not\*", "1. *not*", ""),
        ("```py\nx = 1```", "x = 1", "pre"),
        ("[a](https://x.org/\\))", "a", "text_link"),
        ("[a](nonsense)", "a", ""),
        ("[Ada](tg://user?id=1001)", "Ada", "text_mention"),
        ("![👍](tg://emoji?id=5368324170671202286)", "👍", "custom_emoji"),
        ("![soon](tg://time?unix=1700000000&format=dt)", "soon", "date_time"),
        (">a\n>b\nc", "a\nb\nc", "blockquote"),
        (">a\n>b||", "a\nb", "expandable_blockquote"),
        ("**", "", ""),
    ],
)
def test_markdown_v2_is_read(source: str, text: str, expected: str) -> None:
    """Marks become entities, escapes what they escape."""
    found, entities = parse_markdown_v2(source)
    assert (found, sorted(each["type"] for each in entities)) == (text, sorted(expected.split()))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a.", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("é*b", "Can't find end of Bold entity at byte offset 2"),
        ("😀```py x", "Can't find end of PreCode entity at byte offset 4"),
        ("[a](b", "Can't find end of a URL at byte offset 4"),
        ("![a]", "The entity must contain a tg://emoji or tg://time URL"),
        ("a >b", "Character '>' is reserved and must be escaped with the preceding '\\'"),
    ],
)
def test_markdown_v2_is_refused_in_the_servers_words(source: str, words: str) -> None:
    """Byte offsets are of the UTF-8 text."""
    with pytest.raises(CannotParse) as refused:
        parse_markdown_v2(source)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("<b>b</b><i>i</i><u>u</u><s>s</s>", "bius", "bold italic underline strikethrough"),
        ("&lt;&#65;&#x42;&nbsp;&amp;", "<AB&nbsp;&", ""),
        ('<a href="https://x.org">a</a>', "a", "text_link"),
        ('<pre><code class="language-py">x</code></pre>', "x", "pre"),
        ("<blockquote expandable>q</blockquote>", "q", "expandable_blockquote"),
        ('<span class="tg-spoiler">x</span><tg-spoiler>y</tg-spoiler>', "xy", "spoiler spoiler"),
        ('<tg-emoji emoji-id="5">👍</tg-emoji>', "👍", "custom_emoji"),
        ("<B>x</>", "x", "bold"),
    ],
)
def test_html_is_read(source: str, text: str, expected: str) -> None:
    """The tags that Telegram knows become entities, references characters."""
    found, entities = parse_html(source)
    assert (found, sorted(each["type"] for each in entities)) == (text, sorted(expected.split()))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("é<p>x</p>", 'Unsupported start tag "p" at byte offset 2'),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
    ],
)
def test_html_is_refused_in_the_servers_words(source: str, words: str) -> None:
    """What is no tag of Telegram's is named, with its byte offset."""
    with pytest.raises(CannotParse) as refused:
        parse_html(source)
    assert str(refused.value) == words


def test_the_old_markdown_knows_no_nesting() -> None:
    """An entity ends at its next mark; what it lacks is told with a byte offset."""
    assert parse_markdown("_a *b* c_ `x`")[1] == [
        {"type": "italic", "offset": 0, "length": 7},
        {"type": "code", "offset": 8, "length": 1},
    ]
    with pytest.raises(CannotParse, match="end of the entity starting at byte offset 2"):
        parse_markdown("é*b")


def test_the_words_reach_the_client() -> None:
    """A parse error is a bad request that begins as the real one does."""
    with pytest.raises(Refusal) as refused:
        checked_text("a.", None, "markdownV2")
    assert refused.value.description.startswith("Bad Request: can't parse entities: Character '.' is reserved")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://x.org/a_(b), or x.org.", [("url", 4, 19), ("url", 28, 5)]),
        ("/start@some_bot and /no/path", [("bot_command", 0, 15)]),
        ("@ada_lovelace, @ab, mail@x.org", [("mention", 0, 13), ("email", 20, 10)]),
        ("#tag #1 $USD", [("hashtag", 0, 4), ("cashtag", 8, 4)]),
        ("😀 @some_bot", [("mention", 3, 9)]),
        ("foo.txt 1.2.3 e.g. x", []),
    ],
)
def test_the_server_finds_entities_of_its_own(text: str, expected: list[tuple[str, int, int]]) -> None:
    """Mentions, commands, tags and addresses are found in any text."""
    assert sorted(spans(found_entities(text)), key=lambda each: each[1]) == expected


def test_entities_that_cross_are_cut_and_others_dropped() -> None:
    """Styles are cut at the edges of links and code, and gone within code; of two links that cross the first stays."""
    bold: dict[str, Any] = {"type": "bold", "offset": 0, "length": 6}
    link: dict[str, Any] = {"type": "text_link", "offset": 3, "length": 6, "url": "u"}
    assert spans(untangled([bold, link])) == [("bold", 0, 3), ("text_link", 3, 6), ("bold", 3, 3)]
    code = {"type": "code", "offset": 2, "length": 2}
    assert spans(untangled([bold, code])) == [("bold", 0, 2), ("code", 2, 2), ("bold", 4, 2)]
    assert spans(untangled([link, {**link, "offset": 5}])) == [("text_link", 3, 6)]


def test_whatever_is_given_no_two_entities_cross() -> None:
    """Any heap of entities becomes one that nests, and no style is lost outside of code."""
    chance = random.Random(6)
    kinds = (*STYLES, "code", "pre", "text_link", "blockquote", "expandable_blockquote")
    for _ in range(2000):
        given: list[dict[str, Any]] = []
        for _ in range(chance.randint(1, 8)):
            start = chance.randint(0, 19)
            given.append({"type": chance.choice(kinds), "offset": start, "length": chance.randint(1, 20 - start)})
        kept = untangled(given)
        for one in kept:
            for other in kept:
                apart = end_of(one) <= other["offset"] or end_of(other) <= one["offset"]
                nested = (one["offset"] <= other["offset"] and end_of(other) <= end_of(one)) or (
                    other["offset"] <= one["offset"] and end_of(one) <= end_of(other)
                )
                assert apart or nested, (given, kept)
        covered = [{each["type"] for each in kept if each["offset"] <= at < end_of(each)} for at in range(20)]
        wanted = [{each["type"] for each in given if each["offset"] <= at < end_of(each)} for at in range(20)]
        for have, want in zip(covered, wanted, strict=True):
            if not have & {"code", "pre"}:
                assert have & set(STYLES) == want & set(STYLES)


def test_lengths_have_the_servers_limits() -> None:
    """Captions end at 1024 characters, raw text at 32768 bytes; the hundred and first entity is ignored."""
    assert len(checked_caption("😀" * 1024, None)[0]) == 1024
    with pytest.raises(Refusal, match="message caption is too long"):
        checked_caption("x" * 1025, None)
    with pytest.raises(Refusal, match="text is too long"):
        checked_text("é" * 16385, None)
    given = [{"type": "bold", "offset": 2 * number, "length": 1} for number in range(150)]
    assert len(formatted("ab" * 200, given)[1]) == MAX_ENTITIES


@pytest.mark.parametrize(
    ("entity", "words"),
    [
        ({"type": "sparkle", "offset": 0, "length": 1}, "can't parse MessageEntity: Unsupported type specified"),
        ({"type": "bold", "length": 1}, "can't parse MessageEntity: Can't find field \"offset\""),
        ({"type": "bold", "offset": -1, "length": 1}, "receive an entity with incorrect offset -1"),
        ({"type": "bold", "offset": 9, "length": 1}, "entity begins after the end of the text at UTF-16 offset 9"),
        ({"type": "bold", "offset": 1, "length": 1}, "entity begins in a middle of a UTF-16 symbol at byte offset 4"),
    ],
)
def test_a_wrong_entity_is_named(entity: dict[str, Any], words: str) -> None:
    """Entities that cannot be are refused; kinds that the server finds itself are passed over."""
    with pytest.raises(Refusal) as refused:
        formatted("😀ab", [entity])
    assert refused.value.description == f"Bad Request: {words}"
    assert formatted("ab", [{"type": "mention", "offset": 0, "length": 2}]) == ("ab", [])


def test_control_characters_go_and_entities_follow() -> None:
    """Carriage returns vanish, other control characters are blanks, and offsets move along."""
    text, entities = formatted("a\r\n\tb", [{"type": "bold", "offset": 3, "length": 2}])
    assert (text, spans(entities)) == ("a\n b", [("bold", 2, 2)])
    assert formatted("a\rb", [{"type": "bold", "offset": 1, "length": 1}]) == ("ab", [])


def test_links_are_kept_as_the_server_keeps_them() -> None:
    """A link without a scheme gets one, what is none is nothing."""
    assert checked_link("Example.org") == "http://example.org/"
    assert checked_link("https://x.org/A?b#c") == "https://x.org/A?b#c"
    assert checked_link("tg://resolve?domain=x") == "tg://resolve?domain=x"
    assert [checked_link(each) for each in ("", "word", "a b.org", "javascript:alert(1)")] == [""] * 4
    assert user_of_link("tg://user?id=7") == 7
    assert user_of_link("tg://user?id=x") is None


@pytest.mark.parametrize("source", ["x" * 4000, "a." * 2000, "a-" * 2000, "@" * 4000, "https://" * 500, "#" * 4000])
def test_no_text_takes_long(source: str) -> None:
    """Texts that are hard on patterns are read as fast as others."""
    assert units(formatted(source, None)[0]) == len(source)
