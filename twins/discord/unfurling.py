"""Links in a text that Discord shows a preview of: it comes a moment after the message, as an update that is no edit.
Pure."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]

SUPPRESSED = 1 << 2
_MOST = 5
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_LINK = re.compile(r"(?<!<)\bhttps?://[^\s<>)\]]+")


def link_embeds(content: str, flags: int) -> list[Json]:
    """Return the previews of a text's links; none of those in code or in `<>`, none where the flag suppresses them."""
    if flags & SUPPRESSED:
        return []
    links = dict.fromkeys(_LINK.findall(_CODE.sub(" ", content)))
    return [{"type": "link", "url": link, "title": urlsplit(link).hostname or link} for link in list(links)[:_MOST]]
