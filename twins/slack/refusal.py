"""A refusal in the Web API's own form: HTTP 200 and the name of the error."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """The Web API says no: the error's name, and what stands beside it in the answer."""

    def __init__(self, error: str, *, messages: list[str] | None = None, status: int = 200, **beside: Any) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.beside = beside
        if messages:
            self.beside["response_metadata"] = {"messages": [f"[ERROR] {message}" for message in messages]}

    def as_json(self) -> dict[str, Any]:
        return {"ok": False, "error": self.error, **self.beside}
