"""Markdown to Discord's own: what Discord knows stays marked up, every other character is shown as it is. Pure.

Nobody is rung: the `@` of `@everyone`, `@here` and of every `<@…>`, and the `#` of `<#…>`, is followed by a space of no
width, with which neither Discord's server nor its apps take it for a mention, in code too; `allowed_mentions` is the
channel's second lock.
"""

from __future__ import annotations

import re

from channels.markdown.markup import BARE_ADDRESS, UNSEEN, with_written_addresses, written
from channels.markdown.render import cleaned, render_markdown
from channels.markdown.split import split_styled
from channels.markdown.styled import Span, Styled

CHUNK_CHARS = 1950
"""Aim of a message; Discord's limit is 2000 characters. We count UTF-16 units, of which there are never fewer."""
MAX_SPANS = 10_000
MAX_ADDRESS_CHARS = 500
"""The address of a link stands in the text, again in each part of a link that is cut; a longer one is shown as text."""
DEEPEST_HEADING = 3

_RINGING = re.compile(r"@(?=everyone|here)|(?<=<)[@#]", re.IGNORECASE)
_MARKS = re.compile(rf"[\\*_`~<]|\|(?=\|)|(?<=\|)\||(?P<rings>{_RINGING.pattern})", re.IGNORECASE)
_MARKS_AND_BRACKETS = re.compile(rf"\[|{_MARKS.pattern}", re.IGNORECASE)
_LEAD = re.compile(r"(?:[ \t•◦▪]|\d+\.)*")
"""What may stand on a line before a sign that makes it a heading, a list or a quote."""
_FIRST_MARKS = "#>+-"
_LANGUAGE = re.compile(r"[A-Za-z0-9_+\-.#]+\Z")
_PAIRED_BRACKETS = re.compile(r"\[[^\[\]]*\]")


def render_discord(markdown: str, limit: int = CHUNK_CHARS) -> tuple[str, ...]:
    """Return the messages that say what the Markdown says, none over `limit` characters; none for a blank text."""
    styled = with_written_addresses(render_markdown(markdown), _is_linkable)
    chunks = split_styled(styled, limit, _units, MAX_SPANS)
    return tuple(_message(chunk) for chunk in chunks)


def discord_literal(text: str) -> str:
    """Return a text of no Markdown (a name, a label of ours) so that Discord shows just its characters."""
    return written(Styled(cleaned(text)), _DIALECT)


def _message(chunk: Styled) -> str:
    return written(chunk, _DIALECT)


def _units(chunk: Styled) -> int:
    text = _message(chunk)
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2


def _is_linkable(link: Span, label: str) -> bool:
    """Whether Discord shows it as a link: the label may be no address itself, nor hold brackets without a partner."""
    return (
        link.detail.lower().startswith(("http://", "https://"))
        and len(link.detail) <= MAX_ADDRESS_CHARS
        and "://" not in label
        and not set("[]") & set(_PAIRED_BRACKETS.sub("", label))
    )


class _Discord:
    quote_mark = "> "

    def literal(self, whole: str, start: int, end: int) -> str:
        pieces: list[str] = []
        position = start
        for address in BARE_ADDRESS.finditer(whole, start, end):
            follows = whole[address.end() : address.end() + 1].strip() if address.end() == end else ""
            pieces += [_escaped(whole, position, address.start())]
            pieces += [f"<{address.group()}>" if follows else address.group()]  # marks after it would be read with it
            position = address.end()
        return "".join([*pieces, _escaped(whole, position, end)])

    def styled(self, span: Span, inside: str, whole: str) -> str:
        match span.kind:
            case "bold":
                return f"**{inside}**" if _has_room(inside, "*") else inside
            case "italic":
                beside = whole[max(span.start - 1, 0) : span.start] + whole[span.end : span.end + 1]
                mark = "*" if re.search(r"\w", beside) or "_" in _addresses(inside) else "_"
                return f"{mark}{inside}{mark}" if _has_room(inside, mark) else inside
            case "strikethrough":
                return f"~~{inside}~~" if _has_room(inside, "~") else inside
            case "code":
                return _code(inside)
            case "link":
                return f"[{inside}]({_address(span.detail)})"
            case "bullet":
                return "-"
            case _:
                return inside

    def verbatim(self, code: str, language: str) -> list[str]:
        before = []
        if not _LANGUAGE.match(language):
            before, language = [discord_literal(language)] if language else [], ""
        inside = re.sub("`(?=``)", f"`{UNSEEN}", _unrung(code))
        return [*before, f"```{language}", *inside.split("\n"), "```"]

    def heading(self, line: str, level: int) -> str:
        if level <= DEEPEST_HEADING:
            return f"{'#' * level} {line}"
        return f"**{line}**" if _has_room(line, "*") else line


_DIALECT = _Discord()


def _escaped(whole: str, start: int, end: int) -> str:
    if start >= end:
        return ""
    first = _LEAD.match(whole, whole.rfind("\n", 0, start) + 1).end()  # type: ignore[union-attr]  # matches nothing too
    if start <= first < end and whole[first] in _FIRST_MARKS:
        return f"{_escaped(whole, start, first)}\\{whole[first]}{_escaped(whole, first + 1, end)}"
    marks = _MARKS_AND_BRACKETS if "](" in whole else _MARKS
    pieces: list[str] = []
    position = start
    for mark in marks.finditer(whole, start, end):
        pieces.append(whole[position : mark.start()])
        pieces.append(mark.group() + UNSEEN if mark["rings"] else f"\\{mark.group()}")
        position = mark.end()
    return "".join([*pieces, whole[position:end]])


def _unrung(code: str) -> str:
    return _RINGING.sub(lambda found: found.group() + UNSEEN, code)


def _addresses(inside: str) -> str:
    return " ".join(found.group() for found in BARE_ADDRESS.finditer(inside))


def _has_room(inside: str, mark: str) -> bool:
    """Whether marks can stand around it: an address in it, which takes no escapes, may not end them early."""
    return bool(inside) and mark not in _addresses(inside)


def _code(inside: str) -> str:
    inside = _unrung(inside)
    inside = re.sub("`(?=`)", f"`{UNSEEN}", inside)
    mark = "``" if "`" in inside else "`"
    padded = f"{' ' if inside.startswith('`') else ''}{inside}{' ' if inside.endswith('`') else ''}"
    return f"{mark}{padded}{mark}"


def _address(address: str) -> str:
    return re.sub(r"[()<>\\\s\"'`]", lambda sign: f"%{ord(sign.group()):02X}", address)
