"""Telegram's two Markdowns, read as its open server reads them, with its words when they cannot be read. Pure.

Byte offsets in errors are of the UTF-8 text; entity offsets are UTF-16 units.
"""

from __future__ import annotations

from dataclasses import dataclass

from twins.telegram.entities import Entity, in_order
from twins.telegram.links import emoji_of_link, time_of_link
from twins.telegram.reader import CannotParse, Reader

RESERVED = frozenset("_*[]()~`>#+-=|{}.!\n")
_WORDS = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "text_link": "TextUrl",
    "custom_emoji": "CustomEmoji",
    "blockquote": "BlockQuote",
}


@dataclass(slots=True, kw_only=True)
class _Open:
    """An entity whose end has not come."""

    kind: str
    offset: int
    at: int
    """Where its mark begins in the source."""
    kept: int
    """How many pieces of the result stood before it."""
    language: str = ""

    def word(self) -> str:
        return "PreCode" if self.language else _WORDS[self.kind]


def parse_markdown(text: str) -> tuple[str, list[Entity]]:
    """Read the old `Markdown` mode, which knows no nesting; raise CannotParse."""
    reader = Reader(text)
    while reader.at < len(text):
        character = reader.peek()
        if character == "\\" and reader.peek(1) in ("_", "*", "`", "["):
            reader.keep(reader.peek(1))
            reader.at += 2
        elif character in "_*`[":
            _read_old_entity(reader, character)
        else:
            reader.keep(character)
            reader.at += 1
    return "".join(reader.kept), reader.entities


def _read_old_entity(reader: Reader, mark: str) -> None:
    begin, is_block = reader.at, reader.text.startswith("```", reader.at)
    closing = "```" if is_block else {"[": "]"}.get(mark, mark)
    reader.at += len(closing) if is_block else 1
    language = reader.read_language() if is_block else ""
    offset, inner = reader.offset, reader.at
    end = reader.text.find(closing, reader.at)
    if end < 0:
        raise CannotParse(f"Can't find end of the entity starting at byte offset {reader.bytes_before(begin)}")
    for character in reader.text[inner:end]:
        reader.keep(character)
    reader.at = end + len(closing)
    if mark == "[":
        url = reader.text[inner:end]
        if reader.peek() == "(" and reader.offset > offset:
            stop = reader.text.find(")", reader.at)
            stop = len(reader.text) if stop < 0 else stop
            url, reader.at = reader.text[reader.at + 1 : stop], stop + 1
        reader.add_link(offset, url)
    elif is_block:
        reader.add("pre", offset, **({"language": language} if language else {}))
    else:
        reader.add({"_": "italic", "*": "bold", "`": "code"}[mark], offset)


class _Version2(Reader):
    """MarkdownV2: entities nest, every reserved character must be escaped, quotes go by lines."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.open: list[_Open] = []
        self.is_in_quote = False
        self.is_line_start = True

    def read(self) -> tuple[str, list[Entity]]:
        while self.at < len(self.text):
            self._read_one()
        self._end_quote_at_end()
        if self.open:
            raise self._no_end()
        return "".join(self.kept), in_order(self.entities)

    def _read_one(self) -> None:
        character = self.peek()
        if character == "\\" and "\0" < self.peek(1) <= "~":
            self.keep(self.peek(1))
            self.is_line_start = self.is_line_start if self.peek(1) == "\r" else self.peek(1) == "\n"
            self.at += 2
        elif character not in (("`",) if self._is_in_code() else RESERVED):
            self.keep(character)
            self.is_line_start = self.is_line_start and character == "\r"
            self.at += 1
        elif self.is_in_quote and character == "\n" and self.peek(1) != ">":
            self._end_quote_at_line_end()
        elif self.open and self._is_end(character):
            self._end()
        else:
            self._begin(character)

    def _is_in_code(self) -> bool:
        return bool(self.open) and self.open[-1].kind in ("code", "pre")

    def _is_end(self, character: str) -> bool:
        match self.open[-1].kind:
            case "bold":
                return character == "*"
            case "italic":
                return character == "_" and self.peek(1) != "_"
            case "underline":
                return character == "_" and self.peek(1) == "_"
            case "strikethrough":
                return character == "~"
            case "spoiler":
                return character == "|" and self.peek(1) == "|"
            case "code":
                return True
            case "pre":
                return self.text.startswith("```", self.at)
            case "text_link" | "custom_emoji":
                return character == "]"
            case _:
                return False

    def _begin(self, character: str) -> None:
        begin, doubled, language = self.at, self.peek(1) == character, ""
        kind = {"_": "italic", "*": "bold", "~": "strikethrough", "[": "text_link", "`": "code"}.get(character, "")
        if character == "\n":
            self.keep(character)
            self.is_line_start = True
            self.at += 1
            return
        if character == "_" and doubled:
            kind, self.at = "underline", self.at + 1
        elif character == "|" and doubled:
            kind, self.at = "spoiler", self.at + 1
        elif character == "!" and self.peek(1) == "[":
            kind, self.at = "custom_emoji", self.at + 1
        elif character == ">" and self.is_line_start:
            if self.is_in_quote:
                self.at += 1
                return
            kind, self.is_in_quote = "blockquote", True
        elif self.text.startswith("```", self.at):
            self.at += 3
            kind, language = "pre", self.read_language()
            self.at -= 1
        if not kind:
            raise CannotParse(f"Character '{character}' is reserved and must be escaped with the preceding '\\'")
        self.at += 1
        self.open.append(_Open(kind=kind, offset=self.offset, at=begin, kept=len(self.kept), language=language))

    def _end(self) -> None:
        ended = self.open[-1]
        self.at += {"underline": 2, "spoiler": 2, "pre": 3}.get(ended.kind, 1)
        match ended.kind:
            case "text_link":
                url = self._read_url() if self.peek() == "(" else "".join(self.kept[ended.kept :])
                self.add_link(ended.offset, url)
            case "custom_emoji":
                self._add_emoji_or_time(ended.offset)
            case "pre" if ended.language:
                self.add("pre", ended.offset, language=ended.language)
            case _:
                self.add(ended.kind, ended.offset)
        self.open.pop()

    def _read_url(self) -> str:
        self.at += 1
        begin, url = self.at, ""
        while (character := self.peek()) not in ("", ")"):
            if character == "\\" and "\0" < self.peek(1) <= "~":
                self.at += 1
            url += self.peek()
            self.at += 1
        if not character:
            raise CannotParse(f"Can't find end of a URL at byte offset {self.bytes_before(begin)}")
        self.at += 1
        return url

    def _add_emoji_or_time(self, offset: int) -> None:
        if self.peek() != "(":
            raise CannotParse("The entity must contain a tg://emoji or tg://time URL")
        url = self._read_url()
        if emoji := emoji_of_link(url):
            self.add("custom_emoji", offset, custom_emoji_id=emoji)
        elif moment := time_of_link(url):
            form = {"date_time_format": moment[1]} if moment[1] else {}
            self.add("date_time", offset, unix_time=moment[0], **form)
        else:
            raise CannotParse("Invalid tg://emoji or tg://time URL specified")

    def _end_quote_at_line_end(self) -> None:
        """A line break behind which no quote goes on; two bars right before it make the quote one that unfolds."""
        kind = "blockquote"
        if self.open[-1].kind == "spoiler" and self.text[self.open[-1].at + 2 : self.at] in ("", "\r"):
            self.open.pop()
            kind = "expandable_blockquote"
        if self.open[-1].kind != "blockquote":
            raise self._no_end()
        self.keep("\n")
        self.at += 1
        self.is_line_start, self.is_in_quote = True, False
        self.add(kind, self.open.pop().offset)

    def _end_quote_at_end(self) -> None:
        if not self.is_in_quote:
            return
        kind = "blockquote"
        if self.open[-1].kind == "spoiler" and self.open[-1].at == len(self.text) - 2:
            self.open.pop()
            kind = "expandable_blockquote"
        if self.open[-1].kind == "blockquote":
            self.add(kind, self.open.pop().offset)

    def _no_end(self) -> CannotParse:
        last = self.open[-1]
        return CannotParse(f"Can't find end of {last.word()} entity at byte offset {self.bytes_before(last.at)}")


def parse_markdown_v2(text: str) -> tuple[str, list[Entity]]:
    """Read `MarkdownV2`; raise CannotParse."""
    return _Version2(text).read()
