"""The embeddings of an OpenAI-compatible server: vectors that are near where texts share parts of words. Pure."""

from __future__ import annotations

import math
import re
import zlib
from typing import Any

DIMENSIONS = 256
MEANT = {
    "car": "vehicle",
    "automobile": "vehicle",
    "dog": "animal",
    "puppy": "animal",
    "salary": "money",
    "wage": "money",
}
"""Words of one meaning that share no letters: what words alone do not find."""
_WORD = re.compile(r"\w+")
_PART = 4


def read_texts(body: Any) -> tuple[str, list[str]]:
    """Return the model and the texts of a request; raise ValueError, KeyError or TypeError for another."""
    model, given = body["model"], body["input"]
    texts = [given] if isinstance(given, str) else given
    if not isinstance(model, str) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("input is a text, or a list of texts, and model a name")
    return model, texts


def build_answer(model: str, texts: list[str]) -> dict[str, Any]:
    """Return the answer as the API gives it, with its use: four characters a token."""
    data = [{"object": "embedding", "index": at, "embedding": embed(text)} for at, text in enumerate(texts)]
    tokens = sum(len(text) for text in texts) // 4 + 1
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def embed(text: str) -> list[float]:
    """Return a text's vector, of length 1: each part of a word adds to a few of its numbers, the same everywhere."""
    numbers = [0.0] * DIMENSIONS
    for word in _WORD.findall(text.casefold()):
        padded = f" {MEANT.get(word, word)} "
        for first in range(max(1, len(padded) - _PART + 1)):
            hashed = zlib.crc32(padded[first : first + _PART].encode())
            for shift in (0, 11, 22):
                numbers[(hashed >> shift) % DIMENSIONS] += 1.0 if hashed >> (shift + 8) & 1 else -1.0
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]
