"""Answers of token endpoints, read and written again with placeholders where the tokens stood. Pure.

An agent's tool may log in by itself (a device code, a code from a browser) and gets tokens for it. They are not for the
agent: `capture_desk.py` puts them into the vault, and the tool gets what looks like them. What cannot be read is not
passed on.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from credproxy.issuers.oauth import read_claims
from credproxy.wire.heads import Headers, find_header

MAX_ASK_BYTES = 512 << 10
"""Of a token request's body: it must be read before it is sent."""
MAX_ANSWER_BYTES = 1 << 20
"""More than any issuer says; what is longer is withheld."""
MIN_TOKEN_CHARS = 8

_KINDS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "accesstoken",
            "token",
            "usertoken",
            "bottoken",
            "apptoken",
            "sessiontoken",
            "authtoken",
            "bearertoken",
            "apitoken",
            "apikey",
            "rawkey",
            "jwt",
        ),
        "access_token",
    ),
    "refreshtoken": "refresh_token",
    "idtoken": "id_token",
    "clientsecret": "client_secret",
    "devicesecret": "device_secret",
    "registrationaccesstoken": "registration_token",
    "sessionkey": "session_key",
}
"""How services call what they give, without case, `_` and `-`."""
_CLIENT_FIELDS = frozenset(
    ("redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method", "software_statement")
)
_NAME_NOISE = re.compile(r"[-_ .]")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAsk:
    """What a tool asks of a token endpoint."""

    grant_type: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    scope: str = ""
    client_name: str = ""
    """The secret of ours whose placeholder it shows as its client secret; then `client_secret` is the real one."""
    shown_secret: str = field(default="", repr=False)
    """That placeholder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLogin:
    """Tokens that were given together."""

    tokens: Mapping[str, str] = field(repr=False)
    """Kind (`access_token`, `refresh_token`, `id_token` …) to token."""
    expires_in: float | None = None
    scope: str = ""
    client_id: str = ""
    """Of a client that was registered with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPage:
    """A token endpoint's answer, read."""

    form: Literal["json", "form"]
    value: Any = field(repr=False)


def read_ask(body: bytes, content_type: str) -> TokenAsk:
    """Return what a token request asks; what is no form and no JSON asks for nothing that we know."""
    text = body.decode("utf-8", "replace")
    fields: object = {}
    if "json" in content_type.lower():
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = {}
    else:
        fields = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    if not isinstance(fields, dict):
        return TokenAsk()

    def said(name: str) -> str:
        value = fields.get(name)
        return value if isinstance(value, str) else ""

    return TokenAsk(
        grant_type=said("grant_type"),
        client_id=said("client_id"),
        client_secret=said("client_secret"),
        refresh_token=said("refresh_token"),
        scope=said("scope"),
    )


def asks_to_register(body: bytes) -> bool:
    """Whether a JSON body is a client's description of itself, as RFC 7591 has it."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and not _CLIENT_FIELDS.isdisjoint(fields)


def read_basic(headers: Headers) -> tuple[str, str]:
    """Return the client id and secret of a Basic header, empty if there is none."""
    said = (find_header(headers, b"authorization") or b"").decode("latin-1")
    kind, _space, pair = said.partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        client_id, _colon, secret = base64.b64decode(pair.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return "", ""
    return urllib.parse.unquote_plus(client_id), urllib.parse.unquote_plus(secret)


def with_client_secret(ask: TokenAsk, received: Headers, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """Return a request's headers and body with the client secret wherever its placeholder stood. `received`: the
    headers as the tool sent them."""
    media_type = find_header(headers, b"content-type") or b""
    is_json = b"json" in media_type.lower()
    written = json.dumps(ask.client_secret)[1:-1] if is_json else urllib.parse.quote_plus(ask.client_secret)
    body = body.replace(ask.shown_secret.encode("ascii"), written.encode("ascii"))
    headers = [header for header in headers if header[0] != b"content-length"]
    headers.append((b"content-length", str(len(body)).encode("ascii")))
    client_id, shown = read_basic(received)
    if shown == ask.shown_secret:
        pair = f"{urllib.parse.quote_plus(client_id)}:{urllib.parse.quote_plus(ask.client_secret)}"
        headers.append((b"authorization", b"Basic " + base64.b64encode(pair.encode("ascii"))))
    return headers, body


def read_page(body: bytes, content_type: str) -> TokenPage | None:
    """Return an answer that can be written again; None: nobody can say what is in it."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "x-www-form-urlencoded" in content_type.lower() or ("text/plain" in content_type.lower() and "=" in text):
        return TokenPage(form="form", value=urllib.parse.parse_qsl(text, keep_blank_values=True))
    try:
        # Of a repeated key the last one counts here, and it is the only one that is written.
        return TokenPage(form="json", value=json.loads(text))
    except (ValueError, RecursionError):
        return None


def find_logins(page: TokenPage) -> tuple[FoundLogin, ...]:
    """Return what a page gives, the outermost first. Slack, for one, gives two logins in one answer."""
    return tuple(_logins_in(dict(page.value) if page.form == "form" else page.value))


def write_page(page: TokenPage, placeholders: Mapping[str, str]) -> bytes:
    """Return the page with each token (a key) replaced wherever it stands."""
    order = sorted(placeholders, key=len, reverse=True)

    def replaced(text: str) -> str:
        for token in order:
            text = text.replace(token, placeholders[token])
        return text

    if page.form == "form":
        return urllib.parse.urlencode([(name, replaced(value)) for name, value in page.value]).encode("ascii")
    return json.dumps(_mapped(page.value, replaced), separators=(",", ":")).encode("ascii")


def shaped_like(token: str, placeholder: str) -> str:
    """Return a placeholder that can be read as the token could: a JWT's claims stay (tools look up their account and
    its end there), and what proves them goes."""
    if not read_claims(token):
        return placeholder
    header, claims, _signature = token.split(".")
    return f"{header}.{claims}.{placeholder}"


def may_hold_token(body: bytes) -> bool:
    """Whether an answer that could not be read talks of tokens at all."""
    text = _NAME_NOISE.sub("", body.decode("latin-1")).lower()
    return any(name in text for name in _KINDS if name not in ("token", "jwt"))


def _logins_in(value: Any) -> Iterator[FoundLogin]:
    if isinstance(value, list):
        for item in value:
            yield from _logins_in(item)
    if not isinstance(value, dict):
        return
    tokens: dict[str, str] = {}
    for name, item in value.items():
        kind = _KINDS.get(_NAME_NOISE.sub("", str(name)).lower())
        if kind is not None and isinstance(item, str) and len(item) >= MIN_TOKEN_CHARS:
            tokens[kind if kind not in tokens else f"{kind} {name}"] = item
    if tokens:
        yield FoundLogin(tokens=tokens, expires_in=_seconds(value), scope=_scope(value), client_id=_client_id(value))
    for item in value.values():
        yield from _logins_in(item)


def _seconds(value: Mapping[str, Any]) -> float | None:
    found = next((value[name] for name in value if _NAME_NOISE.sub("", str(name)).lower() == "expiresin"), None)
    try:
        seconds = float(found) if isinstance(found, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < 1e9 else None


def _scope(value: Mapping[str, Any]) -> str:
    found = value.get("scope")
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else ""


def _client_id(value: Mapping[str, Any]) -> str:
    found = next((value[name] for name in value if _NAME_NOISE.sub("", str(name)).lower() == "clientid"), None)
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else ""


def _mapped(value: Any, replaced: Any) -> Any:
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, list):
        return [_mapped(item, replaced) for item in value]
    if isinstance(value, dict):
        return {replaced(name): _mapped(item, replaced) for name, item in value.items()}
    return value
