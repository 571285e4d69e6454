"""Cuts texts into passages, and people's words into a question to the index. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

PASSAGE_CHARS = 1_200
"""About what a person would quote; ten of them are a tenth of what a tool may put out."""
MAX_WORDS = 24
MAX_WORD_CHARS = 60
_WORD = re.compile(r"\w+", re.UNICODE)
_COMMON_TEXT = """
a about an and are as at be but by did do does for from had has have how i in is it me my of on or our she he that the
their them they this to us was we were what when where which who why will with you your
der die das den dem des ein eine einen einem einer und oder ist war sind waren wie was wann wo wer warum ich du er sie
es wir ihr mir dir uns mein dein sein zu im am mit von auf für nicht
"""
_COMMON = frozenset(_COMMON_TEXT.split())
"""Words that stand in every text and tell nothing of it; they count only where a question has no others."""


def cut(text: str, most_chars: int = PASSAGE_CHARS) -> Iterator[str]:
    """Yield the text in passages: whole paragraphs as long as they fit, a longer one by lines, then by words."""
    held = ""
    for piece in _pieces(text, most_chars):
        if held and len(held) + len(piece) > most_chars:
            yield held.strip()
            held = ""
        held += piece
    if held.strip():
        yield held.strip()


def _pieces(text: str, most_chars: int) -> Iterator[str]:
    for paragraph in re.split(r"(?<=\n)(?=\s*\n)", text):
        if len(paragraph) <= most_chars:
            yield paragraph
            continue
        for line in paragraph.splitlines(keepends=True):
            while len(line) > most_chars:
                end = line.rfind(" ", 1, most_chars) + 1 or most_chars
                yield line[:end]
                line = line[end:]
            yield line


def match_expression(question: str) -> str:
    """Return the question for FTS5: each word as a beginning of a word, any of them; empty if there is no word."""
    words = list(dict.fromkeys(word.casefold()[:MAX_WORD_CHARS] for word in _WORD.findall(question)))
    telling = [word for word in words if word not in _COMMON and (len(word) > 1 or word.isdigit())] or words
    return " OR ".join(_term(word) for word in telling[:MAX_WORDS])


def _term(word: str) -> str:
    # A quoted string is FTS5's literal: nothing in it is an operator. Short words mean themselves.
    return f'"{_stem(word)}"*' if len(word) > 3 and not word.isdigit() else f'"{word}"'


def _stem(word: str) -> str:
    """Return a word without the ending that most often differs between a question and what it is about."""
    for ending in ("ings", "ing", "ies", "ed", "es", "s", "en", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
