"""Hundreds of documents through each back-end: every message is one that its platform takes, and nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from channels.markdown.discord import CHUNK_CHARS, render_discord
from channels.markdown.render import cleaned
from channels.markdown.slack import render_slack
from channels.markdown.telegram import render_telegram
from tests.channels.markdown.commonmark import commonmark_documents
from tests.channels.markdown.corpus import documents
from tests.channels.markdown.readers import (
    discord_refusals,
    lost_words,
    read_discord,
    read_markdown,
    read_mrkdwn,
    read_rich_text,
    slack_refusals,
    telegram_refusals,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackEnd:
    """A back-end with what its platform says of it: refusals, and the words seen, of all messages of a document."""

    name: str
    carry: Callable[[str], tuple[list[str], str]]


def _telegram(markdown: str) -> tuple[list[str], str]:
    messages = render_telegram(markdown)
    refusals = [refusal for message in messages for refusal in telegram_refusals(message)]
    return refusals, "\n".join(message.text for message in messages)


def _discord(markdown: str) -> tuple[list[str], str]:
    messages = render_discord(markdown)
    refusals = [refusal for message in messages for refusal in discord_refusals(message)]
    return refusals, "\n".join(map(read_discord, messages))


def _slack(markdown: str) -> tuple[list[str], str]:
    messages = render_slack(markdown)
    refusals = [refusal for message in messages for refusal in slack_refusals(message.text, message.blocks)]
    return refusals, "\n".join(read_rich_text(block) for message in messages for block in message.blocks)


def _slack_text(markdown: str) -> tuple[list[str], str]:
    return [], "\n".join(read_mrkdwn(message.text) for message in render_slack(markdown))


BACK_ENDS = (
    BackEnd(name="telegram", carry=_telegram),
    BackEnd(name="discord", carry=_discord),
    BackEnd(name="slack", carry=_slack),
    BackEnd(name="slack-text", carry=_slack_text),
)


def complaints(back_end: BackEnd, corpus: Iterable[tuple[str, str]]) -> list[str]:
    """Return what is wrong, a line a document."""
    found: list[str] = []
    for name, markdown in corpus:
        refusals, shown = back_end.carry(markdown)
        # A table too wide for a phone becomes records: its words stand in another order.
        has_table = re.search(r"^[ >]*\|.*\n[ >]*\|[ :|-]+\|", markdown, re.M) is not None
        lost = lost_words(read_markdown(cleaned(markdown)), shown, in_order=not has_table)
        found += [f"{name}: refused: {refusals[:3]}"] if refusals else []
        found += [f"{name}: lost: {lost[:80]!r}"] if lost else []
    return found


@pytest.mark.parametrize("back_end", BACK_ENDS, ids=lambda back_end: back_end.name)
def test_every_document_is_taken_and_loses_nothing(back_end: BackEnd) -> None:
    """No message of the corpus would be refused or ring anybody, and all that a reader of Markdown sees is seen."""
    assert complaints(back_end, documents()) == []


def test_the_corpus_is_large() -> None:
    """The corpus has more than three hundred documents, no two of one name."""
    names = [name for name, _ in documents()]
    assert len(set(names)) == len(names) > 300


def test_a_cut_fence_keeps_its_language_on_discord() -> None:
    """Each message of a long block of code is a block of that language, closed in itself."""
    messages = render_discord("```sh\n" + "\n".join(f"echo {number}" for number in range(900)) + "\n```")
    assert len(messages) > 3
    assert all(message.startswith("```sh\necho") and message.endswith("\n```") for message in messages)
    assert all(len(message) <= CHUNK_CHARS for message in messages)


@pytest.mark.parametrize(
    "messages_of",
    [
        lambda markdown: [message.text for message in render_telegram(markdown)],
        render_discord,
        lambda markdown: [message.text for message in render_slack(markdown)],
    ],
    ids=["telegram", "discord", "slack"],
)
@pytest.mark.parametrize("written", ["all", "ones"])
def test_a_cut_list_goes_on_with_its_numbers(messages_of: Callable[[str], list[str]], written: str) -> None:
    """The messages of a long list go on counting where the one before stopped, though all were written as ones."""
    numbers = range(4, 800)
    markdown = "\n".join(
        f"{number if written == 'all' or number == 4 else 1}. item with some words" for number in numbers
    )
    messages = messages_of(markdown)
    seen = [int(line.split(".")[0]) for message in messages for line in message.splitlines()]
    assert len(messages) > 2
    assert seen == list(numbers)


@pytest.mark.parametrize(
    ("markdown", "discord"),
    [
        ("# One\n\n#### Four", "# One\n\n**Four**"),
        ("- a\n  - b\n\n3. c", "- a\n  - b\n\n3. c"),
        ("**b** *i* ~~s~~ `c`", "**b** _i_ ~~s~~ `c`"),
        ("in*word*s", "in*word*s"),
        ("[l](https://x.y/a_(b))", "[l](https://x.y/a_%28b%29)"),
        ("\\*a\\* snake_case", "\\*a\\* snake\\_case"),
        ("@everyone <@1> <#2>", "@\u200beveryone \\<@\u200b1> \\<#\u200b2>"),
        ("`@here`", "`@\u200bhere`"),
        ("> q\n> r", "> q\n> r"),
        ("https://x.y/a_b_c", "https://x.y/a_b_c"),
        ("`` a`b ``", "``a`b``"),
        ("```{.py}\nx\n```", "{.py}\n```\nx\n```"),
        ("text\n\n```py\nx\n```\n\nend", "text\n\n```py\nx\n```\n\nend"),
        ("````md\n```py\nx\n```\n````", "```md\n`\u200b``py\nx\n`\u200b``\n```"),
    ],
)
def test_discord_is_given_what_it_understands(markdown: str, discord: str) -> None:
    """What Discord has marks for stays marked up; other characters are escaped where they would be one."""
    assert render_discord(markdown) == (discord,)


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("# One", "*One*"),
        ("**b** *i* ~~s~~ `c`", "*b* _i_ ~s~ `c`"),
        ("in*word*s", "in\u200b_word_\u200bs"),
        ("[l](https://x.y/?a=1&b=2)", "<https://x.y/?a=1&amp;b=2|l>"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<!channel> @here", "&lt;!channel&gt; @\u200bhere"),
        ("> q\n> r", "> q\n> r"),
        ("```py\na < b\n```", "```\na &lt; b\n```"),
    ],
)
def test_slack_is_told_in_mrkdwn_too(markdown: str, mrkdwn: str) -> None:
    """What Slack shows where there are no blocks is its mrkdwn, with its three escapes."""
    (message,) = render_slack(markdown)
    assert message.text == mrkdwn


def test_slack_sees_styles_as_fields() -> None:
    """In a block, styles and links are fields of the text, quotes and code are elements of their own."""
    (message,) = render_slack("**b** [l](https://x.y)\n\n> q\n\n```py\nc\n```")
    text = {"type": "text", "text": "b", "style": {"bold": True}}
    link = {"type": "link", "url": "https://x.y", "text": "l"}
    assert message.blocks == (
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_section", "elements": [text, {"type": "text", "text": " "}, link]},
                {"type": "rich_text_quote", "elements": [{"type": "text", "text": "q"}]},
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "c"}]},
            ],
        },
    )


def test_a_table_that_is_too_wide_for_a_phone_becomes_records() -> None:
    """A row of a wide table is lines of `column: value`, styles and links kept; an empty cell has a dash."""
    table = f"| Name | What it does |\n|-|-|\n| `a` | {'long words ' * 5}[here](https://x.y) |\n| b | |"
    words = "long words " * 5
    assert render_discord(table) == (
        f"**Name**: `a`\n**What it does**: {words}[here](https://x.y)\n\n**Name**: b\n**What it does**: –",
    )


def test_a_long_table_has_its_head_in_each_part() -> None:
    """No message begins in the middle of columns without names."""
    table = "| number | square |\n|-|-|\n" + "\n".join(f"| {number} | {number**2} |" for number in range(300))
    messages = render_telegram(table) + render_telegram(table, 1500)
    assert len(messages) > 3
    assert all(message.text.startswith("number | square\n") for message in messages)


@pytest.mark.long
@pytest.mark.parametrize("back_end", BACK_ENDS, ids=lambda back_end: back_end.name)
def test_commonmarks_examples_are_taken_and_lose_nothing(back_end: BackEnd) -> None:
    """The same of each example in CommonMark's own specification."""
    examples = commonmark_documents()
    assert len(examples) > 600
    assert complaints(back_end, examples) == []
