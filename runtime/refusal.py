"""Why something that was asked of the host cannot be done. Pure."""

from __future__ import annotations


class OperationRefused(Exception):
    """What was asked cannot be done: `code` for programs, `message` and `mend` for people."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(code, message, mend)
        self.code = code
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return self.message
