"""A login by a person's browser: the address to open, what is pasted back, what is kept of it. Pure.

The authorization code grant with PKCE (RFC 7636): what the browser brings is worth nothing without the verifier, which
never leaves the proxy. No port is opened: a browser on another machine could not reach it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from credproxy.issuers.oauth import MAX_LIFE_S, read_account_id
from credproxy.issuers.recipe import OAuthLogin, parse_issuer_url
from credproxy.issuers.services import Service
from credproxy.vault.secret import BadValue, Secret, check_value

MAX_PASTED_CHARS = 8 << 10


class LoginRefused(ValueError):
    """A login that cannot be begun or ended so; the text says what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginPlan:
    """How to log in: a known service's way, or the person's own client at any OAuth server."""

    login: OAuthLogin
    authorize_url: str
    redirect_url: str
    authorize_extra: Mapping[str, str] = field(default_factory=dict)
    is_state_in_exchange: bool = False
    preset: str = ""
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Parts that the secret has beside its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLogin:
    """A login that a tool of the person's keeps in a file."""

    service: str
    parts: Mapping[str, str] = field(repr=False)
    token_ends_at: float | None = None


def plan_login(name: str, service: Service | None, parts: Mapping[str, str]) -> LoginPlan:
    """Return the way to log in. `parts`: client_id, client_secret, scope, and without a service also authorize_url and
    token_url, redirect_url if it is another than the usual one. Raises LoginRefused, recipe.BadRecipe."""
    client_id = parts.get("client_id") or (service.client_id if service is not None else "")
    authorize_url = parts.get("authorize_url") or (service.authorize_url if service is not None else "")
    token_url = parts.get("token_url") or (service.token_url if service is not None else "")
    for what, text in (("authorize-url", authorize_url), ("token-url", token_url), ("client-id", client_id)):
        if not text:
            raise LoginRefused(
                f"--{what} is missing: without a known service it must be said where to log in, and as whom"
            )
    parse_issuer_url(authorize_url.partition("?")[0])
    scope = parts.get("scope") or (service.scope if service is not None else "")
    secret = parts.get("client_secret")
    is_known = service is not None and bool(service.preset) and not parts.get("token_url")
    stated = {"token_url": token_url, "client_id": client_id, "client_secret": secret or ""}
    kept = {} if is_known else {part: text for part, text in stated.items() if text}
    return LoginPlan(
        login=OAuthLogin(
            target=parse_issuer_url(token_url),
            client_id=client_id,
            client_secret=Secret(name, secret) if secret else None,
            refresh_token=None,
            scope=scope,
            body_form=service.body_form if service is not None else "form",
        ),
        authorize_url=authorize_url,
        redirect_url=parts.get("redirect_url")
        or (service.redirect_url if service is not None else "http://localhost:8085/"),
        authorize_extra=service.authorize_extra if service is not None else {},
        is_state_in_exchange=service is not None and service.is_state_in_exchange,
        preset=service.preset if service is not None and is_known else "",
        kept=kept,
    )


def build_address(plan: LoginPlan, state: str, verifier: str) -> str:
    """Return what the person opens."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=")
    query = {
        **plan.authorize_extra,
        "response_type": "code",
        "client_id": plan.login.client_id,
        "redirect_uri": plan.redirect_url,
        "scope": plan.login.scope,
        "state": state,
        "code_challenge": challenge.decode("ascii"),
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in plan.authorize_url else "?"
    return plan.authorize_url + joint + urllib.parse.urlencode({name: text for name, text in query.items() if text})


def read_pasted(text: str, state: str) -> str:
    """Return the code: of a whole address, of `code#state` as some pages show it, or alone. Raises LoginRefused."""
    pasted = text.strip()
    if not pasted or len(pasted) > MAX_PASTED_CHARS:
        raise LoginRefused("nothing that could be a code was pasted")
    if "://" in pasted or pasted.startswith("?") or "code=" in pasted:
        parts = urllib.parse.urlsplit(pasted if "?" in pasted or "://" in pasted else f"?{pasted}")
        found = dict(urllib.parse.parse_qsl(parts.query))
        if "error" in found:
            said = found.get("error_description") or found["error"]
            raise LoginRefused(f"the service did not let you in: {ascii(said[:160])[1:-1]}")
        code, came = found.get("code", ""), found.get("state", "") or parts.fragment
    else:
        code, _hash, came = pasted.partition("#")
    if came and came != state:
        raise LoginRefused("that is the answer to another login; open the address that was shown last")
    try:
        check_value(code)
    except BadValue:
        code = ""
    if not code or " " in code:
        raise LoginRefused("what was pasted holds no code; paste the whole address of the page you ended at")
    return code


def read_found_login(text: str) -> FoundLogin:
    """Return the login of Claude Code's file (`.credentials.json`) or Codex' (`auth.json`); raises LoginRefused."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    claude = found.get("claudeAiOauth") if isinstance(found, dict) else None
    tokens = found.get("tokens") if isinstance(found, dict) else None
    if isinstance(claude, dict):
        parts = {"refresh_token": claude.get("refreshToken"), "access_token": claude.get("accessToken")}
        return FoundLogin(service="claude", parts=_texts(parts), token_ends_at=_from_ms(claude.get("expiresAt")))
    if isinstance(tokens, dict):
        access_token = str(tokens.get("access_token") or "")
        account_id = tokens.get("account_id") or read_account_id(str(tokens.get("id_token") or ""), access_token)
        parts = {
            "refresh_token": tokens.get("refresh_token"),
            "access_token": access_token,
            "account_id": account_id,
        }
        return FoundLogin(service="chatgpt", parts=_texts(parts))
    raise LoginRefused("the file is no login of Claude Code's (.credentials.json) or of Codex' (auth.json)")


def _texts(parts: Mapping[str, Any]) -> dict[str, str]:
    kept = {name: text for name, text in parts.items() if isinstance(text, str) and text}
    if "refresh_token" not in kept:
        raise LoginRefused("the file holds no refresh token: log in with that tool first")
    return kept


def _from_ms(value: object) -> float | None:
    is_time = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < MAX_LIFE_S * 10_000
    return float(value) / 1000 if is_time and isinstance(value, (int, float)) else None
