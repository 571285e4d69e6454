"""What a person reads of a message, by each platform's rules, and whether the platform takes it: the other half of
each back-end, written from the platforms' own descriptions and knowing nothing of ours."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt

from channels.markdown.telegram import TelegramText

Json = dict[str, Any]
INVISIBLE = re.compile("[\u200b\u200c\u200d\u2060\ufe0f\ufe0e]")
WORD = re.compile(r"\w+")

# Discord: the rules of its apps' reader, first match at each place wins.
_ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")
_AUTOLINK = re.compile(r"<(https?://[^ >]+)>")
_ADDRESS = re.compile(r"https?://[^\s<]+[^<.,:;\"')\]\s]")
_EM = re.compile(
    r"(?<!\w)_((?:__|\\[\s\S]|[^\\_])+?)_(?!\w)"
    r"|\*(?=\S)((?:\*\*|\\[\s\S]|\s+(?:\\[\s\S]|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)"
)
_STRONG = re.compile(r"\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)")
_UNDERLINE = re.compile(r"__((?:\\[\s\S]|[^\\])+?)__(?!_)")
_STRIKE = re.compile(r"~~([\s\S]+?)~~(?!_)")
_SPOILER = re.compile(r"\|\|([\s\S]+?)\|\|")
_CODE = re.compile(r"(`+)([\s\S]*?[^`])\1(?!`)")
_CODE_BLOCK = re.compile(r"```(?:([A-Za-z0-9_+\-.#]+?)\n)?\n*([^\n][\s\S]*?)\n*```")
_MASKED = re.compile(r"\[((?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*)\]\(\s*<?((?:\([^)]*\)|[^\s\\]|\\.)*?)>?\s*\)")
_QUOTE = re.compile(r"(?: *> [^\n]*(?:\n *> [^\n]*)*\n?)")
_HEADING = re.compile(r"(#{1,3}) +([^\n]+)")
_BULLET = re.compile(r"( *)[-*] (?=\S)")
_SUBTEXT = re.compile(r"-# ")
DISCORD_RINGING = re.compile(r"@everyone|@here|<@[!&]?\d+>|<#\d+>")


def read_discord(text: str) -> str:
    """Return what Discord's apps show."""
    return _discord(text, is_line_start=True)


def _discord(text: str, *, is_line_start: bool) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        at_start = is_line_start if at == 0 else text[at - 1] == "\n"
        shown, at = _discord_step(text, at, at_start=at_start)
        out.append(shown)
    return "".join(out)


def _discord_step(text: str, at: int, *, at_start: bool) -> tuple[str, int]:
    if at_start:
        if found := _QUOTE.match(text, at):
            return _discord(re.sub(r"^ *> ?", "", found[0], flags=re.M), is_line_start=True), found.end()
        if found := _SUBTEXT.match(text, at):
            return "", found.end()
        if found := _HEADING.match(text, at):
            return _discord(found[2], is_line_start=False), found.end()
        if found := _BULLET.match(text, at):
            return f"{found[1]}• ", found.end()
    if found := _CODE_BLOCK.match(text, at):
        return found[2], found.end()
    for rule in (_ESCAPE, _AUTOLINK):
        if found := rule.match(text, at):
            return found[1], found.end()
    if found := _ADDRESS.match(text, at):
        return found[0], found.end()
    strongest = max(
        (found for rule in (_STRONG, _EM, _UNDERLINE) if (found := rule.match(text, at))),
        key=lambda found: len(found[0]),
        default=None,
    )
    if strongest is not None:
        return _discord(next(filter(None, strongest.groups())), is_line_start=False), strongest.end()
    for rule in (_STRIKE, _SPOILER):
        if found := rule.match(text, at):
            return _discord(found[1], is_line_start=False), found.end()
    if found := _CODE.match(text, at):
        return re.sub(r"^ (?= *`)|(?<=`) $", "", found[2]), found.end()
    if found := _MASKED.match(text, at):
        if "://" in found[1] or not re.match(r"https?://", found[2]):
            return found[0], found.end()
        return _discord(found[1], is_line_start=False), found.end()
    return text[at], at + 1


def discord_refusals(text: str) -> list[str]:
    """Return why Discord would not take the message, or whom it would ring."""
    found = [] if len(text) <= 2000 else [f"{len(text)} characters"]
    found += [] if text.strip() else ["empty"]
    return found + [f"rings {ringing}" for ringing in DISCORD_RINGING.findall(text)]


# Slack

_LINK = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_BEFORE, _AFTER = r"(?:(?<=^)|(?<=[\s\u200b(*_~>.,:;'\"\[-]))", r"(?=$|[\s\u200b)*_~.,:;!?'\"\]<-])"
_SLACK_STYLES = tuple(
    re.compile(
        rf"{_BEFORE}{re.escape(mark)}(?=[^\s\u200b])([^\n{re.escape(mark)}]*[^\s\u200b]){re.escape(mark)}{_AFTER}", re.M
    )
    for mark in "*_~"
)


def read_mrkdwn(text: str) -> str:
    """Return what Slack shows of a text in mrkdwn."""
    pieces = re.split(r"```\n?([\s\S]*?)\n?```", text)
    shown = [_entities(piece) if index % 2 else _mrkdwn(piece) for index, piece in enumerate(pieces)]
    return "".join(shown)


def _mrkdwn(text: str) -> str:
    pieces = re.split(rf"{_BEFORE}`([^`\n\u200b][^`\n]*)`", text)
    return "".join(_entities(piece) if index % 2 else _mrkdwn_words(piece) for index, piece in enumerate(pieces))


def _mrkdwn_words(text: str) -> str:
    text = re.sub(r"^(?:>|&gt;) ?", "", text, flags=re.M)
    kept: list[str] = []

    def keep(link: re.Match[str]) -> str:
        kept.append(link[2] if link[2] is not None else link[1])
        return f"\ue000{len(kept) - 1}\ue001"

    text = _LINK.sub(keep, text)
    for _ in range(3):
        for style in _SLACK_STYLES:
            text = style.sub(r"\1", text)
    text = re.sub("\ue000(\\d+)\ue001", lambda place: kept[int(place[1])], text)
    for style in _SLACK_STYLES:  # what is inside of a link
        text = style.sub(r"\1", text)
    return _entities(text)


def _entities(text: str) -> str:
    return re.sub("&(amp|lt|gt);", lambda found: {"amp": "&", "lt": "<", "gt": ">"}[found[1]], text)


def slack_refusals(text: str, blocks: tuple[Json, ...]) -> list[str]:
    """Return why Slack would not take the message, or what its text would do beyond showing words."""
    found = [] if len(text) <= 4000 else [f"{len(text)} characters"]
    found += [] if text.strip() else ["no_text"]
    found += [f"a bare {sign[0]!r}" for sign in re.finditer("&(?!(?:amp|lt|gt);)", text)]
    bare = _LINK.sub("", text)
    found += [f"a bare {sign}" for sign in "<>" if sign in re.sub(r"^> ", "", bare, flags=re.M)]
    found += [f"not a link: {link[0]}" for link in _LINK.finditer(text) if not re.match("https?://", link[1])]
    found += [f"rings {ringing}" for ringing in re.findall("@(?:here|channel|everyone)", text)]
    for block in blocks:
        found += _block_refusals(block)
    return found


def _block_refusals(block: Json) -> list[str]:
    kinds = ("rich_text_section", "rich_text_quote", "rich_text_preformatted")
    found = [] if block["type"] == "rich_text" and block["elements"] else ["an empty block"]
    total = 0
    for part in block["elements"]:
        found += [] if part["type"] in kinds and part["elements"] else [f"odd element {part}"]
        for element in part["elements"]:
            words = element.get("text") or element.get("url", "")
            total += len(words) + len(element.get("url", ""))
            found += [] if words and element["type"] in ("text", "link") else [f"odd element {element}"]
    return found + ([] if total <= 12_000 else [f"{total} characters in blocks"])


def read_rich_text(block: Json) -> str:
    """Return what Slack shows of a block: its parts stand below each other."""
    parts = (
        "".join(element.get("text") or element["url"] for element in part["elements"]) for part in block["elements"]
    )
    return "\n".join(parts)


# Telegram


def telegram_refusals(message: TelegramText) -> list[str]:
    """Return why Telegram would not take the message, or would drop some of its styles."""
    units = len(message.text.encode("utf-16-le")) // 2
    found = [] if units <= 4096 else [f"{units} units"]
    found += [] if INVISIBLE.sub("", message.text).strip() else ["empty"]
    found += [] if len(message.entities) <= 100 else [f"{len(message.entities)} entities"]
    for entity in message.entities:
        if not (entity.offset >= 0 < entity.length and entity.offset + entity.length <= units):
            found.append(f"out of the text: {entity}")
        if entity.type == "text_link" and not re.match(r"(?:https?|tg)://\S+\Z", entity.url, re.I):
            found.append(f"no address: {entity.url}")
    return found


# What the Markdown says


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.text.append(" " if tag not in ("strong", "em", "s", "code", "a", "img") else "")
        self.text += [value or "" for name, value in attributes if tag == "img" and name == "alt"]

    def handle_endtag(self, tag: str) -> None:
        self.text.append(" " if tag not in ("strong", "em", "s", "code", "a") else "")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read_markdown(markdown: str) -> str:
    """Return what a reader of CommonMark (with tables and strikethrough, HTML as text) shows of it."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("reference")
    words = _Words()
    words.feed(parser.render(markdown))
    words.close()
    return "".join(words.text)


def words_of(text: str) -> list[str]:
    return WORD.findall(INVISIBLE.sub("", text))


def lost_words(said: str, shown: str, *, in_order: bool = True) -> str:
    """Return what of the said is not shown, empty if all of it is; what else is shown does not matter."""
    if not in_order:
        return " ".join((Counter(words_of(said)) - Counter(words_of(shown))).elements())
    signs, there = _signs(said), _signs(shown)
    at = 0
    for number, sign in enumerate(signs):
        at = there.find(sign, at) + 1
        if not at:
            return signs[max(0, number - 20) : number + 20]
    return ""


def _signs(text: str) -> str:
    return "".join(INVISIBLE.sub("", text).split())
