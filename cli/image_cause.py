"""What a package manager's last words come to: the cause alone, and what mends it. Pure."""

from __future__ import annotations

import re

MAX_LINES = 4
MAX_CHARS = 500
COMPLAINTS = ("error:", "e: ", "err:", "npm error", "npm err!", "dpkg: error")
"""How the lines begin that say why; the rest tells what was done before."""
UNKNOWN = ("no matching distribution", "unable to locate package", "e404", "etarget", "was not found", "no candidate")
AWAY = (
    "temporary failure",
    "could not resolve",
    "enotfound",
    "etimedout",
    "eai_again",
    "connection",
    "failed to fetch",
)
NO_ANSWER = "the package index did not answer"
GAVE_UP = re.compile(r"Retry\(total=0,(?:.*?>: ([^'\"]+))?")
"""pip, that asks no more; it goes on to say that nobody has the package, which it does not know."""
BUILD = "./nightyard image build"


def cause_of(said: str) -> str:
    """Return the lines of complaint among the last words, all of them where none complains."""
    if gave_up := GAVE_UP.search(said):
        return f"{NO_ANSWER}: {gave_up[1]}"[:MAX_CHARS] if gave_up[1] else NO_ANSWER
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    complaints = [line for line in lines if line.lower().startswith(COMPLAINTS)]
    return "\n".join(dict.fromkeys(complaints[:MAX_LINES] or lines[-MAX_LINES:]))[:MAX_CHARS]


def mend_of(cause: str, *, is_pinned: bool = False) -> str:
    """Return what mends it: a name that nobody knows, or a network. `is_pinned`: the group named nothing."""
    words = cause.lower()
    if NO_ANSWER in cause:
        return f"check the network, then: {BUILD}"
    if is_pinned:
        return f"check the network, and which registry your pip and npm are set to, then: {BUILD}"
    if any(word in words for word in UNKNOWN):
        return f"correct `packages` in its group.yaml, `nightyard config reload`, then: {BUILD}"
    if any(word in words for word in AWAY):
        return f"check the network, then: {BUILD}"
    return f"look at `packages` in its group.yaml, then: {BUILD}"
