"""What a package manager's last words come to: the cause alone, and what mends it. Pure."""

from __future__ import annotations

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
BUILD = "./nightyard image build"


def cause_of(said: str) -> str:
    """Return the lines of complaint among the last words, all of them where none complains."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    complaints = [line for line in lines if line.lower().startswith(COMPLAINTS)]
    return "\n".join(dict.fromkeys(complaints[:MAX_LINES] or lines[-MAX_LINES:]))[:MAX_CHARS]


def mend_of(cause: str) -> str:
    """Return what mends it: a name that nobody knows, or a network."""
    words = cause.lower()
    if any(word in words for word in UNKNOWN):
        return f"correct `packages` in its group.yaml, `nightyard config reload`, then: {BUILD}"
    if any(word in words for word in AWAY):
        return f"check the network, then: {BUILD}"
    return f"look at `packages` in its group.yaml, then: {BUILD}"
