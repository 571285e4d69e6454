"""Markdown to Slack messages: a `rich_text` block, which people see, and the same in mrkdwn beside it. Pure.

Slack has three ways of taking text. mrkdwn has no escape for `*`, `_`, `~` and a backtick; `markdown_text` knows no
tables and no rules, and its escapes are nowhere described; in `rich_text` every character is what it is and styles are
fields, as Telegram's entities are. So that is what a message is made of, and mrkdwn is what Slack shows where there are
no blocks: in notifications, in search, to screen readers. `chat.startStream` takes nothing but Markdown: see
`stream.py`.

Nobody is rung: mentions are elements of their own, which are never made here; in mrkdwn `<` is always escaped, and
after the `@` of `@here`, `@channel` and `@everyone` stands a space of no width.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from channels.markdown.markup import BARE_ADDRESS, UNSEEN, with_written_addresses, written
from channels.markdown.render import render_markdown
from channels.markdown.split import split_styled
from channels.markdown.styled import Span, Styled

CHUNK_CHARS = 3900
"""Aim of a message, its mrkdwn with all escapes; Slack's advice is 4000, and it refuses blocks of 13,200 together."""
MAX_SPANS = 400
"""Of one message; each becomes one or two elements."""
MAX_ADDRESS_CHARS = 1000

Json = dict[str, object]

_RINGING = re.compile(r"@(?=here|channel|everyone)", re.IGNORECASE)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIAL = re.compile(r"[&<>]")
_MARK = re.compile(r"[*_~`]")
_STYLES = {"bold": "bold", "italic": "italic", "strikethrough": "strike", "code": "code"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackText:
    """One message: both go into the same call."""

    text: str
    """mrkdwn."""
    blocks: tuple[Json, ...]


def render_slack(markdown: str, limit: int = CHUNK_CHARS) -> tuple[SlackText, ...]:
    """Return the messages that say what the Markdown says, none over `limit` characters; none for a blank text."""
    styled = with_written_addresses(render_markdown(markdown).with_headings_bold().without("bullet"), _is_linkable)
    chunks = split_styled(styled, limit, lambda chunk: len(written(chunk, _MRKDWN)), MAX_SPANS)
    return tuple(SlackText(text=written(chunk, _MRKDWN), blocks=(rich_text(chunk),)) for chunk in chunks)


def slack_literal(text: str) -> str:
    """Return a text of no Markdown (a name, a label of ours) in mrkdwn that shows just its characters."""
    return _MRKDWN.literal(text, 0, len(text))


def rich_text(chunk: Styled) -> Json:
    """Return the text as a block."""
    elements: list[Json] = []
    position = 0
    frames = sorted(_frames(chunk), key=lambda span: span.start)
    for frame in frames:
        elements += _section("rich_text_section", chunk, position, frame.start)
        kind = "rich_text_preformatted" if frame.kind == "pre" else "rich_text_quote"
        elements += _section(kind, chunk, frame.start, frame.end)
        position = frame.end
    elements += _section("rich_text_section", chunk, position, len(chunk.text))
    return {"type": "rich_text", "elements": elements}


def _frames(chunk: Styled) -> list[Span]:
    """Return what stands as an element of its own; a quote with code in it is in pieces, for Slack nests none."""
    pres = sorted((span for span in chunk.spans if span.kind == "pre"), key=lambda span: span.start)
    frames = list(pres)
    for quote in (span for span in chunk.spans if span.kind == "quote"):
        start = quote.start
        for pre in pres:
            if quote.start <= pre.start < quote.end:
                frames.append(replace(quote, start=start, end=pre.start))
                start = pre.end
        frames.append(replace(quote, start=start))
    return [frame for frame in frames if frame.start < frame.end]


def _section(kind: str, chunk: Styled, start: int, end: int) -> list[Json]:
    """Return the element of this kind, none for blank text; the line ends around it are Slack's own."""
    text = chunk.text
    while start < end and text[start] == "\n":
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if start >= end:
        return []
    if kind == "rich_text_preformatted":
        return [{"type": kind, "elements": [{"type": "text", "text": text[start:end]}]}]
    return [{"type": kind, "elements": _elements(chunk.part(start, end))}]


def _elements(part: Styled) -> list[Json]:
    edges = {0, len(part.text)}
    for span in part.spans:
        edges |= {span.start, span.end}
    places = sorted(edges)
    elements: list[Json] = []
    for start, end in pairwise(places):
        here = [span for span in part.spans if span.start <= start and span.end >= end]
        style = {_STYLES[span.kind]: True for span in here if span.kind in _STYLES}
        link = next((span.detail for span in here if span.kind == "link"), "")
        if link:
            elements.append(_styled({"type": "link", "url": link, "text": part.text[start:end]}, style))
        elif "code" in style:
            elements.append(_styled({"type": "text", "text": part.text[start:end]}, style))
        else:
            elements += [_styled(element, style) for element in _plain(part.text[start:end])]
    return elements


def _plain(text: str) -> list[Json]:
    """Return the text with its addresses as links: in this block Slack makes none of its own."""
    elements: list[Json] = []
    position = 0
    for address in BARE_ADDRESS.finditer(text):
        if address.start() > position:
            elements.append({"type": "text", "text": text[position : address.start()]})
        elements.append({"type": "link", "url": address.group()})
        position = address.end()
    if position < len(text):
        elements.append({"type": "text", "text": text[position:]})
    return elements


def _styled(element: Json, style: dict[str, bool]) -> Json:
    return {**element, "style": style} if style else element


def _is_linkable(link: Span, label: str) -> bool:
    is_address = link.detail.lower().startswith(("http://", "https://")) and len(link.detail) <= MAX_ADDRESS_CHARS
    return is_address and "://" not in label  # a label that is another address would deceive


class _Mrkdwn:
    quote_mark = "> "

    def literal(self, whole: str, start: int, end: int) -> str:
        pieces: list[str] = []
        position = start
        for address in BARE_ADDRESS.finditer(whole, start, end):
            target = _address(address.group())
            is_itself = target == _encoded(address.group())
            link = f"<{target}>" if is_itself else f"<{target}|{_escaped(address.group(), 0, len(address.group()))}>"
            pieces += [_escaped(whole, position, address.start()), link]
            position = address.end()
        return "".join([*pieces, _escaped(whole, position, end)])

    def styled(self, span: Span, inside: str, whole: str) -> str:
        match span.kind:
            case "bold":
                return _apart(span, f"*{inside}*", whole)
            case "italic":
                return _apart(span, f"_{inside}_", whole)
            case "strikethrough":
                return _apart(span, f"~{inside}~", whole)
            case "code":
                if "`" in inside:
                    return _escaped(inside, 0, len(inside))
                return _apart(span, f"`{_encoded(inside)}`", whole)
            case "link":
                return f"<{_address(span.detail)}|{inside}>"
            case _:
                return inside

    def verbatim(self, code: str, _language: str) -> list[str]:
        inside = re.sub("`(?=``)", f"`{UNSEEN}", _encoded(code))
        return ["```", *inside.split("\n"), "```"]

    def heading(self, line: str, _level: int) -> str:
        return f"*{line}*"


_MRKDWN = _Mrkdwn()


def _apart(span: Span, marked: str, whole: str) -> str:
    """Return it apart from letters beside it: Slack sees no mark in the middle of a word."""
    before, after = whole[max(span.start - 1, 0) : span.start], whole[span.end : span.end + 1]
    return f"{UNSEEN * _touches(before)}{marked}{UNSEEN * _touches(after)}"


def _touches(sign: str) -> bool:
    return bool(sign) and not sign.isspace()


def _encoded(text: str) -> str:
    return _RINGING.sub(f"@{UNSEEN}", _SPECIAL.sub(lambda sign: _ESCAPES[sign.group()], text))


def _escaped(whole: str, start: int, end: int) -> str:
    """Return the characters with a space of no width on both sides of what could be a mark."""
    text = whole[start:end]
    is_first = not whole[whole.rfind("\n", 0, start) + 1 : start].strip()
    if is_first and text.lstrip().startswith(">"):  # Slack reads its own escape as the mark of a quote
        text = text.replace(">", f"{UNSEEN}>", 1)
    return _MARK.sub(f"{UNSEEN}\\g<0>{UNSEEN}", _encoded(text))


def _address(address: str) -> str:
    safe = re.sub(r"[<>|\s\"`]", lambda sign: f"%{ord(sign.group()):02X}", address)
    return safe.replace("&", "&amp;")
