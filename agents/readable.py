"""A web page as Markdown that a model can read: headings, paragraphs, lists, links, code, tables. Pure.

Left out is what nobody reads: scripts, styles, navigation, forms. Wrong HTML gives what can be made of it.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

_SILENT = frozenset(
    ["script", "style", "noscript", "template", "svg", "nav", "header", "footer", "aside", "form", "iframe", "button"]
)
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_BLOCKS = frozenset(
    ["p", "div", "section", "article", "main", "table", "tr", "blockquote", "figure", "dl", "dt", "dd", "hr"]
)
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_MAX_DEPTH = 200


def to_markdown(html: str, address: str) -> tuple[str, str]:
    """Return the page's title and its text; links are made whole by the page's address."""
    reader = _Reader(address)
    reader.feed(html)
    reader.close()
    text = re.sub(r"[ \t]+\n", "\n", "".join(reader.out))
    return " ".join("".join(reader.title).split()), re.sub(r"\n{3,}", "\n\n", text).strip()


class _Reader(HTMLParser):
    def __init__(self, address: str) -> None:
        super().__init__(convert_charrefs=True)
        self._address = address
        self.out: list[str] = []
        self.title: list[str] = []
        self._silent: list[str] = []
        self._in_title = False
        self._pre = 0
        self._lists: list[int] = []
        """For each open list the next number, 0 for one without numbers."""
        self._links: list[tuple[str, int]] = []
        """For each open link its address and where its words begin."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            if len(self._silent) < _MAX_DEPTH:
                self._silent.append(tag)
        elif self._silent:
            return
        elif tag == "title":
            self._in_title = True
        elif tag in _HEADINGS:
            self._block()
            self.out.append(f"{_HEADINGS[tag]} ")
        elif tag in ("ul", "ol"):
            self._block()
            self._lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self._item()
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.out)))
        elif tag == "img" and (words := (dict(attrs).get("alt") or "").strip()):
            self.out.append(f"[image: {words}]")
        elif tag == "pre":
            self._block()
            self.out.append("```\n")
            self._pre += 1
        elif tag == "br":
            self.out.append("\n")
        elif tag in ("td", "th"):
            self.out.append(" | ")
        elif tag in ("code", "kbd") and not self._pre:
            self.out.append("`")
        elif tag in ("b", "strong"):
            self.out.append("**")
        elif tag in _BLOCKS:
            self._block()

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            if tag in self._silent:
                del self._silent[len(self._silent) - 1 - self._silent[::-1].index(tag) :]
        elif self._silent or tag in _VOID:
            return
        elif tag == "title":
            self._in_title = False
        elif tag in ("ul", "ol"):
            self._lists = self._lists[:-1]
            self._block()
        elif tag == "a" and self._links:
            self._end_link(*self._links.pop())
        elif tag == "pre" and self._pre:
            self._pre -= 1
            self.out.append("\n```\n\n")
        elif tag in ("code", "kbd") and not self._pre:
            self.out.append("`")
        elif tag in ("b", "strong"):
            self.out.append("**")
        elif tag in _BLOCKS or tag in _HEADINGS:
            self._block()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._in_title:
            self.title.append(data)
            return
        if self._pre:
            self.out.append(data)
            return
        words = re.sub(r"\s+", " ", data)
        if words == " " and (not self.out or self.out[-1].endswith(("\n", " "))):
            return
        self.out.append(words.lstrip() if self.out and self.out[-1].endswith("\n") else words)

    def _block(self) -> None:
        self.out.append("\n" if self._lists else "\n\n")

    def _item(self) -> None:
        indent = "  " * max(0, len(self._lists) - 1)
        mark = "-"
        if self._lists and self._lists[-1]:
            mark = f"{self._lists[-1]}."
            self._lists[-1] += 1
        self.out.append(f"\n{indent}{mark} ")

    def _end_link(self, href: str, begin: int) -> None:
        words = "".join(self.out[begin:]).strip()
        if not words or not href or href.startswith(("#", "javascript:", "data:")):
            return
        try:
            whole = urljoin(self._address, href)
        except ValueError:
            return
        self.out[begin:] = [f"[{words}]({whole})"]
