"""Why a turn of Codex's failed, in the words that a native agent has for it. Pure."""

from __future__ import annotations

import json
import re

from agents.providers.failure import Failure, failure_of_answer, failure_of_connection, misbehaved
from agents.providers.shape import JsonObject, object_at, text_at
from protocol.task import ModelRoute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agents.harness.frame import Stop

_STATUSES = {
    "contextWindowExceeded": 413,
    "usageLimitExceeded": 429,
    "rateLimitExceeded": 429,
    "serverOverloaded": 529,
    "internalServerError": 500,
    "modelNotFound": 404,
    "unauthorized": 401,
    "badRequest": 400,
}
_STOPS: dict[str, Stop] = {"max_output_tokens": "length", "content_filter": "refused"}
_INCOMPLETE = re.compile(r"Incomplete response returned, reason: (\w+)")
_UNEXPECTED = re.compile(r"(?s)unexpected status \d+[^:]*: (.*?)(?:, url: \S+.*)?")
_UNREACHABLE = "error sending request"


def stop_of_error(error: JsonObject) -> Stop | None:
    """Return why the model stopped, if it is that which Codex calls an error."""
    found = _INCOMPLETE.search(text_at(error, "message"))
    return _STOPS.get(found.group(1), "length") if found else None


def failure_of_error(model: ModelRoute, error: JsonObject) -> Failure:
    """Return what the error of a failed turn means."""
    message, status = text_at(error, "message"), _status(error)
    if status:
        said = _UNEXPECTED.fullmatch(message)
        body = json.dumps({"error": {"message": said.group(1)}}) if said else message
        return failure_of_answer(model.route, model.model, status, {}, body)
    if message.startswith("{"):  # it gives the body of a 400 as it came
        return failure_of_answer(model.route, model.model, 400, {}, message)
    if _UNREACHABLE in message:
        return failure_of_connection(model.route, "unreachable", message)
    if message.startswith("stream disconnected"):
        return failure_of_connection(model.route, "broken", message)
    return misbehaved(model.route, message)


def _status(error: JsonObject) -> int:
    info = error.get("codexErrorInfo")
    if isinstance(info, str):
        return _STATUSES.get(info, 0)
    for kind in ("httpConnectionFailed", "responseTooManyFailedAttempts", "responseStreamConnectionFailed"):
        status = object_at(object_at(error, "codexErrorInfo"), kind).get("httpStatusCode")
        if isinstance(status, int):
            return status
    return 0
