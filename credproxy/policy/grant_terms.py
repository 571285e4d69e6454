"""What a grant says besides where it leads: how often, how large, how long, who must agree, which twin. Pure.

The keys are explained in docs/credentials.md; the nouns are in `verdict.py`; the small values in `grant_values.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from credproxy.policy.grant_values import read_duration, read_instant, read_rate, read_size, read_yes
from credproxy.policy.verdict import Approval, Dial, Quota, WebRead
from credproxy.policy.yaml_nodes import NodeReader
from credproxy.wire.target import DEFAULT_PORTS, Scheme, TargetRefused, parse_authority

TERM_KEYS = (
    "must_carry", "untrusted", "rate", "burst", "daily", "approval", "expires", "body_cap", "idempotency", "twin",
)  # fmt: skip
BUNDLE_KEYS = ("rate", "burst", "daily", "expires")
APPROVAL_KEYS = ("deadline", "hold", "who")
WEB_READ_KEYS = ("rate", "burst", "daily", "daily_bytes", "daily_url_chars", "url_chars", "answer_cap")

DEFAULT_DEADLINE_S = 600.0
DEFAULT_HOLD_S = 45.0
MAX_BODY_CAP = 4 << 30
IDEMPOTENCY_HEADER = "idempotency-key"
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_PERSON = re.compile(r"[^\s\x00-\x1f]{1,100}")
_MOST = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The conditions of one grant."""

    must_carry: bool = False
    untrusted: bool = False
    quota: Quota | None = None
    approval: Approval | None = None
    expires_at: float | None = None
    body_bytes: int | None = None
    idempotency_header: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebReadTerms:
    """What the open web may be read with. The defaults let a person's research through, and a disk's content not."""

    web_read: WebRead
    quota: Quota
    max_url_chars: int


def read_terms(reader: NodeReader, members: Mapping[str, yaml.Node], meaning: str) -> Terms:
    """Return a grant's conditions. `meaning`: what it grants, as text; who grants the same shares its counters."""
    body, approval, idempotency = (members.get(key) for key in ("body_cap", "approval", "idempotency"))
    return Terms(
        must_carry="must_carry" in members and read_yes(reader, members["must_carry"], "must_carry"),
        untrusted="untrusted" in members and read_yes(reader, members["untrusted"], "untrusted"),
        quota=_read_quota(reader, members, meaning),
        approval=None if approval is None else _read_approval(reader, approval),
        expires_at=read_instant(reader, members["expires"], "expires") if "expires" in members else None,
        body_bytes=None if body is None else read_size(reader, body, "body_cap", MAX_BODY_CAP),
        idempotency_header=None if idempotency is None else _read_idempotency(reader, idempotency),
    )


def read_web_read(reader: NodeReader, node: yaml.Node, meaning: str) -> WebReadTerms | None:
    """Return the terms of `web_read: true`, or of a mapping of them; None for `false` or a problem."""
    members: dict[str, yaml.Node] = {}
    if isinstance(node, yaml.ScalarNode):
        if not read_yes(reader, node, "web_read"):
            return None
    else:
        members = reader.mapping(node, WEB_READ_KEYS)
    rate = read_rate(reader, members["rate"], "rate") if "rate" in members else (60, 60.0)
    if rate is None:
        return None
    return WebReadTerms(
        web_read=WebRead(max_answer_bytes=_size(reader, members, "answer_cap", 32 << 20)),
        max_url_chars=_number(reader, members, "url_chars", 500),
        quota=Quota(
            key=quota_key(meaning),
            per_s=rate[0] / rate[1],
            burst=_number(reader, members, "burst", min(rate[0], 20)),
            daily=_number(reader, members, "daily", 2_000),
            daily_bytes=_size(reader, members, "daily_bytes", 1 << 30),
            daily_url_chars=_number(reader, members, "daily_url_chars", 200_000),
        ),
    )


def read_twin(reader: NodeReader, node: yaml.Node) -> Dial | None:
    """Return where `http://127.0.0.1:8081` is."""
    text = reader.text(node, "twin") or ""
    scheme_text, separator, authority = text.partition("://")
    scheme: Scheme = "https" if scheme_text == "https" else "http"
    try:
        if not separator or scheme_text not in ("http", "https"):
            raise TargetRefused("it begins with http:// or https://")
        place = parse_authority(authority.removesuffix("/"), default_port=DEFAULT_PORTS[scheme])
    except TargetRefused as refusal:
        reader.complain(node, "twin", f"must be a twin's address such as http://127.0.0.1:8081: {refusal.reason}")
        return None
    return Dial(scheme=scheme, host=place.host, port=place.port)


def quota_key(meaning: str) -> str:
    """Return the name of the counters of what a grant grants: moving it within the file gives nothing back."""
    return hashlib.sha256(meaning.encode("utf-8")).hexdigest()[:24]


def _read_quota(reader: NodeReader, members: Mapping[str, yaml.Node], meaning: str) -> Quota | None:
    if "burst" in members and "rate" not in members:
        reader.complain(members["burst"], "burst", "goes with `rate`, which is not given")
    if "rate" not in members and "daily" not in members:
        return None
    rate = read_rate(reader, members["rate"], "rate") if "rate" in members else None
    daily = reader.number(members["daily"], "daily", 0, _MOST) if "daily" in members else None
    return Quota(
        key=quota_key(meaning),
        per_s=None if rate is None else rate[0] / rate[1],
        burst=_number(reader, members, "burst", 1 if rate is None else rate[0]),
        daily=daily,
    )


def _read_approval(reader: NodeReader, node: yaml.Node) -> Approval | None:
    if isinstance(node, yaml.ScalarNode):
        return Approval(deadline_s=DEFAULT_DEADLINE_S) if read_yes(reader, node, "approval") else None
    members = reader.mapping(node, APPROVAL_KEYS)
    deadline_s: float | None = DEFAULT_DEADLINE_S
    if "deadline" in members:
        deadline_s = read_duration(reader, members["deadline"], "deadline", least_s=10, most_s=86400)
    hold_s: float | None = DEFAULT_HOLD_S
    if "hold" in members:
        hold_s = read_duration(reader, members["hold"], "hold", least_s=1, most_s=86400)
    who = reader.texts(members["who"], "who") if "who" in members else ()
    for person in who:
        if _PERSON.fullmatch(person) is None:
            reader.complain(members["who"], "who", f"`{person[:40]}` is not a person's key")
    if deadline_s is None or hold_s is None:
        return None
    return Approval(deadline_s=deadline_s, hold_s=hold_s, who=who)


def _read_idempotency(reader: NodeReader, node: yaml.Node) -> str | None:
    """`true` means the header that most take; else it is the header's name."""
    word = reader.word(node)
    if word in ("true", "false"):
        return IDEMPOTENCY_HEADER if word == "true" else None
    if _HEADER.fullmatch(word) is None:
        reader.complain(node, "idempotency", "must be true, or the name of the header")
        return None
    return word.lower()


def _number(reader: NodeReader, members: Mapping[str, yaml.Node], key: str, default: int) -> int:
    return default if key not in members else reader.number(members[key], key, 1, _MOST) or default


def _size(reader: NodeReader, members: Mapping[str, yaml.Node], key: str, default: int) -> int:
    return default if key not in members else read_size(reader, members[key], key, 1 << 40) or default
