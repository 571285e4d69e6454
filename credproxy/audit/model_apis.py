"""Which requests outside the model routes are model calls too: a tool that has a provider granted as a host. Pure.

By their paths, since a provider may stand at any host. What such an answer tells of its use is counted; what tells
nothing was something else.
"""

from __future__ import annotations

TRANSCRIPTIONS = "/audio/transcriptions"
_ENDINGS = (
    "/v1/messages",
    "/chat/completions",
    "/responses",
    "/completions",
    "/embeddings",
    TRANSCRIPTIONS,
    ":generateContent",
    ":streamGenerateContent",
    ":embedContent",
)


def may_be_model_call(method: str, path: str) -> bool:
    """Whether the answer is worth reading for its use of tokens."""
    return method == "POST" and path.endswith(_ENDINGS)
