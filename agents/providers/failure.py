"""Why a model call failed, in a stable code and plain words, and whether asking again may help. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from protocol.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

MAX_DETAIL_CHARS = 300
_NOTICED_S = 60

_OF_THE_SERVICE = frozenset(
    (
        "model_misbehaved",
        "model_quota_used_up",
        "model_rate_limited",
        "model_refused_key",
        "model_silent",
        "model_stream_broken",
        "model_unavailable",
        "model_unknown",
        "secret_missing",
    )
)
_PROXY_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
_USED_UP_MARKS = ("insufficient_quota", "credit balance is too low")
_TOO_LONG_MARKS = ("prompt is too long", "context_length_exceeded", "maximum context length", "context window")


class Failure(Record):
    """One failed call."""

    code: str
    """Stable: `model_refused_key`, `model_rate_limited`, … or the proxy's own code."""
    reason: str
    """One plain sentence for a person; names the route."""
    retry: Literal["never", "soon", "proxy"] = "never"
    """`soon`: the service may be well in a moment; `proxy`: our own proxy is away, it restarts quickly."""
    retry_after_s: float | None = None
    """What the service asked for."""
    max_tries: int = 8

    @property
    def is_of_the_service(self) -> bool:
        """Whether another service could answer the same question. What our own proxy refuses it refuses for all."""
        return self.code in _OF_THE_SERVICE or self.code.startswith("upstream_")


def failure_of_answer(route: str, model: str, status: int, headers: Mapping[str, str], body: str) -> Failure:
    """Return what an answer other than 200 means."""
    if "x-nightyard" in headers:
        return _failure_of_proxy(headers["x-nightyard"], route, _said_in(body, with_code=False))
    detail = _said_in(body)
    said = f": {detail}" if detail else ""
    after_s = _retry_after(headers)
    if status in (401, 403):
        return Failure(
            code="model_refused_key",
            reason=f"The model service of route {route} refused its key (HTTP {status}){said}",
        )
    if status == 404:
        return Failure(
            code="model_unknown",
            reason=f"The model service of route {route} does not know model {model} (HTTP 404){said}",
        )
    if any(mark in detail.lower() for mark in _USED_UP_MARKS):
        return Failure(
            code="model_quota_used_up",
            reason=f"The account at the model service of route {route} is used up (HTTP {status}){said}",
        )
    if status == 429:
        return Failure(
            code="model_rate_limited",
            reason=f"The model service of route {route} asks to slow down (HTTP 429){_pause(after_s)}{said}",
            retry="soon",
            retry_after_s=after_s,
        )
    if status == 413 or any(mark in detail.lower() for mark in _TOO_LONG_MARKS):
        return Failure(
            code="conversation_too_long",
            reason=f"The conversation is too long for model {model}; /new begins a fresh one (HTTP {status}){said}",
        )
    if status >= 500 or status == 408:
        return Failure(
            code="model_unavailable",
            reason=f"The model service of route {route} is not well (HTTP {status}){_pause(after_s)}{said}",
            retry="soon",
            retry_after_s=after_s,
        )
    return Failure(
        code="model_rejected_request",
        reason=f"The model service of route {route} rejected the request (HTTP {status}){said}",
    )


def failure_of_error_event(route: str, model: str, kind: str, message: str) -> Failure:
    """Return what an error inside a stream means; `kind` is the API's own word."""
    statuses = {
        "authentication_error": 401,
        "permission_error": 403,
        "not_found_error": 404,
        "rate_limit_error": 429,
        "rate_limit_exceeded": 429,
        "invalid_api_key": 401,
        "model_not_found": 404,
        "request_too_large": 413,
        "invalid_request_error": 400,
    }
    status = statuses.get(kind, 529)
    return failure_of_answer(route, model, status, {}, json.dumps({"error": {"message": message}}))


def failure_of_connection(route: str, kind: str, detail: str) -> Failure:
    """Return what a request without a whole answer means; `kind` as in `agents.http.HttpFault`."""
    if kind == "unreachable":
        return Failure(
            code="proxy_gone",
            reason=f"Nightyard's own proxy does not answer ({detail})",
            retry="proxy",
        )
    if kind == "silent":
        return Failure(
            code="model_silent",
            reason=f"The model service of route {route} said nothing ({detail})",
            retry="soon",
            max_tries=2,
        )
    if kind == "malformed":
        return misbehaved(route, detail)
    return Failure(
        code="model_stream_broken",
        reason=f"The answer of the model service of route {route} broke off ({detail})",
        retry="soon",
    )


def misbehaved(route: str, detail: str) -> Failure:
    """Return the failure of an answer that is not what the API promises."""
    return Failure(
        code="model_misbehaved",
        reason=f"The model service of route {route} sent something that is not its API: {plain(detail)}",
        retry="soon",
        max_tries=3,
    )


def plain(text: str) -> str:
    """Return an outsider's text cut short, without control or direction characters."""
    text = _CONTROL.sub(" ", text).strip()
    return text if len(text) <= MAX_DETAIL_CHARS else text[:MAX_DETAIL_CHARS] + "…"


def _failure_of_proxy(header: str, route: str, detail: str) -> Failure:
    code = header if _PROXY_CODE.fullmatch(header) else "proxy_refused"
    retry: Literal["never", "soon"] = "soon" if code == "upstream_unreachable" else "never"
    if code.startswith("upstream_"):
        reason = f"The model service of route {route} does not answer: {detail or code}"
    else:
        reason = detail or f"Nightyard's proxy refused the call to route {route} ({code})"
    return Failure(code=code, reason=reason, retry=retry, max_tries=4)


def _pause(seconds: float | None) -> str:
    """Return the wait that a service asks for, in words, if it is one that a person notices."""
    if seconds is None or seconds < _NOTICED_S:
        return ""
    return f" for {round(seconds / 60)} min" if seconds >= 2 * _NOTICED_S else f" for {round(seconds)} s"


def _said_in(body: str, *, with_code: bool = True) -> str:
    """Return the message in an error body of either API, or the beginning of what else it is."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return plain(body)
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        has_code = with_code and isinstance(error.get("code"), str)
        return plain(f"{error['message']} ({error['code']})" if has_code else error["message"])
    if isinstance(error, str):
        return plain(error)
    return plain(body)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the answer asks to wait. Dates are not taken: model services send seconds."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None
