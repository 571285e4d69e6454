"""Gathers what a model says into a Turn, trusting none of it. Pure.

Caps keep a flood out of memory and out of the link's frames; ids and names are made fit for every API, since the
conversation may go on with another one; arguments are parsed as strictly as the frames that carry them.
"""

from __future__ import annotations

import json
import math
import re

from agents.providers.failure import misbehaved
from agents.providers.provider import StopReason, StreamFault, Turn
from protocol.task import ModelRoute, Usage
from protocol.transcript import Entry, Thought, ToolCall

MAX_TEXT_BYTES = 256 << 10
"""Of one answer, as JSON."""
MAX_ARGUMENT_BYTES = 256 << 10
"""Of all calls of one turn together, as JSON: with text and thoughts at their largest still one frame of the link."""
MAX_THOUGHT_BYTES = 192 << 10
"""Of one turn, as JSON: such a block is of use only whole, so a turn with more is refused."""
MAX_CALLS = 32
MAX_ARGUMENT_DEPTH = 32

_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class BadArguments(ValueError):
    """A tool call's arguments are not a JSON object."""


class TokenCounts:
    """What one call used, as far as the stream has told. Later events repeat and complete earlier ones: the highest
    count holds."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("input", "output", "cache_read", "cache_write", "reasoning"), 0)

    def at_least(self, **counts: int) -> None:
        for name, count in counts.items():
            self.counts[name] = max(self.counts[name], count)

    def usage(self) -> Usage:
        return Usage(model_calls=1, **{f"{name}_tokens": count for name, count in self.counts.items()})


class _Call:
    def __init__(self, call_id: str, name: str) -> None:
        self.call_id = call_id
        self.name = name
        self.pieces: list[str] = []


class TurnBuilder:
    """One answer as it grows. Calls are told apart by the API's own index."""

    def __init__(self, route: ModelRoute) -> None:
        self._route = route.route
        self._thinker = route.full_name
        self._thoughts: list[Thought] = []
        self._thought_bytes = 0
        self._text: list[str] = []
        self._text_bytes = 0
        self._argument_bytes = 0
        self._calls: dict[int, _Call] = {}
        self.use = TokenCounts()
        self.stop: StopReason = "end"

    def add_text(self, text: str) -> str:
        """Add and return the text, fit to be sent on."""
        text = whole_characters(text)
        self._text_bytes += json_bytes(text)
        if self._text_bytes > MAX_TEXT_BYTES:
            raise StreamFault(misbehaved(self._route, f"an answer of more than {MAX_TEXT_BYTES} bytes"))
        self._text.append(text)
        return text

    def add_thought(self, block: object) -> None:
        """Keep what the model thought just now."""
        self._thought_bytes += json_bytes(block)
        if self._thought_bytes > MAX_THOUGHT_BYTES:
            raise StreamFault(misbehaved(self._route, f"thoughts of more than {MAX_THOUGHT_BYTES} bytes"))
        place = len(self._calls) + 1 if self._calls or self._text_bytes else 0
        self._thoughts.append(Thought(block=block, place=place))

    def begin_call(self, index: int, call_id: str, name: str) -> None:
        """Begin the call at an index, or complete what was not known of it before."""
        call = self._calls.get(index)
        if call is None:
            if len(self._calls) >= MAX_CALLS:
                raise StreamFault(misbehaved(self._route, f"more than {MAX_CALLS} tool calls at once"))
            self._calls[index] = _Call(call_id, name)
            return
        call.call_id = call.call_id or call_id
        call.name = call.name or name

    def add_arguments(self, index: int, piece: str) -> None:
        """Add a piece of a call's JSON. Beyond the limit it is only counted."""
        if index not in self._calls:
            self.begin_call(index, "", "")
        self._argument_bytes += len(piece.encode("utf-8", "surrogatepass"))
        if self._argument_bytes <= MAX_ARGUMENT_BYTES:
            self._calls[index].pieces.append(piece)

    def turn(self) -> Turn:
        calls, faulty = [], {}
        used: set[str] = set()
        for number, (_, call) in enumerate(sorted(self._calls.items())):
            call_id = call.call_id if _CALL_ID.fullmatch(call.call_id) and call.call_id not in used else ""
            # An id that several turns would share is the loop's to renew: it knows the conversation.
            call_id = call_id or f"call_{number}"
            used.add(call_id)
            arguments: dict[str, object] = {}
            try:
                arguments = self._arguments(call)
            except BadArguments as error:
                faulty[call_id] = str(error)
            name = _NOT_NAME.sub("_", call.name)[:64] or "unnamed"
            calls.append(ToolCall(call_id=call_id, name=name, arguments=arguments))
        return Turn(
            entry=Entry(
                role="assistant",
                text="".join(self._text),
                calls=tuple(calls),
                thoughts=tuple(self._thoughts),
                thinker=self._thinker if self._thoughts else "",
            ),
            usage=self.use.usage(),
            stop="tools" if calls and self.stop == "end" else self.stop,
            faulty_calls=faulty,
        )

    def _arguments(self, call: _Call) -> dict[str, object]:
        if self._argument_bytes > MAX_ARGUMENT_BYTES:
            raise BadArguments(
                f"the arguments are {self._argument_bytes} bytes; the limit for all calls of a turn is "
                f"{MAX_ARGUMENT_BYTES}. Send less at once."
            )
        return parse_arguments("".join(call.pieces))


def parse_arguments(text: str) -> dict[str, object]:
    """Return a call's arguments; raise BadArguments for all that could not be stored or sent on."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
        size = json_bytes(value)
    except UnicodeEncodeError:
        raise BadArguments("the arguments hold half a character (a lone surrogate)") from None
    except RecursionError:
        raise BadArguments("the arguments are nested too deeply") from None
    except ValueError as error:
        raise BadArguments(f"the arguments are not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise BadArguments("the arguments must be a JSON object")
    if size > MAX_ARGUMENT_BYTES:  # `1e15` grows when it is written out
        raise BadArguments(f"the arguments are {size} bytes; the limit is {MAX_ARGUMENT_BYTES}")
    if _depth(value) > MAX_ARGUMENT_DEPTH:
        raise BadArguments("the arguments are nested too deeply")
    return value


def json_bytes(value: object) -> int:
    """Return how many bytes a value takes in a frame; raise UnicodeEncodeError for what is not text."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))


def whole_characters(text: str) -> str:
    """Return the text with lone surrogates, which are no characters, replaced."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is not a number that JSON has")
    return number


def _depth(value: object) -> int:
    """Return the nesting of a JSON value, without recursion; stops counting just above the limit."""
    depth, level = 0, [value]
    while level and depth <= MAX_ARGUMENT_DEPTH:
        depth += 1
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below
    return depth
