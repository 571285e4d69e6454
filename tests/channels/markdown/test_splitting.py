"""Wherever a text is cut, the messages hold together: within the limit, in order, nothing lost, no mark left open."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from channels.markdown.discord import render_discord
from channels.markdown.slack import render_slack
from channels.markdown.stream import settled_for_stream, unrung_markdown
from tests.channels.markdown.corpus import REPLIES
from tests.channels.markdown.readers import (
    discord_refusals,
    read_discord,
    read_mrkdwn,
    read_rich_text,
    slack_refusals,
)

_MARKS = st.sampled_from(
    [
        *"*_`~[]()<>#>-+.!|\\\n\n\n  \t&:@",
        "```",
        "```py\n",
        "**",
        "1. ",
        "- ",
        "> ",
        "\n\n",
        "😀",
        "e\u0301",
        "👨‍👩‍👧",
        "|-|-|\n",
        "| a | b |\n|-|-|\n| c | d |\n",
        "@everyone",
        "<@1234>",
        "<!here>",
        "](https://x.y/z_z)",
        "https://x.y/a_b*c",
    ]
)
_WORDS = st.from_regex(r"w[0-9]{4}w ", fullmatch=True)
_LINES = st.builds(lambda word, count: f"{word * count}\n", _WORDS, st.integers(min_value=1, max_value=60))
_MARKDOWN = st.lists(st.one_of(_MARKS, _MARKS, _LINES, _WORDS, st.text(max_size=12)), max_size=60).map("".join)
_LIMITS = st.integers(min_value=700, max_value=1950)


@settings(max_examples=150, deadline=None)
@given(_MARKDOWN, _LIMITS)
def test_any_text_gives_messages_that_discord_takes(markdown: str, limit: int) -> None:
    """No message of Discord's is over the limit or rings anybody, and each word is there, in order."""
    messages = render_discord(markdown, limit)
    assert [refusal for message in messages for refusal in discord_refusals(message)] == []
    assert all(len(message.encode("utf-16-le")) // 2 <= limit for message in messages)
    _in_order(markdown, "\n".join(map(read_discord, messages)))


@settings(max_examples=150, deadline=None)
@given(_MARKDOWN, _LIMITS)
def test_any_text_gives_messages_that_slack_takes(markdown: str, limit: int) -> None:
    """No message of Slack's is over the limit with its escapes, or rings anybody, and each word is there, in order."""
    messages = render_slack(markdown, limit)
    assert [refusal for message in messages for refusal in slack_refusals(message.text, message.blocks)] == []
    assert all(len(message.text) <= limit for message in messages)
    _in_order(markdown, "\n".join(read_rich_text(block) for message in messages for block in message.blocks))
    _in_order(markdown, "\n".join(read_mrkdwn(message.text) for message in messages))


def _in_order(markdown: str, shown: str) -> None:
    """Each word is seen as often as it was said, in that order; but for what is said in an address or a language."""
    said = re.findall(r"w\d{4}w", re.sub(r"\]\(\S*|```\S*.*|~~~.*", "", markdown))
    seen = iter(re.findall(r"w\d{4}w", shown))
    assert all(word in seen for word in said)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(REPLIES), st.data())
def test_what_was_streamed_stays(reply: str, data: st.DataObject) -> None:
    """What may be appended of a text is the beginning of what may be appended when it is longer."""
    first = data.draw(st.integers(min_value=0, max_value=len(reply)))
    second = data.draw(st.integers(min_value=first, max_value=len(reply)))
    shorter, longer = settled_for_stream(reply[:first]), settled_for_stream(reply[:second])
    assert reply.startswith(shorter)
    assert longer.startswith(shorter)


def test_a_stream_holds_back_what_is_open() -> None:
    """A word that may become bold, a row that may become a table and a line of code that is not whole wait."""
    assert settled_for_stream("one **two three") == "one "
    assert settled_for_stream("one **two** three") == "one **two** "
    assert settled_for_stream("text\n\n| a | b |\n|--") == "text\n\n"
    assert settled_for_stream("```py\nx = 1\ny =") == "```py\nx = 1\n"
    assert settled_for_stream("done.\n\nnext") == "done.\n\n"


def test_a_stream_rings_nobody() -> None:
    """What a platform would read as a mention is none any more, in code too."""
    assert unrung_markdown("<!here> `<@U1>` @channel a@b.c") == "<\u200b!here> `<\u200b@U1>` @\u200bchannel a@b.c"
