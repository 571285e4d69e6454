"""Whether a request is signed by who holds the hook's key, and how one is known again that comes twice. Pure.

Sources: GitHub, "Validating webhook deliveries" (X-Hub-Signature-256 over the body); Svix, "Verifying payloads
manually", which Resend uses (svix-id, svix-timestamp, svix-signature over `id.timestamp.body`, a key that begins with
`whsec_`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from channels.webhook.hook import Scheme

REPLAY_WINDOW_S = 300
"""How far a request's own time may be from ours, where its scheme has one (Svix's own figure)."""
MAX_ID_CHARS = 200
NO_KEY = "the key of this hook is empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request that is what it says."""

    event_id: str
    """The same for the same request sent again."""
    event: str
    """What happened, in its service's word; empty where the scheme has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """A request that is not answered, and why: the words tell a stranger nothing that helps."""

    reason: str


def check_signature(
    scheme: Scheme, secret: str, headers: Mapping[str, str], body: bytes, now: float
) -> Signed | Unsigned:
    """Check one request. `headers` have lower-case names; `now` is Unix time in seconds."""
    if not secret.strip():
        return Unsigned(reason=NO_KEY)  # anybody can sign with an empty key
    match scheme:
        case "github":
            return _github(secret, headers, body)
        case "resend":
            return _svix(secret, headers, body, now)
        case "hmac":
            return _own(secret, headers, body, now)
        case _:
            assert_never(scheme)


def sign(secret: str, delivery_id: str, timestamp: int, body: bytes) -> str:
    """Return the `X-Nightyard-Signature` of a request in our own scheme."""
    return f"sha256={_hex(secret.encode(), _signed_bytes(delivery_id, str(timestamp), body))}"


def _github(secret: str, headers: Mapping[str, str], body: bytes) -> Signed | Unsigned:
    wanted = f"sha256={_hex(secret.encode(), body)}"
    if not _same(wanted, headers.get("x-hub-signature-256", "")):
        return Unsigned(reason="the signature is missing or wrong")
    # Neither a time nor the delivery's id is signed: only what was signed can tell that it came before.
    return Signed(event_id=wanted.removeprefix("sha256="), event=headers.get("x-github-event", "")[:MAX_ID_CHARS])


def _svix(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> Signed | Unsigned:
    delivery, timestamp = headers.get("svix-id", ""), headers.get("svix-timestamp", "")
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return Unsigned(reason="the key of this hook is not one of Resend's")
    if not key:
        return Unsigned(reason=NO_KEY)
    digest = hmac.new(key, _signed_bytes(delivery, timestamp, body), hashlib.sha256).digest()
    wanted = base64.b64encode(digest).decode("ascii")
    given = [each.partition(",") for each in headers.get("svix-signature", "").split()]
    if not any(version == "v1" and _same(wanted, signature) for version, _, signature in given):
        return Unsigned(reason="the signature is missing or wrong")
    if (late := _is_late(delivery, timestamp, now)) is not None:
        return late
    return Signed(event_id=delivery, event=_type_of(body))


def _own(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> Signed | Unsigned:
    delivery, timestamp = headers.get("x-nightyard-id", ""), headers.get("x-nightyard-timestamp", "")
    wanted = f"sha256={_hex(secret.encode(), _signed_bytes(delivery, timestamp, body))}"
    if not _same(wanted, headers.get("x-nightyard-signature", "")):
        return Unsigned(reason="the signature is missing or wrong")
    if (late := _is_late(delivery, timestamp, now)) is not None:
        return late
    return Signed(event_id=delivery, event=headers.get("x-nightyard-event", "")[:MAX_ID_CHARS])


def _is_late(delivery: str, timestamp: str, now: float) -> Unsigned | None:
    if not 0 < len(delivery) <= MAX_ID_CHARS or not delivery.isprintable():
        return Unsigned(reason=f"the request's id is missing or longer than {MAX_ID_CHARS} characters")
    if "." in delivery:  # else id, time and body could be taken apart in another place than where they were joined
        return Unsigned(reason="the request's id has a dot")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return Unsigned(reason="the request's time is missing, or not in seconds since 1970")
    if abs(now - int(timestamp)) > REPLAY_WINDOW_S:
        return Unsigned(reason=f"the request's time is more than {REPLAY_WINDOW_S} s from ours")
    return None


def _type_of(body: bytes) -> str:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind[:MAX_ID_CHARS] if isinstance(kind, str) else ""


def _signed_bytes(delivery: str, timestamp: str, body: bytes) -> bytes:
    return f"{delivery}.{timestamp}.".encode("utf-8", "surrogateescape") + body


def _hex(key: bytes, signed: bytes) -> str:
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def _same(wanted: str, given: str) -> bool:
    return hmac.compare_digest(wanted.encode(), given.encode("utf-8", "surrogateescape"))
