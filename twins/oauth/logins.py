"""The OAuth server's memory: clients, logins with their changing refresh tokens, access tokens. No network here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from twins.oauth.refusal import refuse


@dataclass(slots=True, kw_only=True)
class Client:
    client_id: str
    secret: str | None = None
    """None: a public client."""
    auth: Literal["any", "basic", "body"] = "any"
    """How it must name itself; another way is `invalid_client`."""


@dataclass(slots=True, kw_only=True)
class Login:
    """One person's login with one client: a family of refresh tokens, of which one is good."""

    client_id: str
    user: str
    scope: str
    refresh_token: str
    used: dict[str, float] = field(default_factory=dict)
    """Refresh tokens that were used, and when."""
    is_revoked: bool = False
    """A used refresh token came back: who of the two is the thief is not known."""


@dataclass(slots=True, kw_only=True)
class Code:
    client_id: str
    redirect_url: str
    challenge: str
    scope: str
    expires_at: float


@dataclass(slots=True, kw_only=True)
class Logins:
    """What the server knows. Times are of the monotonic clock."""

    clients: dict[str, Client] = field(default_factory=dict)
    life_s: float = 3600.0
    """Of access tokens; 0: the answer does not say."""
    rotates: bool = True
    grace_s: float = 0.0
    """How long a used refresh token is taken again, for a client that lost the answer."""
    logins: list[Login] = field(default_factory=list)
    access_tokens: dict[str, float] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    issued: int = 0

    def log_in(self, client_id: str, user: str = "ada", scope: str = "read") -> Login:
        """A person has logged in: return the login with its first refresh token."""
        login = Login(client_id=client_id, user=user, scope=scope, refresh_token=_mint("rt"))
        self.logins.append(login)
        return login

    def authorize(self, query: Mapping[str, str]) -> str:
        """The person agreed: return the code that goes to the redirect address."""
        if query.get("client_id") not in self.clients or query.get("response_type") != "code":
            raise refuse("unauthorized_client", "no such client")
        if not query.get("code_challenge") or query.get("code_challenge_method") != "S256":
            raise refuse("invalid_request", "code_challenge with S256 is required")
        code = _mint("code")
        self.codes[code] = Code(
            client_id=query["client_id"],
            redirect_url=query.get("redirect_uri", ""),
            challenge=query["code_challenge"],
            scope=query.get("scope", ""),
            expires_at=time.monotonic() + 60,
        )
        return code

    def give(self, fields: Mapping[str, str], basic: tuple[str, str] | None) -> dict[str, object]:
        """Answer a token request; raises Refusal."""
        client = self._client(fields, basic)
        match fields.get("grant_type"):
            case "refresh_token":
                return self._refresh(client, fields.get("refresh_token", ""))
            case "client_credentials":
                if client.secret is None:
                    raise refuse("unauthorized_client", "a public client has no credentials of its own")
                return self._answer(fields.get("scope", ""), None)
            case "authorization_code":
                return self._exchange(client, fields)
            case other:
                raise refuse("unsupported_grant_type", f"{other} is not supported")

    def is_good(self, access_token: str) -> bool:
        return self.access_tokens.get(access_token, 0.0) > time.monotonic()

    def revoke_access(self) -> None:
        """Let every access token be refused from now on; the logins stay."""
        self.access_tokens.clear()

    def _client(self, fields: Mapping[str, str], basic: tuple[str, str] | None) -> Client:
        name, given = basic or (fields.get("client_id", ""), fields.get("client_secret"))
        client = self.clients.get(name)
        if client is None:
            raise refuse("invalid_client", "no such client", 401)
        is_way_right = client.auth == "any" or (client.auth == "basic") == (basic is not None)
        if client.secret is not None and (not is_way_right or not hmac.compare_digest(client.secret, given or "")):
            raise refuse("invalid_client", "client authentication failed", 401)
        return client

    def _refresh(self, client: Client, token: str) -> dict[str, object]:
        now = time.monotonic()
        for login in self.logins:
            if login.client_id != client.client_id or login.is_revoked:
                continue
            if token == login.refresh_token:
                if self.rotates:
                    login.used[token] = now
                    login.refresh_token = _mint("rt")
                return self._answer(login.scope, login.refresh_token if self.rotates else None)
            if token in login.used:
                if now - login.used[token] <= self.grace_s:
                    return self._answer(login.scope, login.refresh_token)
                login.is_revoked = True
                self.access_tokens.clear()
                raise refuse("invalid_grant", "the refresh token was already used; the login is revoked")
        raise refuse("invalid_grant", "unknown or revoked refresh token")

    def _exchange(self, client: Client, fields: Mapping[str, str]) -> dict[str, object]:
        code = self.codes.pop(fields.get("code", ""), None)
        if code is None or code.client_id != client.client_id or code.expires_at < time.monotonic():
            raise refuse("invalid_grant", "unknown code")
        if fields.get("redirect_uri", "") != code.redirect_url:
            raise refuse("invalid_grant", "redirect_uri is another one")
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            raise refuse("invalid_grant", "code_verifier does not fit")
        login = self.log_in(client.client_id, scope=code.scope)
        return self._answer(login.scope, login.refresh_token)

    def _answer(self, scope: str, refresh_token: str | None) -> dict[str, object]:
        self.issued += 1
        access_token = _mint("at")
        self.access_tokens[access_token] = time.monotonic() + (self.life_s or 3600.0)
        answer: dict[str, object] = {"access_token": access_token, "token_type": "Bearer"}
        if self.life_s:
            answer["expires_in"] = int(self.life_s) or self.life_s
        if refresh_token is not None:
            answer["refresh_token"] = refresh_token
        if scope:
            answer["scope"] = scope
        return answer


def _mint(kind: str) -> str:
    return f"{kind}-{secrets.token_urlsafe(24)}"
