"""AWS Signature Version 4 in headers: what an AWS client signed with its placeholder is signed again. Pure.

The form is described at https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
The query is written again in its canonical form, so that what is signed is what is sent.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Iterable
from datetime import UTC, datetime

from credproxy.injection.failure import InjectionFailed
from credproxy.injection.headers import with_header, without
from credproxy.injection.kinds import SigV4
from credproxy.vault.credential import Credential
from credproxy.wire.heads import Headers, find_header
from credproxy.wire.target import Target

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
"""Chunks with a checksum after them and no signatures of their own: what the SDKs send to S3 over TLS."""
_STREAMING = "STREAMING-"
_CONTENT_HASH = b"x-amz-content-sha256"
_SIGNED = frozenset((b"host", b"content-type", b"content-md5"))
_SPACES = re.compile(rb" +")
_SLASHES = re.compile(r"/{2,}")
_UNSIGNED_SERVICES = frozenset(("s3", "s3express", "s3-outposts", "s3-object-lambda"))
"""S3's own rules: the path is encoded once, the body's hash is a header and may be left open."""
_SIGNING_NAMES = {
    "bedrock-runtime": "bedrock",
    "bedrock-agent": "bedrock",
    "bedrock-agent-runtime": "bedrock",
    "email": "ses",
    "monitoring": "monitoring",
    "data.iot": "iotdata",
    "runtime.sagemaker": "sagemaker",
    "api.ecr": "ecr",
    "api.sagemaker": "sagemaker",
    "streams.dynamodb": "dynamodb",
}
"""Where a host begins otherwise than its service is signed."""
_REGION = re.compile(r"(?:us|eu|ap|sa|ca|me|af|il|mx|cn|us-gov|us-iso|us-isob)-[a-z]+-[0-9]")
GLOBAL_REGION = "us-east-1"
_PRESIGNED = frozenset(
    (
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    )
)


def sign(
    step: SigV4,
    credential: Credential,
    method: str,
    target: Target,
    headers: Headers,
    body: bytes | None,
    now: float,
) -> tuple[Target, Headers]:
    """Return target and headers, signed. A body of None is left unsigned, which only S3 takes; raises
    InjectionFailed and PartMissing."""
    service, region = place_of(step, target.host)
    is_s3 = service in _UNSIGNED_SERVICES
    stamp = datetime.fromtimestamp(int(now), UTC).strftime("%Y%m%dT%H%M%SZ")
    content_hash = _content_hash(headers, body, is_s3=is_s3)
    headers = without(without(headers, b"authorization"), b"date")
    headers = with_header(headers, "x-amz-date", stamp)
    if is_s3:
        headers = with_header(headers, "x-amz-content-sha256", content_hash)
    token = credential.parts.get("session_token")
    headers = without(headers, b"x-amz-security-token")
    if token is not None:
        headers = with_header(headers, "x-amz-security-token", token.reveal())
    target = target._replace(query=canonical_query(target.query))
    signed = [(name, value) for name, value in headers if name in _SIGNED or name.startswith(b"x-amz-")]
    names, canonical_headers = _canonical_headers(signed)
    request = "\n".join(
        (
            method,
            canonical_path(target.path, is_s3=is_s3),
            target.query or "",
            canonical_headers,
            names,
            content_hash,
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    digest = hashlib.sha256(request.encode("utf-8")).hexdigest()
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}"
    key = signing_key(credential.part("secret_access_key").reveal(), stamp[:8], region, service)
    signature = hmac.digest(key, to_sign.encode("ascii"), "sha256").hex()
    key_id = credential.part("access_key_id").reveal()
    value = f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return target, with_header(headers, "authorization", value)


def place_of(step: SigV4, host: str) -> tuple[str, str]:
    """Return service and region for a host, as the grant says or the host's name does; raises InjectionFailed."""
    service, region = step.service, step.region
    if not (service and region):
        found = _place_in_name(host)
        if found is None:
            sentence = (
                f"{host} does not say its AWS service and region; the grant must: {{sigv4: {{service: …, region: …}}}}."
            )
            raise InjectionFailed("credential_unfit", sentence)
        service, region = service or found[0], region or found[1]
    return service, region


def located(step: SigV4, host: str) -> SigV4:
    """Return the step with service and region said, where the host's name says them: so it is known when policy is
    read whether a body may be streamed."""
    try:
        service, region = place_of(step, host)
    except InjectionFailed:
        return step
    return SigV4(service=service, region=region)


def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    """Return the key of a day, region and service."""
    key = b"AWS4" + secret.encode("ascii")
    for word in (day, region, service, "aws4_request"):
        key = hmac.digest(key, word.encode("ascii"), "sha256")
    return key


def canonical_path(path: str, *, is_s3: bool) -> str:
    """S3's path is encoded once; everybody else's is the wire's path encoded again, without empty segments."""
    if is_s3:
        return urllib.parse.quote(urllib.parse.unquote_to_bytes(path), safe="/-_.~")
    return urllib.parse.quote(_SLASHES.sub("/", path), safe="/-_.~")


def canonical_query(query: str | None) -> str | None:
    """Return the query sorted and encoded as it is signed, without what an address signed in advance holds."""
    if query is None:
        return None
    pairs = []
    for piece in query.split("&"):
        name, _equals, value = piece.partition("=")
        name, value = _recoded(name), _recoded(value)
        if piece and name.lower() not in _PRESIGNED:
            pairs.append((name, value))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs)) or None


def _recoded(text: str) -> str:
    return urllib.parse.quote(urllib.parse.unquote_to_bytes(text.replace("+", "%20")), safe="-_.~")


def _place_in_name(host: str) -> tuple[str, str] | None:
    name, dot, _rest = host.partition(".amazonaws.com")
    if not dot or _rest not in ("", ".cn"):
        return None
    labels = name.split(".")
    at = next((index for index, label in enumerate(labels) if _REGION.fullmatch(label)), None)
    if at is None:
        service, region = labels[-1], GLOBAL_REGION
    else:
        service, region = labels[at - 1] if at else (labels[at + 1] if at + 1 < len(labels) else ""), labels[at]
        if at >= 2 and f"{labels[at - 2]}.{service}" in _SIGNING_NAMES:
            service = f"{labels[at - 2]}.{service}"
        elif at >= 2 and service == "dualstack":
            service = labels[at - 2]
    return (_SIGNING_NAMES.get(service, service), region) if service else None


def _content_hash(headers: Headers, body: bytes | None, *, is_s3: bool) -> str:
    """Return the hash that is signed for the body."""
    said = (find_header(headers, _CONTENT_HASH) or b"").decode("latin-1")
    if said.startswith(_STREAMING):
        if said != UNSIGNED_TRAILER or not is_s3:
            # Pieces are signed with the placeholder: the service would refuse them after all was sent. For S3
            # `aws_pieces.py` has taken those signatures out before; what is left is another form, or not S3's.
            sentence = (
                f"The body is in signed pieces ({said[:60]}), which only S3 takes without their signatures; have the "
                "client send it whole."
            )
            raise InjectionFailed("signing_refused", sentence)
        return said
    if body is not None:
        return hashlib.sha256(body).hexdigest()
    if not is_s3:
        raise InjectionFailed(
            "body_not_whole", "The body is too large to be signed, and only S3 takes an unsigned one."
        )
    return UNSIGNED


def _canonical_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """Return the signed names, and their lines with an empty one after them."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(_SPACES.sub(b" ", value.strip()))
    lines = [name + b":" + b",".join(values[name]) + b"\n" for name in sorted(values)]
    return b";".join(sorted(values)).decode("latin-1"), b"".join(lines).decode("latin-1")
