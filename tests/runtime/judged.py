"""What a scripted agent gives as a structured result, with all that it must say beside it."""

from __future__ import annotations

from protocol.codec import Json


def judged(found: Json, **more: Json) -> Json:
    """Return a result with a judgement that can stand; `more` in place of its parts."""
    said: dict[str, Json] = {
        "found": found,
        "why": "It was counted.",
        "confidence": 0.9,
        "no_alternatives": "A count is what it is.",
        "evidence": [{"claim": "so many are there", "source": "input", "span": "all of it"}],
    }
    return {**said, **more}
