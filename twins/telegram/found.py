"""What the server finds in a text by itself: mentions, commands, hashtags, cashtags, addresses. Pure.

The rules are TDLib's; of top-level domains only common ones are known here, where an address has no scheme.
"""

from __future__ import annotations

import re

from twins.telegram.entities import Entity, units

_SHORT_NAMES = frozenset({"gif", "nft", "pic", "ufc", "vid"})
_DOMAINS = (
    "com|org|net|edu|gov|io|dev|app|ai|me|co|info|biz|tv|xyz|site|online|tech|cloud|blog|wiki|page|link|shop|store|"
    "de|at|ch|uk|fr|es|it|nl|be|pl|cz|se|no|fi|dk|pt|ie|eu|ru|ua|us|ca|au|nz|br|mx|ar|in|jp|cn|kr|tr|il|za|gg|sh|to|fm|ly"
)
_HOST = r"[^\W_]+(?:[.\-_~][^\W_]+)*"
_PATTERNS = (
    ("mention", re.compile(r"(?<!\w)@(?P<name>[a-zA-Z0-9_]{2,32})(?!\w)")),
    ("bot_command", re.compile(r"(?<![\w/<>])/[a-zA-Z0-9_]{1,64}(?:@[a-zA-Z0-9_]{3,32})?(?![\w/<>@])")),
    (
        "hashtag",
        re.compile(r"(?<![\w\u200c\u00b7])#(?=\d*[^\W\d])[\w\u200c\u00b7]{1,256}(?:@[a-zA-Z0-9_]{3,32})?(?!#)"),
    ),
    ("cashtag", re.compile(r"(?<![\w$])\$(?:1INCH|[A-Z]{1,8})(?:@[a-zA-Z0-9_]{3,32})?(?![\w$])")),
    ("email", re.compile(r"(?<![\w.@+-])[a-zA-Z0-9_.+-]{1,64}@(?:[a-zA-Z0-9-]{1,63}\.)+[a-zA-Z]{2,24}(?![\w@])")),
    (
        "url",
        re.compile(
            rf"(?:(?<![\w])(?:https?|ftp|tonsite)://[^\s/?#<>\"«»]+|(?<![\w/#@.\-]){_HOST}\.(?:{_DOMAINS})(?![\w@\-])(?!\.\w))"
            r"(?::\d{1,5})?(?:[/?#][^\s<>\"«»]*)?",
            re.IGNORECASE,
        ),
    ),
    ("url", re.compile(r"(?<!\w)(?:tg|ton)://[a-zA-Z0-9_\-]{1,253}(?:[/?#][^\s<>\"«»]*)?", re.IGNORECASE)),
)
_BAD_ENDS = ".:;,('?!`"


def found_entities(text: str) -> list[Entity]:
    """Return what the server marks in a text of its own accord, in any order, perhaps one across another."""
    return [
        {"type": kind, "offset": units(text[: match.start()]), "length": units(_kept(kind, match))}
        for kind, pattern in _PATTERNS
        for match in pattern.finditer(text)
        if _counts(kind, match)
    ]


def _counts(kind: str, match: re.Match[str]) -> bool:
    if kind == "mention":
        return len(match["name"]) >= 4 or match["name"].lower() in _SHORT_NAMES
    return kind != "url" or "." in match[0] or match[0].lower().startswith(("tg:", "ton:"))


def _kept(kind: str, match: re.Match[str]) -> str:
    """Return a web address without the stops and brackets that belong to the sentence around it."""
    address = match[0]
    if kind != "url":
        return address
    while address.endswith(tuple(_BAD_ENDS)) or (address.endswith(")") and address.count(")") > address.count("(")):
        address = address[:-1]
    return address
