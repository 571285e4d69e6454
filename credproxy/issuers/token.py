"""The words of issuing: what is asked of a token endpoint, and what came of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from credproxy.vault.secret import Secret
from credproxy.wire.target import Target

SOFT_SHARE = 0.2
SOFT_MOST_S = 300.0
HARD_SHARE = 0.05
HARD_MOST_S = 30.0
REFUSED_RENEWAL_S = 30.0
"""A token younger than this that is refused is not renewed for it: the next one would be refused as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """One request to whoever issues the tokens. Its headers and body hold secrets."""

    method: Literal["POST"] = "POST"
    target: Target
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """What came back, whole."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    retry_after: str = ""
    date: str = ""
    """The issuer's clock, in the words of its Date header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token that was issued. `refresh_token`: the one to be used from now on; None: the old one stays."""

    access_token: Secret
    issued_at: float
    expires_at: float | None = None
    """Epoch seconds by our clock; None: nobody said, it is good until it is refused."""
    refresh_token: Secret | None = None

    def is_due(self, now: float) -> bool:
        """Whether to get another one in the background, while this one is still used."""
        return self.expires_at is not None and now >= self.expires_at - min(SOFT_MOST_S, SOFT_SHARE * self._life_s)

    def is_over(self, now: float) -> bool:
        """Whether it must not be used any more: it could end on its way."""
        return self.expires_at is not None and now >= self.expires_at - min(HARD_MOST_S, HARD_SHARE * self._life_s)

    def is_too_young_to_renew(self, now: float) -> bool:
        """A clock that was put back makes no token young for ever."""
        return 0 <= now - self.issued_at < REFUSED_RENEWAL_S

    @property
    def _life_s(self) -> float:
        return max(0.0, (self.expires_at or 0.0) - self.issued_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoToken:
    """The issuer gave none, and why. The sentence holds nothing secret."""

    code: str
    """`login_lost`: a person must log in again; `issuer_refused`: the secret's own facts are wrong;
    `issuer_unavailable`: it may work later."""
    sentence: str
    is_for_good: bool
    """Asking again changes nothing until the secret does."""
    retry_after_s: float | None = None
    is_client_auth: bool = False
    """The issuer does not know the client in the way it was named: there is one more way."""
