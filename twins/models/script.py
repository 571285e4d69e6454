"""What the rehearsal model says: rules that match the last thing a person said, and turns that answer it. Pure.

A script is JSON: {"rules": [{"when": REGEX, "turns": [{"text": …, "calls": [{"tool": …, "arguments": {…}}]}]}]}; what
else a turn may hold is said at `Turn`.
The first rule whose regex is found in the person's last words answers; its n-th turn is the n-th model call since.
Last words are the content of the last `<message …>` element where the prompt has such, else all of it. In texts and
arguments, {1}, {2}… are the regex's groups, {output} the last tool's output, {outputs} all of them, {said} the last
words, {collected} all matches of the rule's "collect" regex in the whole prompt, joined by commas, {unanswered} those
in all prompts since the model's last answer: what was said while it worked comes as a prompt of its own. {recalled} is
what the rule's "recall" regex finds anywhere in the request, each once: what a model could still know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

MAX_OUTPUT_CHARS = 2000
"""What a quoted tool output is cut to: a rehearsal shows it to a person."""


_MESSAGE = re.compile(r"<message\b[^>]*>(.*?)</message>", re.DOTALL)


class ScriptError(ValueError):
    """A script that cannot be used; the message names the rule and the mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    tool: str
    arguments: Mapping[str, Any]
    raw: str | None = None
    """The text of the arguments where it is not theirs: as a model says it that has lost its way, and calls what it
    likes."""

    @property
    def text(self) -> str:
        return json.dumps(dict(self.arguments)) if self.raw is None else self.raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    text: str = ""
    think: str = ""
    """What it thinks first: a signed block, which has to come back before the turn's calls."""
    calls: tuple[Call, ...] = ()
    stop: str = ""
    """Why it stops, if not because it is done: `length` (its output limit) or `refused`."""
    cached: int = 0
    """Of the prompt's tokens, how many the service says it had in its cache."""
    delay_s: float = 0.0
    """Silence before the first byte."""
    pace_s: float = 0.0
    """Between two words of a streamed text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    when: re.Pattern[str]
    turns: tuple[Turn, ...]
    collect: re.Pattern[str] | None = None
    recall: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What matters of a request, in either API."""

    model: str
    said: str
    """The person's last words: the text of the last user turn that is not a tool's result."""
    turns_since: int
    """Assistant turns after it."""
    unanswered: tuple[str, ...] = ()
    """The texts of all user turns since the last assistant turn without a call."""
    outputs: tuple[str, ...] = ()
    """What tools returned since."""
    tools: frozenset[str] = field(default_factory=frozenset)
    request: str = ""
    """All of it, as it came."""


def parse_script(text: str) -> tuple[Rule, ...]:
    """Return a script's rules; raise ScriptError."""
    try:
        rules = json.loads(text)["rules"]
    except (ValueError, KeyError, TypeError) as error:
        raise ScriptError(f'a script is JSON with a list "rules": {error}') from error
    return tuple(_parse_rule(rule, number) for number, rule in enumerate(rules, start=1))


def _parse_rule(rule: Mapping[str, Any], number: int) -> Rule:
    try:
        return Rule(
            when=re.compile(rule["when"], re.IGNORECASE),
            turns=tuple(_parse_turn(turn) for turn in rule["turns"]),
            collect=re.compile(rule["collect"]) if "collect" in rule else None,
            recall=re.compile(rule["recall"]) if "recall" in rule else None,
        )
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise ScriptError(f'rule {number} needs "when" (a regex) and "turns" (a list): {error!r}') from error


def _parse_turn(turn: Mapping[str, Any]) -> Turn:
    calls = tuple(
        Call(tool=call["tool"], arguments=dict(call["arguments"]) if "raw" not in call else {}, raw=call.get("raw"))
        for call in turn.get("calls", ())
    )
    return Turn(
        text=turn.get("text", ""),
        think=turn.get("think", ""),
        calls=calls,
        stop=turn.get("stop", ""),
        cached=int(turn.get("cached", 0)),
        delay_s=float(turn.get("delay_s", 0)),
        pace_s=float(turn.get("pace_s", 0)),
    )


def decide_turn(rules: Sequence[Rule], conversation: Conversation) -> Turn:
    """Return what the model says next. Without a rule that fits it says so, and how to add one."""
    words = last_words(conversation.said)
    for rule in rules:
        match = rule.when.search(words)
        if match is not None:
            return _fill(rule, match, conversation)
    return Turn(text="(The rehearsal model has no line for that: its script has no rule that matches.)")


def argument_pieces(text: str) -> Iterator[str]:
    """Yield a call's arguments as they are streamed: in pieces of some characters, in a thousand if they are long."""
    size = max(64, len(text) // 1000)
    yield from (text[start : start + size] for start in range(0, len(text), size))


def last_words(prompt: str) -> str:
    """Return what the last message in a prompt says."""
    elements = _MESSAGE.findall(prompt)
    return elements[-1].strip() if elements else prompt


def _fill(rule: Rule, match: re.Match[str], conversation: Conversation) -> Turn:
    turn = rule.turns[min(conversation.turns_since, len(rule.turns) - 1)] if rule.turns else Turn()
    missing = sorted({call.tool for call in turn.calls if call.raw is None} - conversation.tools)
    if missing:
        return Turn(text=f"(The rehearsal would use {', '.join(missing)} here, but this agent has no such tool.)")
    values = _values(rule, match, conversation)
    calls = tuple(replace(call, arguments=_substitute(call.arguments, values)) for call in turn.calls)
    return replace(turn, text=_substitute(turn.text, values), calls=calls)


def _values(rule: Rule, match: re.Match[str], conversation: Conversation) -> dict[str, str]:
    outputs = [output.strip()[:MAX_OUTPUT_CHARS] for output in conversation.outputs]
    values = {str(number): group or "" for number, group in enumerate(match.groups(), start=1)}
    values["said"] = last_words(conversation.said)
    values["output"] = outputs[-1] if outputs else ""
    values["outputs"] = "\n".join(outputs)
    if rule.collect is not None:
        values["collected"] = ",".join(rule.collect.findall(conversation.said))
        values["unanswered"] = ",".join(rule.collect.findall("\n".join(conversation.unanswered)))
    if rule.recall is not None:
        values["recalled"] = ",".join(dict.fromkeys(rule.recall.findall(conversation.request)))
    return values


def _substitute(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), value)
    if isinstance(value, Mapping):
        return {key: _substitute(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item, values) for item in value]
    return value
