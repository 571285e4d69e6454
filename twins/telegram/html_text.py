"""Telegram's HTML mode, read as its open server reads it, with its words when it cannot be read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from twins.telegram.entities import Entity, in_order
from twins.telegram.links import is_time_format
from twins.telegram.reader import SPACE, CannotParse, Reader

_STYLES = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
}
TAGS = frozenset(_STYLES) | {"a", "tg-emoji", "tg-time", "pre", "code", "blockquote"}
_REFERENCE = re.compile(r"&(?:#x(?P<hex>[0-9a-fA-F]+)|#(?P<decimal>[0-9]+)|(?P<name>[a-zA-Z]+))")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


@dataclass(slots=True, kw_only=True)
class _Tag:
    name: str
    offset: int
    kept: int
    attributes: dict[str, str] = field(default_factory=dict)


class _Html(Reader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.open: list[_Tag] = []

    def read(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.text):
            if self.peek() != "<":
                self.keep(self._read_character())
            elif self.peek(1) == "/":
                self._read_end()
            else:
                self._read_start()
        if self.open:
            raise CannotParse(f'Can\'t find end tag corresponding to start tag "{self.open[-1].name}"')
        result = "".join(self.kept)
        if any("\ud800" <= character <= "\udfff" for character in result):
            raise CannotParse(
                "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate "
                "code units"
            )
        for entity in self.entities:
            if entity["type"] == "code":
                entity.pop("language", None)
        return result, in_order(self.entities)

    def _read_character(self) -> str:
        """Read one character, or a reference to one; a reference that the server does not know is plain text."""
        found = _REFERENCE.match(self.text, self.at) if self.peek() == "&" else None
        character = _referred(found) if found else ""
        if not found or not character:
            character = self.peek()
            self.at += 1
            return character
        self.at = found.end() + (self.text[found.end() : found.end() + 1] == ";")
        return character

    def _read_start(self) -> None:
        begin = self.at
        name = self._read_name(1)
        if not self.peek():
            raise CannotParse(f"Unclosed start tag at byte offset {self.bytes_before(begin)}")
        if name not in TAGS:
            raise CannotParse(f'Unsupported start tag "{name}" at byte offset {self.bytes_before(begin)}')
        tag = _Tag(name=name, offset=self.offset, kept=len(self.kept))
        while self.peek() != ">":
            self._skip_space()
            if self.peek() != ">":
                self._read_attribute(tag, begin)
        self.at += 1
        if name == "span" and tag.attributes.get("class") != "tg-spoiler":
            raise CannotParse(f'Tag "span" must have class "tg-spoiler" at byte offset {self.bytes_before(begin)}')
        self.open.append(tag)

    def _read_name(self, ahead: int) -> str:
        self.at += ahead
        begin = self.at
        while self.peek() not in ("", ">") and self.peek() not in SPACE:
            self.at += 1
        return self.text[begin : self.at].lower()

    def _read_attribute(self, tag: _Tag, begin: int) -> None:
        where = f'"{tag.name}" at byte offset {self.bytes_before(begin)}'
        name_at = self.at
        while self.peek() not in ("", "=", ">", "/", '"', "'") and self.peek() not in SPACE:
            self.at += 1
        name = self.text[name_at : self.at]
        if not name:
            raise CannotParse(f"Empty attribute name in the tag {where}")
        self._skip_space()
        if self.peek() == "=":
            self.at += 1
            self._skip_space()
            if not self.peek():
                raise CannotParse(f"Unclosed start tag {where}")
            value = self._read_quoted() if self.peek() in ("'", '"') else self._read_token()
            if not self.peek():
                raise CannotParse(f"Unclosed start tag at byte offset {self.bytes_before(begin)}")
            tag.attributes[name] = value
            if name == "expandable":
                tag.attributes[name] = "1"
        elif not self.peek():
            raise CannotParse(f"Unclosed start tag {where}")
        else:
            tag.attributes[name] = "1"

    def _read_token(self) -> str:
        begin = self.at
        while self.peek().isascii() and (self.peek().isalnum() or self.peek() in (".", "-")):
            self.at += 1
        if self.peek() not in ("", ">") and self.peek() not in SPACE:
            raise CannotParse(f"Unexpected end of name token at byte offset {self.bytes_before(begin)}")
        return self.text[begin : self.at].lower()

    def _read_quoted(self) -> str:
        quote, value = self.peek(), ""
        self.at += 1
        while self.peek() not in ("", quote):
            value += self._read_character()
        self.at += self.peek() == quote
        return value

    def _read_end(self) -> None:
        begin = self.at
        if not self.open:
            raise CannotParse(f"Unexpected end tag at byte offset {self.bytes_before(begin)}")
        name = self._read_name(2)
        self._skip_space()
        if self.peek() != ">":
            raise CannotParse(f"Unclosed end tag at byte offset {self.bytes_before(begin)}")
        self.at += 1
        expected = self.open[-1].name
        if name not in ("", expected):
            raise CannotParse(
                f'Unmatched end tag at byte offset {self.bytes_before(begin)}, expected "</{expected}>", '
                f'found "</{name}>"'
            )
        tag = self.open.pop()
        if self.offset > tag.offset:
            self._add_entity(tag)

    def _add_entity(self, tag: _Tag) -> None:
        match tag.name:
            case "a":
                self.add_link(tag.offset, tag.attributes.get("href") or "".join(self.kept[tag.kept :]))
            case "pre" | "code":
                self._add_code(tag)
            case "blockquote":
                self.add("expandable_blockquote" if tag.attributes.get("expandable") else "blockquote", tag.offset)
            case "tg-emoji":
                number = tag.attributes.get("emoji-id", "")
                if not re.fullmatch(r"-?\d{1,19}", number) or int(number) == 0:
                    raise CannotParse("Invalid custom emoji identifier specified")
                self.add("custom_emoji", tag.offset, custom_emoji_id=number)
            case "tg-time":
                self._add_time(tag)
            case _:
                self.add(_STYLES[tag.name], tag.offset)

    def _add_code(self, tag: _Tag) -> None:
        """`<pre>` and `<code class="language-…">` around the same text are one block with its language."""
        language = tag.attributes.get("class", "").removeprefix("language-") if tag.name == "code" else ""
        language = language if tag.attributes.get("class", "").startswith("language-") else ""
        last = self.entities[-1] if self.entities else {}
        same = (last.get("offset"), last.get("length")) == (tag.offset, self.offset - tag.offset)
        if same and tag.name == "pre" and last["type"] == "code" and last.get("language"):
            last["type"] = "pre"
        elif same and tag.name == "code" and last["type"] == "pre" and language:
            last["language"] = language
        else:
            self.add(tag.name, tag.offset, **({"language": language} if language else {}))

    def _add_time(self, tag: _Tag) -> None:
        number, form = tag.attributes.get("unix", ""), tag.attributes.get("format", "")
        if not is_time_format(form):
            raise CannotParse("Invalid date format used")
        if number.isdecimal() and int(number) > 0:
            self.add("date_time", tag.offset, unix_time=int(number), **({"date_time_format": form} if form else {}))

    def _skip_space(self) -> None:
        while self.peek() and self.peek() in SPACE:
            self.at += 1


def _referred(found: re.Match[str]) -> str:
    if found["name"]:
        return _NAMED.get(found["name"], "")
    code = int(found["hex"], 16) if found["hex"] else int(found["decimal"])
    return "" if code == 0 or code >= 0x10FFFF or len(found[0]) >= 10 else chr(code)


def parse_html(text: str) -> tuple[str, list[Entity]]:
    """Read `HTML`; raise CannotParse."""
    return _Html(text).read()
