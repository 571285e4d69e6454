"""Refusals in Discord's own form: a status, a code of its table, its words. Pure."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

CODES: dict[int, tuple[int, str]] = {
    0: (404, "404: Not Found"),
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10011: (404, "Unknown Role"),
    10013: (404, "Unknown User"),
    10014: (400, "Unknown Emoji"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    20012: (403, "You are not authorized to perform this action on this application"),
    20016: (429, "This action cannot be performed due to slowmode rate limit"),
    30003: (400, "Maximum number of pins reached (250)"),
    30010: (400, "Maximum number of reactions reached (20)"),
    30015: (400, "Maximum number of attachments in a message reached (10)"),
    30032: (400, "Maximum number of application commands reached (100)"),
    30046: (429, "Maximum number of edits to messages older than 1 hour reached. Try again later."),
    40005: (413, "Request entity too large"),
    40060: (400, "Interaction has already been acknowledged."),
    50001: (403, "Missing Access"),
    50003: (403, "Cannot execute action on a DM channel"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50008: (400, "Cannot send messages in a non-text channel"),
    50013: (403, "Missing Permissions"),
    50016: (400, "Provided too few or too many messages to delete. Must provide at least 2 and at most 100 messages."),
    50021: (403, "Cannot execute action on a system message"),
    50024: (400, "Cannot execute action on this channel type"),
    50027: (401, "Invalid Webhook Token"),
    50033: (400, "Invalid Recipient(s)"),
    50034: (400, "You can only bulk delete messages that are under 14 days old."),
    50035: (400, "Invalid Form Body"),
    50045: (400, "File uploaded exceeds the maximum size"),
    50068: (400, "Invalid message type"),
    50083: (400, "Thread is archived"),
    50109: (400, "The request body contains invalid JSON."),
    160004: (400, "A thread has already been created for this message"),
    160005: (400, "Thread is locked"),
}
"""Discord's JSON error codes that this twin knows: HTTP status and text."""


class Refusal(Exception):
    """Discord says no. `extra` goes into the body (`errors`); `wait_s`: try again after so many of the client's
    seconds."""

    def __init__(self, code: int, *, wait_s: float | None = None, **extra: Any) -> None:
        status, words = CODES[code]
        super().__init__(words)
        self.status: int = status
        self.body: Json = {"message": words, "code": code, **extra}
        if wait_s is not None:
            self.body |= {"retry_after": round(wait_s, 3), "global": False}
        self.headers: dict[str, str] = {}


class PlainRefusal(Refusal):
    """One without a code of the table: `401: Unauthorized` and its like, whose code is 0."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(0)
        self.status = status
        self.body = {"message": f"{status}: {words}", "code": 0}


class FormErrors:
    """What is wrong with the fields of a body, in the nested form of code 50035; `within`: of a part of it."""

    def __init__(self, within: str = "") -> None:
        self._within = [within] if within else []
        self._tree: Json = {}

    def add(self, path: str, code: str, message: str) -> None:
        """Note an error at a path such as `embeds.0.title`; the empty one is the whole."""
        node = self._tree
        for part in (*self._within, *(path.split(".") if path else ())):
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def too_long(self, path: str, value: object, most: int) -> None:
        """Note text or a list that is longer than it may be."""
        if (isinstance(value, str) and len(value) > most) or (isinstance(value, list) and len(value) > most):
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")

    def missing(self, path: str, value: object) -> None:
        if value is None or value == "":
            self.add(path, "BASE_TYPE_REQUIRED", "This field is required")

    def settle(self) -> None:
        """Raise the refusal, if anything was wrong."""
        if self._tree:
            raise self.refusal()

    def refusal(self) -> Refusal:
        return Refusal(50035, errors=self._tree)


def form_error(path: str, code: str, message: str) -> Refusal:
    """Return the refusal of a body with one thing wrong."""
    errors = FormErrors()
    errors.add(path, code, message)
    return errors.refusal()
