"""Puts a credential into a request that was decided on, stripped, and is about to be sent. Pure; fails closed.

Kinds are in `kinds.py`. What comes out holds the secret: it goes to the upstream and nowhere else; audit and logs have
what was asked for, not this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from credproxy.injection import headers as header_work
from credproxy.injection.failure import InjectionFailed
from credproxy.injection.kinds import (
    Basic,
    Bearer,
    ByPrefix,
    Cookie,
    HmacSigning,
    Injection,
    JsonField,
    ListHeader,
    PathHole,
    Query,
    Recipe,
    RemoveHeader,
    RemoveQuery,
    ReplaceHeader,
    SetHeader,
    SigV4,
    Step,
)
from credproxy.injection.url_parts import fill_hole, with_parameter, without_parameter
from credproxy.vault.credential import Credential, PartMissing
from credproxy.wire.heads import Headers
from credproxy.wire.target import Target

__all__ = [
    "InjectionFailed",
    "Outgoing",
    "carrier_headers",
    "carrier_parameters",
    "inject",
    "needs_body",
    "needs_secret",
    "only_signs",
    "takes_unsigned_pieces",
]


class Outgoing(NamedTuple):
    """A request as it goes out. Its repr tells no more than its method: it may hold a secret."""

    method: str
    target: Target
    headers: Headers
    """Names in lower case, Host and the body's length among them; without the agent's auth carriers."""
    body: bytes | None = None
    """The whole body; None: it is streamed, and can be neither changed nor signed. No body is `b""`."""
    received: Iterable[tuple[bytes, bytes]] = ()
    """The headers as the agent sent them, before stripping: there ReplaceHeader looks for its header."""

    def __repr__(self) -> str:
        return f"Outgoing(method={self.method!r})"


_COMPOSED = (Recipe, ByPrefix)


def inject(outgoing: Outgoing, injection: Injection, credential: Credential | None, *, now: float) -> Outgoing:
    """Return the request with the credential in it. `now` is the epoch's, for signatures. Raises InjectionFailed.

    `credential` None does for an injection that needs none (`needs_secret`).
    """
    try:
        if not isinstance(injection, _COMPOSED):
            return _WORK[type(injection)](outgoing, injection, credential, now)
        outgoing = _without_carriers(outgoing, injection)
        for step in _steps(injection, credential):
            outgoing = _WORK[type(step)](outgoing, step, credential, now)
    except PartMissing as missing:
        raise InjectionFailed("credential_unfit", f"Not sent: {missing}.") from None
    return outgoing


def needs_secret(injection: Injection) -> bool:
    """Whether it can do nothing without a credential."""
    return any(not isinstance(step, RemoveHeader | RemoveQuery | ListHeader) for step in _all_steps(injection))


@lru_cache(maxsize=1024)
def needs_body(injection: Injection) -> bool:
    """Whether the whole body must be there before anything is sent."""
    return any(_needs_body(step) for step in _all_steps(injection))


@lru_cache(maxsize=1024)
def only_signs(injection: Injection) -> bool:
    """Whether no value of the secret's goes out, but what is made with it (and a session's token, which is sent to
    AWS alone)."""
    steps = [step for step in _all_steps(injection) if not isinstance(step, RemoveHeader | RemoveQuery | ListHeader)]
    return bool(steps) and all(isinstance(step, SigV4 | HmacSigning) for step in steps)


@lru_cache(maxsize=1024)
def takes_unsigned_pieces(injection: Injection) -> bool:
    """Whether it signs for a service that takes a body without signatures of its pieces."""
    return any(isinstance(step, SigV4) and not _needs_body(step) for step in _all_steps(injection))


@lru_cache(maxsize=1024)
def carrier_headers(injection: Injection) -> frozenset[bytes]:
    """Return the headers that are the proxy's alone to set: what the agent sends under these names never goes out."""
    names: set[str] = set()
    for step in _all_steps(injection):
        match step:
            case SetHeader() | ReplaceHeader() | RemoveHeader():
                names.add(step.name)
            case Bearer() | Basic():
                names.add("authorization")
            case Cookie():
                names.add("cookie")
            case HmacSigning():
                names |= {step.header, step.timestamp_header, step.key_id_header} - {""}
            case SigV4():
                names |= {"authorization", "x-amz-date", "x-amz-security-token"}
            case _:
                pass
    return frozenset(name.encode("ascii") for name in names)


@lru_cache(maxsize=1024)
def carrier_parameters(injection: Injection) -> frozenset[str]:
    """Return the query parameters that are the proxy's alone to set."""
    return frozenset(step.name for step in _all_steps(injection) if isinstance(step, Query | RemoveQuery))


def _without_carriers(outgoing: Outgoing, injection: Recipe | ByPrefix) -> Outgoing:
    """Take out what any step may set: of two ways in which a service takes credentials, the one that is not used for
    this value must not carry the agent's own."""
    carriers = carrier_headers(injection)
    kept = [header for header in outgoing.headers if header[0].replace(b"_", b"-") not in carriers]
    target = outgoing.target
    for name in carrier_parameters(injection):
        target = target._replace(query=without_parameter(target.query, name))
    received = outgoing.received or outgoing.headers
    return Outgoing(outgoing.method, target, kept, outgoing.body, received)


def _needs_body(step: Step) -> bool:
    match step:
        case JsonField():
            return True
        case HmacSigning():
            return "{body" in step.message
        case SigV4():
            return step.service != "s3"  # S3 takes a request whose body is not signed, over TLS
        case _:
            return False


def _steps(injection: Injection, credential: Credential | None) -> Iterator[Step]:
    """The steps that this credential takes, in order."""
    if isinstance(injection, Recipe):
        for step in injection.steps:
            yield from _steps(step, credential)
    elif isinstance(injection, ByPrefix):
        value = _given(credential).value.reveal()
        fitting = (case for prefix, case in injection.cases if value.startswith(prefix))
        yield from _steps(next(fitting, injection.otherwise), credential)
    else:
        yield injection


def _all_steps(injection: Injection) -> Iterator[Step]:
    """All steps that some credential may take."""
    if isinstance(injection, Recipe):
        for step in injection.steps:
            yield from _all_steps(step)
    elif isinstance(injection, ByPrefix):
        for _prefix, case in injection.cases:
            yield from _all_steps(case)
        yield from _all_steps(injection.otherwise)
    else:
        yield injection


def _given(credential: Credential | None) -> Credential:
    if credential is None:
        raise InjectionFailed("credential_unfit", "The grant's `inject` needs a secret, and the grant names none.")
    return credential


def _with_header(outgoing: Outgoing, name: str, value: str) -> Outgoing:
    headers = header_work.with_header(outgoing.headers, name, value)
    # Not by `_replace`, which takes as long as all the rest of this.
    return Outgoing(outgoing.method, outgoing.target, headers, outgoing.body, outgoing.received)


def _bearer(outgoing: Outgoing, _step: Bearer, credential: Credential | None, _now: float) -> Outgoing:
    return _with_header(outgoing, "authorization", "Bearer " + _given(credential).value.reveal())


def _set_header(outgoing: Outgoing, step: SetHeader, credential: Credential | None, _now: float) -> Outgoing:
    given = _given(credential)
    if step.is_optional and step.part not in given.parts:
        return _remove_header(outgoing, RemoveHeader(name=step.name), None, _now)
    return _with_header(outgoing, step.name, header_work.fill(step.template, given.part(step.part).reveal()))


def _replace_header(outgoing: Outgoing, step: ReplaceHeader, credential: Credential | None, _now: float) -> Outgoing:
    raw = step.name.encode("ascii")
    if not any(name == raw for name, _value in (*outgoing.received, *outgoing.headers)):
        return outgoing
    value = _given(credential).part(step.part).reveal()
    return _with_header(outgoing, step.name, header_work.fill(step.template, value))


def _remove_header(outgoing: Outgoing, step: RemoveHeader, _credential: Credential | None, _now: float) -> Outgoing:
    return outgoing._replace(headers=header_work.without(outgoing.headers, step.name.encode("ascii")))


def _list_header(outgoing: Outgoing, step: ListHeader, _credential: Credential | None, _now: float) -> Outgoing:
    return outgoing._replace(headers=header_work.with_item(outgoing.headers, step.name, step.item))


def _basic(outgoing: Outgoing, step: Basic, credential: Credential | None, _now: float) -> Outgoing:
    return _with_header(outgoing, "authorization", header_work.basic_value(step, _given(credential)))


def _cookie(outgoing: Outgoing, step: Cookie, credential: Credential | None, _now: float) -> Outgoing:
    return _with_header(outgoing, "cookie", header_work.cookie_value(step, _given(credential)))


def _query(outgoing: Outgoing, step: Query, credential: Credential | None, _now: float) -> Outgoing:
    value = _given(credential).part(step.part).reveal()
    query = with_parameter(outgoing.target.query, step.name, value)
    return outgoing._replace(target=outgoing.target._replace(query=query))


def _remove_query(outgoing: Outgoing, step: RemoveQuery, _credential: Credential | None, _now: float) -> Outgoing:
    if outgoing.target.query is None:
        return outgoing
    query = without_parameter(outgoing.target.query, step.name)
    return outgoing._replace(target=outgoing.target._replace(query=query))


def _path_hole(outgoing: Outgoing, step: PathHole, credential: Credential | None, _now: float) -> Outgoing:
    path = fill_hole(outgoing.target, step, _given(credential).value.reveal())
    return outgoing._replace(target=outgoing.target._replace(path=path))


def _json_field(outgoing: Outgoing, step: JsonField, credential: Credential | None, _now: float) -> Outgoing:
    from credproxy.injection.json_field import with_field

    body = with_field(outgoing.headers, _whole(outgoing), step.pointer, _given(credential).value.reveal())
    headers = [header for header in outgoing.headers if header[0] not in (b"content-length", b"transfer-encoding")]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    return outgoing._replace(headers=headers, body=body)


def _hmac(outgoing: Outgoing, step: HmacSigning, credential: Credential | None, now: float) -> Outgoing:
    from credproxy.injection.hmac_signing import signature_headers

    body = _whole(outgoing) if needs_body(step) else b""
    signed = signature_headers(step, _given(credential), outgoing.method, outgoing.target, body, now)
    for name, value in signed:
        outgoing = _with_header(outgoing, name, value)
    return outgoing


def _sigv4(outgoing: Outgoing, step: SigV4, credential: Credential | None, now: float) -> Outgoing:
    from credproxy.injection.sigv4 import sign

    body = outgoing.body if step.service == "s3" else _whole(outgoing)
    target, headers = sign(step, _given(credential), outgoing.method, outgoing.target, outgoing.headers, body, now)
    return outgoing._replace(target=target, headers=headers)


def _whole(outgoing: Outgoing) -> bytes:
    if outgoing.body is None:
        raise InjectionFailed("body_not_whole", "The body is too large to be signed or to get a credential.")
    return outgoing.body


_Work = Callable[[Outgoing, Any, Credential | None, float], Outgoing]
_WORK: dict[type, _Work] = {
    Bearer: _bearer,
    SetHeader: _set_header,
    ReplaceHeader: _replace_header,
    RemoveHeader: _remove_header,
    RemoveQuery: _remove_query,
    ListHeader: _list_header,
    Basic: _basic,
    Query: _query,
    PathHole: _path_hole,
    Cookie: _cookie,
    JsonField: _json_field,
    HmacSigning: _hmac,
    SigV4: _sigv4,
}
"""One function per kind; the rare ones are imported when first used. A test sees that none is missing."""
