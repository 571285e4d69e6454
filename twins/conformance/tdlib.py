"""TDLib's own golden calls of its parsers, read out of its test file and put to the twin's parsers.

The file (test/message_entities.cpp) is fetched by whoever runs this, never kept here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from twins.telegram.entities import Entity
from twins.telegram.html_text import parse_html
from twins.telegram.markdown import parse_markdown_v2
from twins.telegram.reader import CannotParse

TEST_FILE = Path("test/message_entities.cpp")
_LITERAL = r'"(?:[^"\\]|\\.)*"'
_CALL = re.compile(
    rf"^  check_parse_(?P<mode>html|markdown)\((?P<text>{_LITERAL}(?:\s*{_LITERAL})*),\s*"
    rf"(?P<expected>{_LITERAL}(?:\s*{_LITERAL})*)(?:,\s*(?P<entities>\{{.*?\}}))?\);",
    re.MULTILINE | re.DOTALL,
)
_ENTITY = re.compile(
    r"\{(?:td::MessageEntity::Type::(?P<type>\w+), )?(?P<offset>\d+), (?P<length>\d+)(?(type)|(?=, td::UserId))"
)
_KINDS = {
    "TextUrl": "text_link",
    "MentionName": "text_mention",
    "PreCode": "pre",
    "BlockQuote": "blockquote",
    "ExpandableBlockQuote": "expandable_blockquote",
    "CustomEmoji": "custom_emoji",
    "FormattedDate": "date_time",
}
_PARSERS: dict[str, Callable[[str], tuple[str, list[Entity]]]] = {"html": parse_html, "markdown": parse_markdown_v2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    mode: str
    text: str
    expected: str
    entities: list[tuple[str, int, int]] | None
    """None where an error is expected."""

    def difference(self) -> str:
        """Return what the twin makes of it other than TDLib does, or nothing."""
        try:
            text, entities = _PARSERS[self.mode](self.text)
        except CannotParse as error:
            return "" if self.entities is None and str(error) == self.expected else f"error: {error}"
        if self.entities is None:
            return f"no error, but {text!r}"
        found = [(each["type"], each["offset"], each["length"]) for each in entities]
        return "" if (text, found) == (self.expected, self.entities) else f"{text!r} {found}"


def read_goldens(checkout: Path) -> Iterator[Golden]:
    """Yield each call of the two parsers with literal arguments; raise OSError."""
    for call in _CALL.finditer((checkout / TEST_FILE).read_text("utf-8")):
        entities = call["entities"]
        yield Golden(
            mode=call["mode"],
            text=_text(call["text"]),
            expected=_text(call["expected"]),
            entities=None if entities is None else [_entity(each) for each in _ENTITY.finditer(entities)],
        )


def _entity(found: re.Match[str]) -> tuple[str, int, int]:
    name = found["type"] or "MentionName"  # the form for a person has no type
    kind = _KINDS.get(name, name.lower())
    return kind, int(found["offset"]), int(found["length"])


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "'": "'"}


def _text(literals: str) -> str:
    inner = "".join(each[1:-1] for each in re.findall(_LITERAL, literals))
    raw = re.sub(
        r"\\(x[0-9a-fA-F]{2}|.)",
        lambda found: chr(int(found[1][1:], 16)) if found[1][0] == "x" else _ESCAPES[found[1]],
        inner,
    )
    if not re.search(r"\\x", inner):
        return raw
    return raw.encode("latin-1").decode("utf-8")
