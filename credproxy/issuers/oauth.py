"""OAuth 2 as a client speaks it (RFC 6749): a request for a token, and what its answer means. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any, Literal

from credproxy.issuers.recipe import BodyForm, OAuthLogin
from credproxy.issuers.token import NoToken, Token, TokenAnswer, TokenRequest
from credproxy.vault.secret import BadValue, Secret
from credproxy.wire.target import Target

ClientAuth = Literal["body", "basic"]
"""How the client names itself. Most services take `body`; those that do not say invalid_client, and get `basic`."""

MAX_DESCRIPTION_CHARS = 160
MAX_RETRY_AFTER_S = 3600.0
MAX_LIFE_S = 10 * 365 * 86400.0
_LOST = frozenset(
    (
        "invalid_grant",
        "refresh_token_reused",
        "refresh_token_expired",
        "refresh_token_invalidated",
        "bad_refresh_token",  # GitHub's word
        "token_expired",
        "token_revoked",
    )
)
_FOR_LATER = frozenset(("temporarily_unavailable", "server_error", "slow_down", "rate_limited", "ratelimited"))
_UNPRINTABLE = re.compile(r"[^ -~]+")
_ACCOUNT_CLAIM = "https://api.openai.com/auth"


def build_token_request(login: OAuthLogin, client_auth: ClientAuth = "body") -> TokenRequest:
    """Return the request for a new token of a login."""
    if login.refresh_token is not None:
        fields = {"grant_type": "refresh_token", "refresh_token": login.refresh_token.reveal()}
    else:
        fields = {"grant_type": "client_credentials"}
        if login.audience:
            fields["audience"] = login.audience
    if login.scope:
        fields["scope"] = login.scope
    return _build(login.target, fields, login.client_id, login.client_secret, client_auth, login.body_form)


def build_code_request(
    login: OAuthLogin, code: str, verifier: str, redirect_url: str, extra: Mapping[str, str], client_auth: ClientAuth
) -> TokenRequest:
    """Return the request that turns a code, which the browser brought, into the login's first tokens."""
    fields = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_url,
        "code_verifier": verifier,
        **extra,
    }
    return _build(login.target, fields, login.client_id, login.client_secret, client_auth, login.body_form)


def _build(
    target: Target,
    fields: dict[str, str],
    client_id: str,
    client_secret: Secret | None,
    client_auth: ClientAuth,
    body_form: BodyForm,
) -> TokenRequest:
    headers: list[tuple[bytes, bytes]] = [
        (b"accept", b"application/json"),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"nightyard"),
    ]
    if client_secret is not None and client_auth == "basic":
        pair = f"{_form_encoded(client_id)}:{_form_encoded(client_secret.reveal())}".encode("ascii")
        headers.append((b"authorization", b"Basic " + base64.b64encode(pair)))
    elif client_id:
        fields["client_id"] = client_id
        if client_secret is not None:
            fields["client_secret"] = client_secret.reveal()
    if body_form == "json":
        headers.append((b"content-type", b"application/json"))
        body = json.dumps(fields).encode("ascii")
    else:
        headers.append((b"content-type", b"application/x-www-form-urlencoded"))
        body = urllib.parse.urlencode(fields).encode("ascii")
    return TokenRequest(target=target, headers=tuple(headers), body=body)


def read_token_answer(answer: TokenAnswer, name: str, now: float, hidden: tuple[Secret, ...] = ()) -> Token | NoToken:
    """Return what an answer gives. `name`: of the secret that the token belongs to; `hidden`: what no sentence repeats,
    even if the issuer does."""
    fields = read_fields(answer)
    if not 200 <= answer.status < 300 or fields is None or "error" in fields or "access_token" not in fields:
        return _read_refusal(answer, fields, hidden)
    kind = fields.get("token_type", "bearer")
    if not isinstance(kind, str) or kind.lower() not in ("bearer", ""):
        return _unusable(f"it gives tokens of the type {_words(kind, hidden)}, and only bearer tokens can be used")
    try:
        access_token = Secret(name, fields["access_token"])
        found = fields.get("refresh_token")
        refresh_token = Secret(name, found) if found not in (None, "") else None
    except (BadValue, TypeError):
        return _unusable("it gave a token that cannot be sent in a header")
    expires_at = _expiry(fields.get("expires_in"), access_token, now)
    return Token(access_token=access_token, issued_at=now, expires_at=expires_at, refresh_token=refresh_token)


def read_fields(answer: TokenAnswer) -> dict[str, Any] | None:
    """Return the answer's fields, JSON's or a form's (GitHub's default); None: it has none."""
    text = answer.body.decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return fields if isinstance(fields, dict) else None
    if "x-www-form-urlencoded" in answer.content_type.lower():
        return dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    return None


def read_claims(token: str) -> dict[str, Any]:
    """Return what a token says of itself if it is a JWT, else nothing. Not verified: it is only asked for its end."""
    pieces = token.split(".")
    if len(pieces) != 3 or len(pieces[1]) > 16 << 10:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def read_account_id(*tokens: str) -> str:
    """Return the ChatGPT account that a login's tokens belong to; its API wants it in a header."""
    for token in tokens:
        claims = read_claims(token)
        inner = claims.get(_ACCOUNT_CLAIM)
        for holder in (inner if isinstance(inner, dict) else {}, claims):
            found = holder.get("chatgpt_account_id")
            if isinstance(found, str) and found:
                return found
    return ""


def parse_retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After header; its other form, a date, is as good as none."""
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    return min(float(text), MAX_RETRY_AFTER_S) if is_number else None


def _expiry(expires_in: object, access_token: Secret, now: float) -> float | None:
    try:
        seconds = float(expires_in) if isinstance(expires_in, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    if 0 < seconds <= MAX_LIFE_S:
        return now + seconds
    claimed = read_claims(access_token.reveal()).get("exp")
    return float(claimed) if isinstance(claimed, (int, float)) and now < claimed <= now + MAX_LIFE_S else None


def _read_refusal(answer: TokenAnswer, fields: dict[str, Any] | None, hidden: tuple[Secret, ...]) -> NoToken:
    code, description = _error_of(fields or {})
    said = _words(description or code, hidden) if code or description else f"status {answer.status}"
    retry_after_s = parse_retry_after(answer.retry_after)
    if answer.status == 429 or answer.status >= 500 or answer.status == 408 or code in _FOR_LATER:
        sentence = f"the issuer cannot give one now ({answer.status}: {said})"
        return NoToken(code="issuer_unavailable", sentence=sentence, is_for_good=False, retry_after_s=retry_after_s)
    if code in _LOST:
        return NoToken(code="login_lost", sentence=f"the login is not valid any more ({said})", is_for_good=True)
    if 300 <= answer.status < 400:
        return _unusable(f"the issuer sends on to another address (status {answer.status}); name that in token_url")
    if 200 <= answer.status < 300 and not code:
        sentence = "the issuer's answer holds no token; does token_url name the right address?"
        return NoToken(code="issuer_refused", sentence=sentence, is_for_good=False)
    sentence = f"the issuer refused ({answer.status}: {said})"
    is_client_auth = code in ("invalid_client", "unauthorized_client") or (answer.status == 401 and not code)
    return NoToken(code="issuer_refused", sentence=sentence, is_for_good=True, is_client_auth=is_client_auth)


def _error_of(fields: dict[str, Any]) -> tuple[str, str]:
    """Return code and description: RFC 6749's two fields, or an object as OpenAI and Anthropic put it."""
    error = fields.get("error")
    if isinstance(error, dict):
        code = error.get("code") or error.get("type") or ""
        description = error.get("message") or ""
    else:
        code, description = error or "", fields.get("error_description") or fields.get("message") or ""
    return str(code)[:100], str(description)


def _words(said: object, hidden: tuple[Secret, ...]) -> str:
    """Return an issuer's words as a person may read them: short, plain, and without what they must not repeat."""
    text = _UNPRINTABLE.sub(" ", str(said)).strip()
    if any(secret.reveal() in text for secret in hidden):
        return "its words repeat a secret"
    return text[:MAX_DESCRIPTION_CHARS]


def _unusable(reason: str) -> NoToken:
    return NoToken(code="issuer_refused", sentence=reason, is_for_good=True)


def _form_encoded(text: str) -> str:
    """RFC 6749 2.3.1: both halves are form-encoded before they are joined."""
    return urllib.parse.quote_plus(text)
