"""GitHub's API for apps: tokens for installations, in the new form, and a call that needs one. No network here."""

from __future__ import annotations

import base64
import datetime
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from twins.oauth.refusal import github_refusal

LIFE_S = 3600
MOST_JWT_LIFE_S = 600


@dataclass(slots=True, kw_only=True)
class Apps:
    """Apps, installations and the tokens that were given."""

    keys: dict[str, str] = field(default_factory=dict)
    """App id to its public key (PEM)."""
    installations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Installation id to its repositories."""
    permissions: dict[str, str] = field(default_factory=lambda: {"contents": "write", "metadata": "read"})
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)

    def give(self, installation: str, authorization: str, asked: Mapping[str, Any], now: float) -> dict[str, Any]:
        """Answer POST /app/installations/ID/access_tokens; raises Refusal."""
        app_id = self._app_of(authorization, now)
        if installation not in self.installations:
            raise github_refusal(404, "Not Found")
        repositories = asked.get("repositories", list(self.installations[installation]))
        permissions = asked.get("permissions", self.permissions)
        if not set(repositories) <= set(self.installations[installation]):
            raise github_refusal(422, "There is at least one repository that does not exist or is not accessible")
        if not set(permissions) <= set(self.permissions):
            raise github_refusal(422, "The permissions requested are not granted to this installation.")
        payload = base64.urlsafe_b64encode(secrets.token_bytes(90)).rstrip(b"=").decode()
        token = f"ghs_{app_id}_eyJhbGciOiJFUzI1NiJ9.{payload}.{secrets.token_urlsafe(64)}"
        ends = datetime.datetime.fromtimestamp(now + LIFE_S, datetime.UTC)
        given = {
            "token": token,
            "expires_at": ends.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "permissions": dict(permissions),
            "repository_selection": "selected",
            "repositories": [{"name": name} for name in repositories],
        }
        self.tokens[token] = given
        return given

    def repositories_of(self, authorization: str) -> dict[str, Any]:
        """Answer GET /installation/repositories; raises Refusal."""
        token = authorization.removeprefix("Bearer ").removeprefix("token ")
        if token not in self.tokens:
            raise github_refusal(401, "Bad credentials")
        repositories = self.tokens[token]["repositories"]
        return {"total_count": len(repositories), "repositories": repositories}

    def _app_of(self, authorization: str, now: float) -> str:
        pieces = authorization.removeprefix("Bearer ").split(".")
        try:
            header, claims = (json.loads(_decoded(piece)) for piece in pieces[:2])
            signature = _decoded(pieces[2])
        except (ValueError, IndexError):
            raise github_refusal(401, "A JSON web token could not be decoded") from None
        app_id = str(claims.get("iss"))
        if app_id not in self.keys or header.get("alg") != "RS256":
            raise github_refusal(401, "A JSON web token could not be decoded")
        key = load_pem_public_key(self.keys[app_id].encode())
        assert isinstance(key, RSAPublicKey)
        try:
            key.verify(signature, ".".join(pieces[:2]).encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            raise github_refusal(401, "A JSON web token could not be decoded") from None
        if claims.get("iat", 0) > now:
            raise github_refusal(401, "'Issued at' claim ('iat') must be an Integer representing a time in the past")
        if not now < claims.get("exp", 0) <= now + MOST_JWT_LIFE_S:
            raise github_refusal(401, "'Expiration time' claim ('exp') must be a numeric value in the near future")
        return app_id


def _decoded(piece: str) -> bytes:
    return base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
