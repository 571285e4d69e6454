"""Another library's reading of the same Markdown, for Telegram: where they differ, it is known why, and how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from telegramify_markdown import convert

from channels.markdown.telegram import TelegramText, render_telegram
from tests.channels.markdown.commonmark import commonmark_documents
from tests.channels.markdown.corpus import documents
from tests.channels.markdown.readers import words_of

KINDS = ("bold", "italic", "strikethrough", "code", "pre", "text_link", "blockquote")
REASONS = {
    "html": (r"<[A-Za-z/!?]", "theirs drops HTML, ours shows it as text, with the Markdown in it"),
    "definition": (
        r"\]:|\]\[",
        "theirs follows a definition, ours leaves it as it is written: nothing is lost",
    ),
    "link": (
        r"\]\(|<\S+[:@]\S*>",
        "theirs links what Telegram drops in silence (a path, a script, a mail address); "
        "ours writes such an address and a title after the words, and has no code in a link",
    ),
    "math": (r"\$|\\\(", "theirs takes dollars for mathematics"),
    "task": (r"\[[ xX]\] ", "theirs draws a box, ours leaves the brackets"),
    "table": (r"^[ >]*\|", "ours writes a table that is too wide for a phone as records, with bold names"),
    "code-in-bold": (r"`", "Telegram allows no other style around code"),
    "quote-in-quote": (r">\s*>", "Telegram has one level of quote; ours marks the inner lines"),
    "item": (r"^ *(?:[-*+]|\d+[.)])\s", "theirs puts the blocks of an item together without a line end"),
    "heading": (r"^#|^[-=]+$", "a heading is bold, whatever else is said to be bold in it"),
}
# How many documents differ for each reason, in words or in the words of a style. These may only shrink.
KNOWN = Counter({"link": 48, "html": 35, "task": 19, "math": 11, "table": 7, "code-in-bold": 2, "definition": 2})
KNOWN_OF_COMMONMARK = Counter(
    {"html": 87, "definition": 74, "link": 40, "code-in-bold": 4, "item": 4, "heading": 2, "math": 1}
)


def differences(corpus: Iterable[tuple[str, str]]) -> tuple[Counter[str], list[str]]:
    """Return how many documents read differently for each known reason, and those that do for none."""
    known: Counter[str] = Counter()
    unknown: list[str] = []
    for name, markdown in corpus:
        theirs_text, theirs_entities = convert(markdown)
        messages = render_telegram(markdown)
        differing = _differing(theirs_text, theirs_entities, messages)
        if not differing:
            continue
        reason = next((why for why, (signs, _) in REASONS.items() if re.search(signs, markdown, re.M)), None)
        if reason is None:
            unknown.append(f"{name}: {differing}")
        else:
            known[reason] += 1
    return known, unknown


def _differing(text: str, entities: Sequence[object], messages: tuple[TelegramText, ...]) -> list[str]:
    theirs = {"words": Counter(words_of(text))} | _styled(text, entities)
    ours: dict[str, Counter[str]] = {"words": Counter(words_of("\n".join(message.text for message in messages)))}
    for message in messages:
        for kind, words in _styled(message.text, message.entities).items():
            ours[kind] = ours.get(kind, Counter()) + words
    return [
        f"{kind}: theirs {sorted(theirs[kind] - ours[kind])[:4]}, ours {sorted(ours[kind] - theirs[kind])[:4]}"
        for kind in theirs
        if theirs[kind] != ours.get(kind, Counter())
    ]


def _styled(text: str, entities: Sequence[object]) -> dict[str, Counter[str]]:
    """Return the words under each kind of style; what lies in two of a kind counts once."""
    units = text.encode("utf-16-le")
    found: dict[str, Counter[str]] = {}
    for kind in KINDS:
        covered = bytearray(len(units) // 2)
        for entity in entities:
            start, length = int(getattr(entity, "offset", 0)), int(getattr(entity, "length", 0))
            if str(getattr(entity, "type", "")).removeprefix("expandable_") == kind:
                covered[start : start + length] = b"\1" * length
        under = b"".join(units[2 * at : 2 * at + 2] if is_in else b" \0" for at, is_in in enumerate(covered))
        found[kind] = Counter(words_of(under.decode("utf-16-le", "replace")))
    return found


def test_the_two_readings_differ_where_it_is_known() -> None:
    """On our own documents the two readings differ for known reasons only, and not more often than before."""
    corpus = [(name, text) for name, text in documents() if not name.startswith(("hostile/", "all/"))]
    known, unknown = differences(corpus)
    assert unknown == []
    assert known <= KNOWN, known


@pytest.mark.long
def test_the_two_readings_of_commonmark_differ_where_it_is_known() -> None:
    """The same on CommonMark's own examples."""
    known, unknown = differences(commonmark_documents())
    assert unknown == []
    assert known <= KNOWN_OF_COMMONMARK, known
