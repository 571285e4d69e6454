"""Codes that people read aloud or copy: of pairing, of approvals, of questions. Pure."""

from __future__ import annotations

CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that a code read aloud or from paper is typed right."""
CODE_CHARS = 8
"""40 bits; with at most pairing.py's MAX_WRONG_IN_ALL guesses an hour a hit is a chance of 2 in 10^10 a year."""


def normalize_code(text: str) -> str | None:
    """Return the code that a text consists of, None if it is no code; case, hyphens and look-alikes do not matter."""
    if len(text) > 2 * CODE_CHARS:
        return None
    code = text.strip().upper().replace("-", "").translate(str.maketrans("OIL", "011"))
    return code if len(code) == CODE_CHARS and set(code) <= set(CODE_ALPHABET) else None
