"""What another program says of its model's turns and tools, made fit for the link and the store. Pure."""

from __future__ import annotations

import hashlib
import json
import re

from agents.providers.turn_builder import BadArguments, parse_arguments, whole_characters
from agents.tools.toolbox import storable
from protocol.record import replace
from protocol.task import Usage
from protocol.transcript import Entry, ToolCall, ToolOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TEXT_CHARS = 200_000
"""Of one turn."""
_MAX_STORED_CHARS = 100_000
"""Of one call's arguments, as JSON."""
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def fit_call(call_id: str, name: str, arguments: object) -> ToolCall:
    """Return a call whose arguments every store takes: none, where these are too large or no JSON of ours."""
    return ToolCall(call_id=fit_call_id(call_id), name=whole_characters(name[:200]), arguments=_arguments(arguments))


def fit_call_id(given: str) -> str:
    """Return a call's id as every store takes it; the same one gives the same."""
    if _CALL_ID.fullmatch(given):
        return given
    return f"call_{hashlib.sha256(given.encode('utf-8', 'replace')).hexdigest()[:24]}"


def storable_call(call: ToolCall) -> ToolCall:
    """Return the call as a step can hold it: the same one, but for arguments that are very long."""
    text = json.dumps(call.arguments, ensure_ascii=False)
    if len(text) <= _MAX_STORED_CHARS:
        return call
    return replace(call, arguments={"cut": text[: _MAX_STORED_CHARS // 2]})


def fit_output(call_id: str, text: str, *, is_error: bool = False) -> ToolOutput:
    return ToolOutput(call_id=fit_call_id(call_id), text=storable(text) or "(no output)", is_error=is_error)


def fit_entry(texts: Sequence[str], *calls: ToolCall) -> Entry:
    """Return an assistant's entry."""
    text = "\n\n".join(text for text in texts if text.strip())
    return Entry(role="assistant", text=whole_characters(text)[:MAX_TEXT_CHARS], calls=calls)


def add_usage(one: Usage | None, other: Usage) -> Usage:
    """Return what two model calls have used."""
    if one is None:
        return other
    return Usage(
        model_calls=one.model_calls + other.model_calls,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cache_read_tokens=one.cache_read_tokens + other.cache_read_tokens,
        cache_write_tokens=one.cache_write_tokens + other.cache_write_tokens,
        reasoning_tokens=one.reasoning_tokens + other.reasoning_tokens,
    )


def _arguments(given: object) -> Mapping[str, object]:
    if not isinstance(given, dict):
        return {}
    try:
        return parse_arguments(json.dumps(given))
    except (BadArguments, ValueError, RecursionError):
        return {}
