"""From what a person, a program or an agent asks for to a schedule that can be kept, or to the reason why not. Pure.

Chat, CLI and agents ask in the same words: when (`when.py`), options by name, a text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypeVar

from protocol.ids import ChatKey, GroupId, PersonKey
from runtime.refusal import OperationRefused
from runtime.schedules.calendar import Every
from runtime.schedules.cron import WrongCron
from runtime.schedules.decisions import MAX_RETRIES
from runtime.schedules.records import MissedPolicy, NewSchedule, OverlapPolicy, ScheduleText, SessionChoice, Trust
from runtime.schedules.when import WrongWhen, parse_when, read_span_s
from runtime.submission import MAX_PRE_CHECK_CHARS

MAX_TEXT_CHARS = 20_000
MAX_NAME_CHARS = 60
MAX_JITTER_S = 6 * 3600
MAX_TRIES_WORDS = ", ".join(str(number) for number in range(MAX_RETRIES + 1))

MISSED: Mapping[str, MissedPolicy] = {"once": "run_once", "run_once": "run_once", "skip": "skip", "all": "run_all",
                                      "run_all": "run_all"}  # fmt: skip
OVERLAP: Mapping[str, OverlapPolicy] = {"skip": "skip", "queue": "queue"}
SESSION: Mapping[str, SessionChoice] = {"chat": "chat", "own": "own", "none": "none"}
LIMITS = ("model_calls", "input_tokens", "output_tokens", "cost_usd", "rounds", "wall_s")
OPTIONS = ("zone", "jitter", "missed", "overlap", "session", "retries", "limit", "name", "agent")

_OPTION = re.compile(r"(?:--|—|–)(?P<name>[a-z-]+)(?:=|\s+)(?P<value>\"[^\"]*\"|“[^”]*”|\S+)\s*", re.IGNORECASE)
_PRE_CHECK = re.compile(r"```[ \t]*pre-?check[^\n]*\n(?P<script>.*?)\n?```\s*", re.DOTALL | re.IGNORECASE)
_EXAMPLE = "/schedule every day 08:00 Good morning"
_HELP = "docs/schedules.md"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for, in words."""

    words: str
    """When, then options, then the text; the text may also stand in `text`."""
    group_id: GroupId
    chat: ChatKey | None
    made_by: str
    subject: PersonKey | GroupId
    trust: Trust = "person"
    text: str = ""
    pre_check: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    """Over those in the words."""
    limits: Mapping[str, str] = field(default_factory=dict)


def build_schedule(wish: Wish, now: datetime, default_zone: str, find_zone: Callable[[str], tzinfo]) -> NewSchedule:
    """Return the schedule that is wished for; raise OperationRefused with what is wrong, and an example. `find_zone`
    returns the zone of a name, or raises OperationRefused."""
    pre_check, words = _take_pre_check(wish.words)
    zone_name = wish.options.get("zone") or option_in(words, "zone", now) or default_zone
    zone = find_zone(zone_name)
    try:
        when = parse_when(words, now, zone)
    except (WrongWhen, WrongCron) as error:
        raise OperationRefused("wrong_when", f"when is not clear: {error}", _HELP) from error
    found, limit_words, rest = read_options(when.rest)
    options = {**found, **wish.options}
    if wish.text and rest.strip():
        raise OperationRefused("wrong_when", f"when is not clear: {rest.strip()[:40]!r} is left over", _HELP)
    text = wish.text.strip() or rest.strip()
    prompt, name, script = text, options.get("name", ""), wish.pre_check or pre_check
    if not prompt:
        raise OperationRefused("empty_text", "a schedule needs a text that says what to do", _EXAMPLE)
    _check_length("text", prompt, MAX_TEXT_CHARS)
    _check_length("name", name, MAX_NAME_CHARS)
    _check_length("pre-check", script, MAX_PRE_CHECK_CHARS)
    jitter_s = _jitter_s(options.get("jitter", ""), when.timing.every_s if isinstance(when.timing, Every) else None)
    return NewSchedule(
        group_id=wish.group_id,
        chat=wish.chat,
        timing=when.timing,
        zone=zone_name,
        text=ScheduleText(prompt=prompt, name=name, pre_check=script),
        made_by=wish.made_by,
        subject=wish.subject,
        trust=wish.trust,
        jitter_s=jitter_s,
        missed=_chosen("missed", options.get("missed", "once"), MISSED),
        overlap=_chosen("overlap", options.get("overlap", "skip"), OVERLAP),
        session=_chosen("session", options.get("session", "chat" if wish.chat else "own"), SESSION),
        retries=_retries(options.get("retries", "0")),
        limits={**_limits(limit_words), **_limits(wish.limits)},
    )


def read_options(text: str) -> tuple[dict[str, str], dict[str, str], str]:
    """Return the options at the beginning of a text, the limits among them, and what stands after; raise
    OperationRefused for one that is not known. A phone's dash counts as two hyphens."""
    options: dict[str, str] = {}
    limits: dict[str, str] = {}
    while (found := _OPTION.match(text)) is not None:
        name, value = found["name"].lower(), found["value"].strip('"“”')
        if name not in OPTIONS:
            near = difflib.get_close_matches(name, OPTIONS, n=1)
            hint = f"; did you mean --{near[0]}?" if near else ""
            known = ", ".join(f"--{option}" for option in OPTIONS)
            raise OperationRefused("unknown_option", f"there is no option --{name}{hint} (there are: {known})", _HELP)
        if name == "limit":
            key, _, amount = value.partition("=")
            limits[key] = amount
        else:
            options[name] = value
        text = text[found.end() :]
    return options, limits, text


def option_in(words: str, name: str, now: datetime) -> str:
    """Return an option's value, from words that need not be right otherwise; empty: it is not given."""
    try:
        rest = parse_when(words, now - timedelta(days=2), UTC).rest  # what is over in UTC may not be elsewhere
        return read_options(rest)[0].get(name, "")
    except (WrongWhen, WrongCron, OperationRefused):
        return ""


def _take_pre_check(words: str) -> tuple[str, str]:
    """Return the script in a code block that begins with ```` ```pre-check ````, and the words without it."""
    found = _PRE_CHECK.search(words)
    if found is None:
        return "", words
    return found["script"], f"{words[: found.start()]}{words[found.end() :]}".strip()


def _check_length(what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise OperationRefused(
            "too_long",
            f"the {what} has {len(text)} characters, the most is {most}",
            "put it into a file of the agent's",
        )


def _chosen(name: str, word: str, known: Mapping[str, T]) -> T:
    found = known.get(word.lower())
    if found is None:
        text = f"--{name} is one of {', '.join(known)}, not {word[:40]!r}"
        raise OperationRefused("wrong_option", text, f"--{name} {next(iter(known))}")
    return found


def _jitter_s(text: str, every_s: int | None) -> int:
    if text in ("", "0"):
        return 0
    try:
        seconds, rest = read_span_s(text, "--jitter 5min")
    except WrongWhen as error:
        raise OperationRefused("wrong_option", f"--jitter {error}", "--jitter 5min") from error
    if rest or seconds > MAX_JITTER_S or (every_s is not None and seconds >= every_s):
        reason = f"--jitter is a span of at most {MAX_JITTER_S // 3600} hours, and shorter than the interval"
        raise OperationRefused("wrong_option", f"{reason}, not {text[:40]!r}", "--jitter 5min")
    return seconds


def _retries(text: str) -> int:
    if not text.isdecimal() or int(text[:4]) > MAX_RETRIES:
        raise OperationRefused(
            "wrong_option", f"--retries is one of {MAX_TRIES_WORDS}, not {text[:40]!r}", "--retries 2"
        )
    return int(text)


def _limits(words: Mapping[str, str]) -> dict[str, float]:
    limits = {}
    for key, text in words.items():
        if key not in LIMITS:
            message = f"there is no limit {key[:40]!r} (there are: {', '.join(LIMITS)})"
            raise OperationRefused("wrong_option", message, "--limit cost_usd=0.50")
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 < value < 1e9 or (key not in ("cost_usd", "wall_s") and value < 1):
            message = f"the limit {key} is a number above 0, not {text[:40]!r}"
            raise OperationRefused("wrong_option", message, "--limit cost_usd=0.50")
        limits[key] = value
    return limits
