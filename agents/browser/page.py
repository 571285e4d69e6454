"""What was read of a page, as the model reads it: Markdown with numbered elements. Pure.

`[3 link: News → /news]`, `[4 field Email: "a@b.c"]`, `[5 checkbox Agree: off]`, `[6 choice Size: "S" of S | M]`, `[7
button: Save]`: the numbers are what `browser_click` and `browser_type` take.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from agents.browser.wire import NOTHING, list_in, number_in, text_in
from agents.tools.web import attribute
from protocol.codec import Json
from protocol.record import Record

MAX_PAGE_CHARS = 300_000
"""Of one document; what is beyond is not read."""
MAX_MARKS = 60_000
MAX_SHOWN_CHARS = 12_000
"""At once; the rest is there for the asking."""
MAX_CHANGE_CHARS = 6_000
MAX_LINK_CHARS = 80
_ITEM = "- "
_PIECES = re.compile(r"\n| (?=\[(?:\d+|disabled) [a-z]+)")
"""Lines, and what follows each other on one line."""
_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Control characters but the line's end, and marks that turn or hide writing."""


class Snapshot(Record):
    """One document as the script in it gave it."""

    title: str
    address: str
    status: int
    marks: Sequence[Json]
    next_number: int
    is_cut: bool
    frames: int
    above: int
    shown: int
    height: int

    @property
    def view(self) -> str:
        """Which part of the page is in the window, in percent of its height; empty: all of it."""
        if self.height <= self.shown + 1 or self.shown <= 0:
            return ""
        begin = 100 * self.above // self.height
        return f"{begin}-{min(100, begin + 100 * self.shown // self.height)}%"


def read_snapshot(text: str) -> Snapshot:
    """Return what the script gave; whatever is not as it should be is empty."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    given: Mapping[str, Json] = value if isinstance(value, dict) else NOTHING
    numbers = {
        name: max(0, int(number_in(given, name))) for name in ("status", "next", "frames", "above", "shown", "height")
    }
    return Snapshot(
        title=clean(text_in(given, "title")),
        address=clean(text_in(given, "address")),
        status=numbers["status"],
        marks=list_in(given, "marks"),
        next_number=numbers["next"],
        is_cut=given.get("isCut") is True,
        frames=numbers["frames"],
        above=numbers["above"],
        shown=numbers["shown"],
        height=numbers["height"],
    )


def clean(words: str) -> str:
    """Return a page's words without what a terminal would obey and what is not seen."""
    return _UNSEEN.sub(lambda found: " " if found[0] in "\t\r\v\f" else "", words)


def to_text(snapshot: Snapshot, frames: Mapping[int, str]) -> str:
    """Return a document as Markdown; `frames`: what stands in its n-th frame."""
    writer = _Writer(snapshot.address, frames)
    for mark in snapshot.marks:
        writer.take(mark)
    text = re.sub(r"[ ]+\n", "\n", "".join(writer.out))
    text = re.sub(r"\n[ ]+(?=\n)", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + (
        "\n[… the page goes on; this is what was read …]" if snapshot.is_cut else ""
    )


class _Writer:
    def __init__(self, address: str, frames: Mapping[int, str]) -> None:
        self.out: list[str] = []
        self._frames = frames
        self._open: list[tuple[Sequence[Json], int]] = []
        """Elements that have begun, and where their words do."""
        parts = _split(address)
        self._origin = f"{parts[0]}://{parts[1]}"

    def take(self, mark: Json) -> None:
        if isinstance(mark, str):
            self._write(clean(mark))
        if not isinstance(mark, list) or not mark:
            return
        match mark[0]:
            case "heading":
                self._begin_line()
                self.out.append(f"\n{'#' * min(6, max(1, _number(mark, 1)))} ")
            case "item":
                self._begin_line()
                self.out.append(_ITEM)
            case "block" | "br":
                self._begin_line()
            case "cell":
                self.out.append(" | ")
            case "image":
                self._write(f"[image: {clean(_text(mark, 1))}]")
            case "frame":
                text = self._frames.get(_number(mark, 1))
                self.out.append(f"\n[frame]\n{text}\n[end of frame]\n" if text else "")
            case "open":
                self._open.append((mark, len(self.out)))
                self.out.append("")  # so that words in here begin as they do
            case "close":
                if self._open:
                    self._close(*self._open.pop())

    def _write(self, words: str) -> None:
        last = self.out[-1] if self.out else "\n"
        if last.endswith(("\n", " ")) and "\n" not in words:
            words = words.lstrip(" ")
        elif last.endswith("]") and words[:1].isalnum():
            words = f" {words}"
        if words:
            self.out.append(words)

    def _begin_line(self) -> None:
        if self.out and not self.out[-1].endswith("\n") and self.out[-1] != _ITEM:
            self.out.append("\n")

    def _close(self, mark: Sequence[Json], begin: int) -> None:
        number, kind = _number(mark, 1), _text(mark, 2)
        inside = " ".join("".join(self.out[begin:]).split())
        words = inside if kind in ("link", "button", "tab", "option") and inside else clean(_text(mark, 3))
        if not words and kind in ("link", "button"):  # nothing that a person would see either
            del self.out[begin:]
            return
        name = str(number) if number else "disabled"
        state = mark[5] if len(mark) > 5 else ""
        match kind:
            case "link":
                shown = f"[{name} link: {words}{self._arrow(_text(mark, 4))}]"
            case "field":
                shown = f'[{name} field {words}: "{clean(_text(mark, 5))}"]'
            case "choice":
                shown = f"[{name} choice {words}: {_choices(state)}]"
            case "checkbox" | "radio":
                shown = f"[{name} {kind} {words}: {clean(_text(mark, 5))}]"
                shown += f" {inside}" if inside and inside != words else ""
            case _:
                shown = f"[{name} {clean(kind)}: {words}]"
        del self.out[begin:]
        is_apart = not self.out or self.out[-1].endswith(("\n", " "))
        self.out.append(shown if is_apart else f" {shown}")

    def _arrow(self, leads_to: str) -> str:
        """Return where a link leads: short where it stays on the site."""
        address = clean(leads_to).replace("\n", "")
        if not address.startswith(("http://", "https://")):
            return f" → {address[:MAX_LINK_CHARS]}" if address and not address.startswith("javascript:") else ""
        address = address.removeprefix(self._origin) or "/"
        return f" → {address if len(address) <= MAX_LINK_CHARS else address[:MAX_LINK_CHARS] + '…'}"


def _choices(state: Json) -> str:
    if not isinstance(state, list) or len(state) < 3 or not isinstance(state[1], list):
        return '""'
    options = [clean(option) for option in state[1] if isinstance(option, str)]
    more = " | …" if _number(state, 2) > len(options) else ""
    return f'"{clean(_text(state, 0))}" of {" | ".join(options)}{more}'


def page_mark(snapshot: Snapshot, text: str, begin: int = 0) -> str:
    """Return a page, or what of it comes from a character on, as a stranger's words are marked."""
    rest = text[begin:]
    shown = rest if len(rest) <= MAX_SHOWN_CHARS else rest[: MAX_SHOWN_CHARS - 100]
    more = (
        f"\n[… {len(rest) - len(shown)} characters more: browser_read from={begin + len(shown)}]"
        if shown != rest
        else ""
    )
    return _marked(snapshot, shown, more)


def change_mark(snapshot: Snapshot, before: str, after: str) -> str:
    """Return what a page says now that it did not say before."""
    known = set(_PIECES.split(before))
    new = [piece for piece in _PIECES.split(after) if piece.strip() and piece not in known]
    text = "\n".join(new)
    if not new:
        return _marked(snapshot, "", "(the page says the same as before)", part="changes")
    more = "\n[… more has changed: browser_read]" if len(text) > MAX_CHANGE_CHARS else ""
    return _marked(snapshot, text[:MAX_CHANGE_CHARS], more, part="changes")


def _marked(snapshot: Snapshot, words: str, note: str, part: str = "") -> str:
    facts = [("address", snapshot.address), ("title", snapshot.title)]
    facts += [("status", str(snapshot.status))] if snapshot.status else []
    facts += [("in-view", snapshot.view)] if snapshot.view else []
    facts += [("part", part)] if part else []
    head = "<page " + " ".join(f'{name}="{attribute(value)}"' for name, value in facts) + ' trust="none">'
    return "\n".join((head, words.replace("</page", "<\\/page") + note, "</page>"))


def _split(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc


def _text(mark: Sequence[Json], index: int) -> str:
    found = mark[index] if index < len(mark) else ""
    return found if isinstance(found, str) else ""


def _number(mark: Sequence[Json], index: int) -> int:
    found = mark[index] if index < len(mark) else 0
    return found if isinstance(found, int) else 0
