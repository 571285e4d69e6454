"""Markdown becomes text and entities that Telegram takes, and nothing of it is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.markdown.render import MAX_NESTING, plain_text
from channels.markdown.telegram import (
    CHUNK_UNITS,
    MAX_ENTITIES,
    Entity,
    TelegramText,
    render_telegram,
    utf16_units,
)


def styled_parts(message: TelegramText) -> list[tuple[str, str]]:
    units = message.text.encode("utf-16-le")
    return [
        (entity.type, units[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le"))
        for entity in message.entities
    ]


def only(markdown: str) -> TelegramText:
    (message,) = render_telegram(markdown)
    return message


@pytest.mark.parametrize(
    ("markdown", "text", "parts"),
    [
        ("plain", "plain", []),
        ("**b** and *i* and ~~s~~", "b and i and s", [("bold", "b"), ("italic", "i"), ("strikethrough", "s")]),
        ("😀 **é😀** x", "😀 é😀 x", [("bold", "é😀")]),
        ("**a *b* c**", "a b c", [("bold", "a b c"), ("italic", "b")]),
        ("**bold `code` bold**", "bold code bold", [("bold", "bold "), ("code", "code"), ("bold", " bold")]),
        ("# Head **line**", "Head line", [("bold", "Head line")]),
        ("one\ntwo", "one\ntwo", []),
        ("- a\n- b\n  - c", "• a\n• b\n  ◦ c", []),
        ("3. a\n4. b", "3. a\n4. b", []),
        ("> said\n\nanswer", "said\n\nanswer", [("blockquote", "said")]),
        ("> a\n>> b", "a\n\n> b", [("blockquote", "a\n\n> b")]),
        ("<script>x</script> &amp; <b>", "<script>x</script> & <b>", []),
        ("<div>\nblock\n</div>", "<div>\nblock\n</div>", []),
        ("[a](javascript:x)", "[a](javascript:x)", []),
        ("[a](./f.md)", "a (./f.md)", []),
        ("<http://x.y>", "http://x.y", []),
        ("![a picture](http://x.y/p.png)", "a picture", [("text_link", "a picture")]),
        ('[a](http://x.y "more")', "a (more)", [("text_link", "a")]),
        ("```py name.py\ncode\n```", "name.py\ncode", [("pre", "code")]),
        ("a\n\n[ref]: http://x.y", "a\n\n[ref]: http://x.y", []),
        ("|a|b|\n|-|-|\n|1|22|", "a | b\n--+---\n1 | 22", [("pre", "a | b\n--+---\n1 | 22")]),
        ("***", "———", []),
        ("a\x00\x1bb\u202ec", "a  bc", []),
        ("a\ud800b", "a\ufffdb", []),
    ],
)
def test_each_construct_reads_as_meant(markdown: str, text: str, parts: list[tuple[str, str]]) -> None:
    """Each construct of Markdown gives its text and its entities."""
    message = only(markdown)
    assert message.text == text
    assert styled_parts(message) == parts


def test_a_link_keeps_its_address_with_parentheses() -> None:
    """An address with parentheses stays whole, in the entity."""
    message = only("see [this `page`](https://x.y/a_(b))")
    assert message.entities == (Entity(type="text_link", offset=4, length=9, url="https://x.y/a_(b)"),)


def test_a_fence_is_a_pre_with_its_language() -> None:
    """A fenced block becomes a pre entity with its language, its indentation kept."""
    message = only("```python\ndef f():\n    pass\n```")
    assert message.text == "def f():\n    pass"
    assert message.entities == (Entity(type="pre", offset=0, length=17, language="python"),)


def test_an_unclosed_fence_is_a_pre() -> None:
    """A fence that was never closed, as in a stream, still is a pre."""
    assert styled_parts(only("text\n\n```\ncode")) == [("pre", "code")]


def test_a_fence_in_a_list_keeps_its_own_indentation() -> None:
    """Code inside a list item is not indented by the list."""
    assert "\ndef f():\n    pass" in only("- do:\n  ```\n  def f():\n      pass\n  ```").text


def test_a_cut_fence_is_open_in_both_messages() -> None:
    """A fence longer than one message is a pre, of the same language, in each of its messages."""
    code = "\n".join(f"    line {number}" for number in range(1000))
    messages = render_telegram(f"before\n\n```sh\n{code}\n```\n\nafter")
    assert len(messages) > 2
    assert all(any(entity.language == "sh" for entity in message.entities) for message in messages)
    assert all(message.text.startswith(("before", "    line")) for message in messages)
    assert messages[-1].text.endswith("after")


def test_messages_are_cut_between_paragraphs() -> None:
    """A long text is cut at the end of a paragraph where there is one."""
    paragraph = "word " * 150
    messages = render_telegram("\n\n".join([paragraph] * 20))
    assert len(messages) > 2
    assert all(message.text.endswith("word") and len(message.text) % 751 == 749 for message in messages)


def test_too_many_entities_go_into_the_next_message() -> None:
    """Telegram ignores what is beyond a hundred entities, so a message has no more."""
    messages = render_telegram(" ".join(f"`c{number}`" for number in range(250)))
    assert sum(len(message.entities) for message in messages) == 250
    assert all(len(message.entities) <= MAX_ENTITIES for message in messages)


def test_nesting_beyond_the_parser_is_shown_as_written() -> None:
    """Where the parser would drop what is nested too deeply, the text is shown as it was written."""
    deep = "> " * (MAX_NESTING * 3) + "still here"
    assert "still here" in "".join(message.text for message in render_telegram(deep))
    indented = "\n".join("  " * level + f"- level{level}" for level in range(200))
    assert "level199" in "".join(message.text for message in render_telegram(indented))


def test_a_text_made_to_keep_the_parser_busy_is_shown_as_written() -> None:
    """Thousands of opened links would take the parser seconds; they are shown as they are."""
    hostile = "![" * 16_000
    assert "".join(message.text for message in render_telegram(hostile)) == hostile


def test_a_family_emoji_is_not_torn() -> None:
    """A cut falls between drawn characters, not inside a joined emoji."""
    family = "👨‍👩‍👧‍👦"
    messages = render_telegram(family * 1000)
    assert all(message.text.startswith("👨") and message.text.endswith("👦") for message in messages)


def test_blank_text_gives_no_message() -> None:
    """White space alone is nothing to send."""
    assert render_telegram(" \n\t\n") == ()


def test_plain_text_keeps_addresses() -> None:
    """The plain form has no styles, but the addresses of its links."""
    assert plain_text("**see** [this](http://x.y)") == "see this (http://x.y)"


_FRAGMENTS = st.sampled_from(
    [
        *"*_`~[]()<>#>-+.!|\\\n\n\n  \t&:",
        "```",
        "**",
        "1. ",
        "- ",
        "> ",
        "\n\n",
        "😀",
        "é",
        "e\u0301",
        "👨‍👩‍👧",
        "|-|-|\n",
    ]
)
_MARKDOWN = st.lists(st.one_of(_FRAGMENTS, st.text(max_size=12), st.from_regex(r"w[0-9]{4}w", fullmatch=True))).map(
    "".join
)


@settings(max_examples=150, deadline=None)
@given(_MARKDOWN, st.integers(min_value=20, max_value=200))
def test_any_text_gives_messages_that_telegram_takes(markdown: str, limit: int) -> None:
    """Whatever is rendered: messages within the limit, entities within the text and on whole characters."""
    for message in render_telegram(markdown, limit):
        assert 1 <= utf16_units(message.text) <= limit
        assert message.text.strip()
        message.text.encode()
        assert len(message.entities) <= MAX_ENTITIES
        for entity in message.entities:
            assert entity.offset >= 0 < entity.length
            assert entity.offset + entity.length <= utf16_units(message.text)
        styled_parts(message)  # decodes: no entity cuts a surrogate pair
        code = [entity for entity in message.entities if entity.type in ("code", "pre")]
        for inner in code:
            for other in message.entities:
                if other is not inner and other.type != "blockquote":
                    assert other.offset >= inner.offset + inner.length or other.offset + other.length <= inner.offset


@settings(max_examples=150, deadline=None)
@given(_MARKDOWN)
def test_no_word_is_lost(markdown: str) -> None:
    """Every word of the Markdown is in the messages or in an address or language of theirs, however it was styled."""
    messages = render_telegram(markdown, 100)
    shown = "\n".join(message.text for message in messages)
    aside = "\n".join(entity.url + entity.language for message in messages for entity in message.entities)
    for word in re.findall(r"w[0-9]{4}w", markdown):
        assert word in shown.replace("\n", "") or word in shown + aside


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet="abc😀é \n", min_size=1), min_size=1), st.integers(min_value=30, max_value=100))
def test_splitting_loses_only_white_space(paragraphs: list[str], limit: int) -> None:
    """The messages of a text without marks are its characters, in order, without the white space at the cuts."""
    markdown = "\n\n".join(paragraphs)
    shown = "".join(message.text for message in render_telegram(markdown, limit))
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", markdown)


def test_the_aim_is_below_the_platforms_limit() -> None:
    """A message of the aimed length is one that Telegram takes."""
    assert all(utf16_units(message.text) <= CHUNK_UNITS for message in render_telegram("😀" * 20_000))


@pytest.mark.parametrize(
    "address", ["tg://user?id=5", "TG://user?id=5", "tg://resolve?domain=ben", "javascript:alert(1)"]
)
def test_only_web_addresses_are_links(address: str) -> None:
    """A link to `tg://user?id=…` would ring that person: it is shown, as any other address is."""
    message = only(f"see [him]({address}) there")
    assert not message.entities and address in message.text
