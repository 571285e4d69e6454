"""Markdown to Styled text, over markdown-it-py's tree. Pure.

What it promises: every character that a reader would miss is there. Inline HTML is text, a table becomes aligned
lines in a pre, an address that cannot be a link stands after its text in parentheses, and a text beyond the parser's
limits (nested so deeply that the parser drops content, or made to keep it busy) is shown as written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from channels.markdown.styled import SpanKind, Styled, flattened, joined
from channels.markdown.table import table_text

MAX_NESTING = 60
"""Levels of blocks (a list is two). Deeper than any answer; low enough for Python's stack."""
MAX_BRACKETS = 3000
"""The parser looks for a link at each `[`, in time that grows with their square: 16,000 of them take seconds."""
RULE = "———"
BULLETS = ("•", "◦", "▪")

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_LINKABLE = re.compile(r"https?://[^\s]+\Z", re.IGNORECASE)
_INLINE_STYLES: dict[str, SpanKind] = {"strong": "bold", "em": "italic", "s": "strikethrough"}


def render_markdown(markdown: str) -> Styled:
    """Return what the Markdown says, styled; its text is stripped of blank ends."""
    source = cleaned(markdown)
    if source.count("[") > MAX_BRACKETS:
        return Styled(source.strip())
    tokens = _parser().parse(source)
    if any(token.level >= MAX_NESTING - 2 for token in tokens):
        return Styled(source.strip())
    rendered = flattened(_blocks(SyntaxTreeNode(tokens).children, depth=0))
    return rendered if rendered.text.strip() else Styled(source.strip())


def cleaned(text: str) -> str:
    """Return the text as platforms accept it: no lone surrogates, no control characters but newline and tab.

    Direction overrides go too: they can make an address or a file name read as another one.
    """
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _BIDI.sub("", _CONTROL.sub(" ", whole.replace("\r\n", "\n").replace("\r", "\n")))


@functools.cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    # Link definitions stay as written: the parser would drop those that nothing refers to.
    return parser.enable(["table", "strikethrough"]).disable("reference")


def _blocks(nodes: Sequence[SyntaxTreeNode], depth: int) -> Styled:
    return joined((_block(node, depth) for node in nodes), "\n\n", cut=True)


def _block(node: SyntaxTreeNode, depth: int) -> Styled:
    match node.type:
        case "paragraph":
            return _inline_content(node)
        case "heading":
            return _inline_content(node).without("bold").wrapped("heading", node.tag.removeprefix("h"))
        case "fence" | "code_block":
            return _verbatim(node)
        case "blockquote":
            return _quote(node, depth)
        case "bullet_list" | "ordered_list":
            return _list(node, depth)
        case "table":
            return _table(node)
        case "hr":
            return Styled(RULE)
        case _:
            return Styled(node.content.strip("\n"))


def _verbatim(node: SyntaxTreeNode) -> Styled:
    text = node.content.rstrip("\n")
    if not text.strip():
        return Styled(f"{node.markup}{node.info}\n{node.markup}" if node.markup else "")
    language, _, rest = node.info.strip().partition(" ")
    return joined([Styled(rest.strip()), Styled(text).wrapped("pre", language)], "\n")


def _quote(node: SyntaxTreeNode, depth: int) -> Styled:
    inside = _blocks(node.children, depth)
    if any(span.kind == "quote" for span in inside.spans):
        inside = _mark_inner_quotes(inside)
    return inside.wrapped("quote")


def _mark_inner_quotes(styled: Styled) -> Styled:
    """Platforms know one level of quote: an inner one keeps a sign before each of its lines."""
    inner = [span for span in styled.spans if span.kind == "quote"]
    parts: list[Styled] = []
    position = 0
    for span in sorted(inner, key=lambda span: span.start):
        parts.append(styled.part(position, span.start))
        parts.append(styled.part(span.start, span.end).without("quote").indented("> ", "> "))
        position = span.end
    parts.append(styled.part(position, len(styled.text)))
    return joined(parts)


def _list(node: SyntaxTreeNode, depth: int) -> Styled:
    number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
    bullet = BULLETS[min(depth, len(BULLETS) - 1)]
    items: list[Styled] = []
    for item in node.children:
        mark = Styled(bullet).wrapped("bullet") if number is None else Styled(f"{number}.")
        number = None if number is None else number + 1
        inside = joined((_block(child, depth + 1) for child in item.children), "\n", cut=True)
        items.append(_list_item(inside, mark))
    return joined(items, "\n", cut=True)


def _list_item(inside: Styled, mark: Styled) -> Styled:
    if not inside.text:
        return mark
    if any(span.kind == "pre" and span.start == 0 for span in inside.spans):
        return joined([mark, inside], "\n")
    return joined([mark, inside.indented(" ", " " * (len(mark.text) + 1))])


def _table(node: SyntaxTreeNode) -> Styled:
    rows = [[_inline_content(cell) for cell in row.children] for section in node.children for row in section.children]
    return table_text(rows, [[_with_addresses(cell).replace("\n", " ") for cell in row] for row in rows])


def _with_addresses(styled: Styled) -> str:
    """Return the plain text with the address of each link after it, for places that can hold no link."""
    links = sorted((span for span in styled.spans if span.kind == "link"), key=lambda span: span.end)
    pieces: list[str] = []
    position = 0
    for span in links:
        pieces += [styled.text[position : span.end], f" ({span.detail})"]
        position = span.end
    return "".join([*pieces, styled.text[position:]])


def plain_text(markdown: str) -> str:
    """Return what the Markdown says without styles: for a terminal without colour, a notification, a title."""
    styled = render_markdown(markdown)
    return _with_addresses(styled)


def _inline_content(node: SyntaxTreeNode) -> Styled:
    return joined(_inline(child) for inline in node.children for child in inline.children)


def _inline(node: SyntaxTreeNode) -> Styled:
    match node.type:
        case "softbreak" | "hardbreak":
            return Styled("\n")  # agents mean the line ends that they write
        case "code_inline":
            return Styled(node.content).wrapped("code")
        case "strong" | "em" | "s":
            return _children(node).wrapped(_INLINE_STYLES[node.type])
        case "link":
            return _with_title(_link(_children(node), str(node.attrs.get("href", ""))), node)
        case "image":
            return _with_title(_link(_children(node), str(node.attrs.get("src", ""))), node)
        case _:
            return Styled(node.content)


def _children(node: SyntaxTreeNode) -> Styled:
    return joined(_inline(child) for child in node.children)


def _with_title(link: Styled, node: SyntaxTreeNode) -> Styled:
    title = node.attrs.get("title")
    return joined([link, Styled(f" ({title})")]) if title else link


def _link(label: Styled, address: str) -> Styled:
    if not label.text.strip():
        return Styled(address)
    if label.text in (address, address.removeprefix("mailto:")):
        return label
    if not _LINKABLE.match(address):
        return joined([label, Styled(f" ({address})" if address else "")])
    return label.without("code", "link").wrapped("link", address)
