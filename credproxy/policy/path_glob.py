"""Paths in a grant: `*` for a segment's part, `/**` at the end for a path and all below it. Pure.

What most grants say (one path, or a folder) is compared as text; a pattern is made only for what needs one, when it is
first needed: ten thousand of them would take half a minute and forty megabytes.
"""

from __future__ import annotations

import functools
import re

MAX_PATTERNS = 1024
_GLOB = re.compile(r"/[A-Za-z0-9\-._~!$&'()*+,=:@/%]*")


class PathGlob:
    """One of a grant's paths."""

    __slots__ = ("_is_plain", "_stem_below", "stem", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        below = text.endswith("/**")
        body = text[:-3] if below else text
        self._is_plain = "*" not in body
        self._stem_below = f"{body}/" if below else ""
        self.stem = body if self._is_plain else _literal_segments(body)
        """The path's beginning, in whole segments, without any star; what fits the glob begins so."""

    def fits(self, path: str) -> bool:
        """Whether a canonical path fits."""
        if not self._is_plain:
            return compile_glob(self.text).fullmatch(path) is not None
        if self._stem_below:
            return path.startswith(self._stem_below) or (path == self.stem and path != "")
        return path == self.stem

    def __repr__(self) -> str:
        return f"PathGlob({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PathGlob) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def is_glob(text: str) -> bool:
    """Whether a text can stand for a path in a grant."""
    has_dots = any(segment in (".", "..") for segment in text.split("/"))
    return _GLOB.fullmatch(text) is not None and "//" not in text and not has_dots


@functools.lru_cache(maxsize=MAX_PATTERNS)
def compile_glob(glob: str) -> re.Pattern[str]:
    """`*` is anything within a segment; `/**` at the end is the path itself and all below; `**` elsewhere anything.

    Between two `**`, segments are tried one after the other, and in each a star takes the least that fits, for good: no
    part of a path is looked at more often than the glob has stars. Tried in every way, a long path that nearly fits
    would hold up the proxy for minutes.
    """
    below = glob.endswith("/**")
    stem = glob[:-3] if below else glob
    *stretches, last = re.split(r"\*\*+", stem)
    pattern = ""
    for stretch in stretches:
        pattern += _stretch_pattern(stretch, is_first=not pattern, end=None)
    pattern += _stretch_pattern(last, is_first=not pattern, end=r"(?=/|\Z)" if below else r"\Z")
    return re.compile(pattern + (".*" if below else ""))


def _stretch_pattern(stretch: str, *, is_first: bool, end: str | None) -> str:
    """Match a part of a glob without `**`, where it stands first; the very first part stands at the path's beginning.
    `end`: what must follow the last part."""
    *literals, last = map(re.escape, stretch.split("*"))
    found = ""
    for literal in literals:
        found += literal if is_first and not found else f"(?>[^/]*?{literal})"
    is_anchored = is_first and not literals
    if end is not None:
        found += last + end if is_anchored else f"[^/]*{last}{end}"
    else:
        found += last if is_anchored else f"(?>[^/]*?{last})"
    return f"(?>{found})" if is_first else f"(?>(?:[^/]*+/)*?{found})"


def _literal_segments(body: str) -> str:
    """Return what stands before the first segment with a star."""
    return body[: body.rfind("/", 0, body.index("*"))]
