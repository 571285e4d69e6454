"""Forms of keys, as presets write them, and how a placeholder of a form is written. Pure.

A form is text with fields: `ghp_{30:alnum}{github_sum}`. `{N:CHARS}` is N characters of a set, `{github_sum}` the six
that GitHub's own check reads. The longest field that can hold the home's tag begins with it.
"""

from __future__ import annotations

import hashlib
import re
import string
import zlib

PLAIN_FORM = "nightyard-{40:alnum}"
"""For a secret of no known provider."""
TAG_CHARS = 6
MIN_RANDOM_CHARS = 10
"""Beside the tag, in its field: else two could be the same."""
_TAG_SET = "abcdef234567"
"""In every set that a tag may stand in, in lower or upper case."""
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SETS = {
    "alnum": string.ascii_letters + string.digits,
    "lower": string.ascii_lowercase + string.digits,
    "hex": string.digits + "abcdef",
    "word": string.ascii_letters + string.digits + "-_",
    "base32": string.ascii_uppercase + "234567",
    "digits": string.digits,
}
_FIELD = re.compile(r"\{(?:([0-9]{1,3}):([a-z0-9]+)|(github_sum))\}")


def is_form(form: str) -> bool:
    """Whether it is printable text whose fields are known and have room for the tag and enough beside it."""
    rest = _FIELD.sub("", form)
    fields = [(int(count), name) for count, name, _sum in _FIELD.findall(form) if name]
    return (
        form.isascii()
        and form.isprintable()
        and not set(rest) & set("{} ")
        and all(name in SETS for _count, name in fields)
        and any(_can_hold_tag(name) and count >= TAG_CHARS + MIN_RANDOM_CHARS for count, name in fields)
    )


def make_tag(seed: bytes) -> str:
    return "".join(_TAG_SET[byte % len(_TAG_SET)] for byte in seed[:TAG_CHARS])


def write_placeholder(form: str, seed: bytes, tag: str) -> str:
    """Return the placeholder of a form: the same for the same seed and tag."""
    written = ""
    fields = list(_FIELD.finditer(form))
    holders = [field for field in fields if field[2] and _can_hold_tag(field[2])]
    holder = max(holders, key=lambda field: int(field[1]))
    at, last_random = 0, ""
    for number, field in enumerate(fields):
        written += form[at : field.start()]
        at = field.end()
        if field[3]:
            written += _github_sum(last_random)
            continue
        last_random = _random(SETS[field[2]], int(field[1]), seed + bytes((number,)))
        if field is holder:
            shown = tag.upper() if field[2] == "base32" else tag
            last_random = shown + last_random[TAG_CHARS:]
        written += last_random
    return written + form[at:]


def _can_hold_tag(name: str) -> bool:
    return name != "digits"


def _random(chars: str, count: int, seed: bytes) -> str:
    stream = hashlib.shake_256(seed).digest(count)
    text = "".join(chars[byte % len(chars)] for byte in stream)
    # A number does not begin with a zero.
    return "7" + text[1:] if chars is SETS["digits"] and text.startswith("0") else text


def _github_sum(text: str) -> str:
    """The CRC-32 of what is before, in base 62: GitHub's tokens end in it, and its tools check it."""
    number, digits = zlib.crc32(text.encode("ascii")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits
