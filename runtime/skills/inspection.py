"""What somebody should see of a skill before it is taken: its scripts, the hosts it names, suspicious words. Pure.

A skill is instructions that an agent will follow. The search finds what is written plainly, in text and in comments; it
proves nothing about what it does not find. What an agent may then do is decided by its container and its grants.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.skills.content import SkillFile, SkillTree

SCRIPT_ENDINGS = (".py", ".sh", ".bash", ".zsh", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".ps1", ".bat")
MAX_SUSPICIONS = 40
MAX_LINE_CHARS = 2_000
"""So much of a line is searched: a longer one is no prose."""

_HOST = re.compile(r"\b(?:https?|wss?|ftp|ssh|git)://(?:[^\s/@\"'<>]{1,200}@)?([A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))")
_GIT_HOST = re.compile(r"\bgit@([A-Za-z0-9][A-Za-z0-9.-]{0,252}):")
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_KEYS = "(?:api[_ -]?keys?|passwords?|credentials|secrets?|access tokens?)"
_SENDS = "(?:send|post|upload|curl|forward|exfiltrate)"
_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (what, re.compile(pattern, re.IGNORECASE))
    for what, pattern in (
        (
            "overrides other instructions",
            r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instructions?|rules|guidelines|prompts?"
            r"|polic(?:y|ies)|constraints?|restrictions?|safety)\b",
        ),
        (
            "keeps something from people",
            r"\b(?:do not|don't|never|without)\s+(?:tell|inform|mention|show|reveal|ask|notify)(?:ing)?\b.{0,30}"
            r"\b(?:user|person|human|owner|anyone|anybody)\b",
        ),
        ("speaks as the system", r"<\s*/?\s*(?:system|instructions?|message)\b|\bsystem prompt\b|\byou are now\b"),
        (
            "reaches for the link or the proxy",
            r"/run/yard|/opt/agent|\b(?:proxy|host)\.sock\b|/proc/\w+/(?:mem|env)",
        ),
        (
            "reaches for keys",
            rf"\.ssh/|\bid_(?:rsa|ed25519)\b|\.aws/credentials|\.netrc|\.env\b|\b{_KEYS}\b.{{0,40}}\b{_SENDS}\b"
            rf"|\b{_SENDS}\b.{{0,40}}\b{_KEYS}\b",
        ),
        (
            "runs what it fetches or hides",
            r"\b(?:curl|wget)\b[^\n|]{0,300}\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b"
            r"|\bbase64\s+(?:-d|--decode)\b[^\n|]{0,200}\||\beval\s*\(\s*(?:atob|base64)|\bexec\s*\(\s*base64"
            r"|\bpip3?\s+install\s+(?:git\+|https?:)",
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    file: str
    line: int
    """From 1."""
    what: str
    words: str
    """The line, as it stands there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    scripts: frozenset[str]
    hosts: tuple[str, ...]
    suspicions: tuple[Suspicion, ...]
    more_suspicions: int
    """How many were found beyond those that are listed."""


def inspect(tree: SkillTree) -> Inspection:
    """Return what a skill's files show."""
    hosts: set[str] = set()
    suspicions: list[Suspicion] = []
    more = 0
    for path, file in sorted(tree.items()):
        text = text_of(file)
        if text is None:
            continue
        hosts.update(host.lower().rstrip(".-") for find in (_HOST, _GIT_HOST) for host in find.findall(text))
        for suspicion in _suspicions(path, text):
            if len(suspicions) < MAX_SUSPICIONS:
                suspicions.append(suspicion)
            else:
                more += 1
    return Inspection(
        scripts=frozenset(path for path, file in tree.items() if is_script(path, file)),
        hosts=tuple(sorted(hosts)),
        suspicions=tuple(suspicions),
        more_suspicions=more,
    )


def text_of(file: SkillFile) -> str | None:
    """Return the file's text, None for one that is none."""
    if b"\0" in file.content:
        return None
    try:
        return file.content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def is_script(path: str, file: SkillFile) -> bool:
    return file.is_executable or path.lower().endswith(SCRIPT_ENDINGS) or file.content.startswith(b"#!")


def _suspicions(path: str, text: str) -> Iterator[Suspicion]:
    for number, line in enumerate(text.splitlines(), 1):
        searched = line[:MAX_LINE_CHARS]
        plain = _HIDDEN.sub("", searched)
        found = [what for what, pattern in _SIGNS if pattern.search(plain)]
        if plain != searched and not (number == 1 and searched == f"\ufeff{plain}"):
            found.append("holds characters that nobody sees")
        for what in found:
            yield Suspicion(file=path, line=number, what=what, words=line.strip()[:200])
