"""What an agent must say with a structured result: why, how sure, what else it might be, what it rests on. Pure.

An agent may be uncertain, or abstain; it may not be silent about it. What is missing is told, and nobody asks the model
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, quote, urlsplit

from protocol.codec import Json
from protocol.proxy_admin import Fetched
from protocol.record import replace
from protocol.task import Alternative, Evidence, Judgement

MAX_TEXT_CHARS = 8_000
MAX_ALTERNATIVES = 20
MAX_EVIDENCE = 100
_PORTS = {"http": 80, "https": 443}
_IN_PATHS = "%/:@!$&'()*+,;=~-._"


class JudgementInvalid(Exception):
    """Something is missing or out of form; the message says what."""


def parse_judgement(value: Json) -> Judgement:
    """Return what an agent said with its result; raise JudgementInvalid."""
    if not isinstance(value, Mapping):
        raise JudgementInvalid("it is no object with `found`, `why`, `confidence` and `evidence`")
    abstained = _text(value, "abstain", is_needed=False)
    if ("found" in value) == bool(abstained):
        raise JudgementInvalid("it must have either `found`, or `abstain` with the reason")
    confidence = value.get("confidence")
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        raise JudgementInvalid("`confidence` must be a number from 0 to 1")
    alternatives = tuple(
        Alternative(what=_text(each, "what"), rejected_because=_text(each, "rejected_because"))
        for each in _rows(value, "alternatives", MAX_ALTERNATIVES)
    )
    evidence = tuple(
        Evidence(claim=_text(each, "claim"), source=_text(each, "source"), span=_text(each, "span", is_needed=False))
        for each in _rows(value, "evidence", MAX_EVIDENCE)
    )
    none = _text(value, "no_alternatives", is_needed=False)
    if not alternatives and not none and not abstained:
        raise JudgementInvalid("`alternatives` is empty, and `no_alternatives` does not say why")
    if not evidence and not abstained:
        raise JudgementInvalid("`evidence` is empty: a result rests on something, if only on `input`")
    return Judgement(
        why=_text(value, "why"),
        confidence=float(confidence),
        alternatives=alternatives,
        no_alternatives="" if alternatives else none,
        evidence=evidence,
        abstained=abstained,
    )


def needs_sources(judgement: Judgement) -> bool:
    """Return whether the proxy must be asked what it has fetched."""
    return any(_address(each.source) is not None for each in judgement.evidence)


def with_sources(judgement: Judgement, fetched: Sequence[Fetched]) -> Judgement:
    """Return the judgement with when each source was fetched, and the hash of what came; raise JudgementInvalid for one
    that never was. The newest counts."""
    known = {each.target: each for each in fetched}
    evidence = []
    for each in judgement.evidence:
        address = _address(each.source)
        if address is None:
            evidence.append(each)
            continue
        found = known.get(f"GET {address}")
        if found is None:
            raise JudgementInvalid(f"the source {each.source[:200]!r} was never fetched in this task")
        evidence.append(replace(each, fetched_at=found.at, sha256=found.sha256))
    return replace(judgement, evidence=tuple(evidence))


def _address(source: str) -> str | None:
    """Return an address as the proxy's record writes it, without query and fragment; None where it is none."""
    source = source.strip()
    if source.startswith(("//", "www.", "WWW.")):  # an address as people write it
        source = f"https://{source.removeprefix('//')}"
    try:
        parts: SplitResult = urlsplit(source)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown_port = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown_port}{quote(parts.path or '/', safe=_IN_PATHS)}"


def _rows(value: Mapping[str, Json], name: str, most: int) -> list[Mapping[str, Json]]:
    rows = value.get(name) or ()
    if not isinstance(rows, list | tuple) or not all(isinstance(each, Mapping) for each in rows):
        raise JudgementInvalid(f"`{name}` must be a list of objects")
    if len(rows) > most:
        raise JudgementInvalid(f"`{name}` has {len(rows)} entries, and may have {most}")
    return [each for each in rows if isinstance(each, Mapping)]


def _text(value: Mapping[str, Json], name: str, *, is_needed: bool = True) -> str:
    text = value.get(name) or ""
    if not isinstance(text, str) or len(text) > MAX_TEXT_CHARS:
        raise JudgementInvalid(f"`{name}` must be a text of at most {MAX_TEXT_CHARS} characters")
    if is_needed and not text.strip():
        raise JudgementInvalid(f"`{name}` is missing or empty")
    return text.strip()
