"""How the twin says no: status and JSON, in the words of RFC 6749 or of GitHub."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def refuse(code: str, description: str, status: int = 400) -> Refusal:
    """RFC 6749 5.2."""
    return Refusal(status, {"error": code, "error_description": description})


def github_refusal(status: int, message: str) -> Refusal:
    documentation = "https://docs.github.com/rest"
    return Refusal(status, {"message": message, "documentation_url": documentation, "status": str(status)})
