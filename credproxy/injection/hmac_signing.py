"""HMAC over what the grant says is signed: timestamp, method, path, body. The key never goes out. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import HmacSigning, TimestampForm
from credproxy.injection.templates import fields_of, fill_fields
from credproxy.vault.credential import Credential
from credproxy.wire.target import Target


def signature_headers(
    step: HmacSigning, credential: Credential, method: str, target: Target, body: bytes, now: float
) -> list[tuple[str, str]]:
    """Return the headers to set; raises InjectionFailed and PartMissing."""
    wants_key_id = step.key_id_header or "key_id" in fields_of(step.message) | fields_of(step.template)
    key_id = credential.part("key_id").reveal() if wants_key_id else ""
    timestamp = _timestamp(step.timestamp_form, now)
    facts = {
        "timestamp": timestamp.encode("ascii"),
        "method": method.encode("ascii"),
        "path": target.path.encode("ascii"),
        "query": (target.query or "").encode("ascii"),
        "target": target.wire.encode("ascii"),
        "host": target.authority.encode("ascii"),
        "key_id": key_id.encode("ascii"),
        "body": body,
        "body_sha256": hashlib.sha256(body).hexdigest().encode("ascii"),
    }
    digest = hmac.digest(_key(step, credential), fill_fields(step.message, facts), step.algorithm)
    signature = digest.hex() if step.encoding == "hex" else base64.b64encode(digest).decode("ascii")
    value = fill_fields(step.template, {**facts, "": signature.encode("ascii")}).decode("ascii")
    extra = ((step.timestamp_header, timestamp), (step.key_id_header, key_id))
    return [(step.header, value), *((name, text) for name, text in extra if name)]


def _key(step: HmacSigning, credential: Credential) -> bytes:
    value = credential.value.reveal()
    try:
        if step.key_encoding == "base64":
            return base64.b64decode(value, validate=True)
        return bytes.fromhex(value) if step.key_encoding == "hex" else value.encode("ascii")
    except (binascii.Error, ValueError):
        sentence = f"The secret {credential.name} is not {step.key_encoding}, as the grant's `key_encoding` says."
        raise InjectionFailed("credential_unfit", sentence) from None


def _timestamp(form: TimestampForm, now: float) -> str:
    if form == "iso":
        return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(int(now * 1000) if form == "ms" else int(now))
