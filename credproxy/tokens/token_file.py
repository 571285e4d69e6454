"""The tokens of a home, kept in one file: their hashes, never their texts.

A file and not a table: there are a handful, they live for hours, and whoever wants them all gone can remove it.
Adding and revoking write to the disk and belong on a thread.
"""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

from credproxy.tokens.token import HostToken, digest_of
from credproxy.vault.files import write_whole
from protocol.codec import ShapeError, from_json, to_json

log = logging.getLogger(__name__)

MAX_TOKENS = 1000


class TooManyTokens(Exception):
    """So many tokens are valid that another one is surely a mistake."""

    def __str__(self) -> str:
        return f"{MAX_TOKENS} tokens are valid already"


class TokenFile:
    """The tokens that are valid, or were when they were last looked at."""

    def __init__(self, path: Path) -> None:
        """A file that cannot be read is none: then no token is valid, which is the safe side."""
        self._path = path
        self._writing = threading.Lock()
        self._by_digest = {token.digest: token for token in _load(path)}

    def tokens(self, now: float) -> tuple[HostToken, ...]:
        """Return the valid ones, the newest first."""
        valid = (token for token in tuple(self._by_digest.values()) if now < token.expires_at)
        return tuple(sorted(valid, key=lambda token: token.created_at, reverse=True))

    def find(self, text: str, now: float) -> HostToken | None:
        """Return the valid token with this text."""
        token = self._by_digest.get(digest_of(text))
        return token if token is not None and now < token.expires_at else None

    def has(self, token: HostToken) -> bool:
        """Whether it has not been revoked."""
        return token.digest in self._by_digest

    def add(self, token: HostToken) -> None:
        """Keep a token, and forget the expired ones; raises OSError, TooManyTokens."""
        with self._writing:
            kept = {other.digest: other for other in self.tokens(token.created_at)}
            if len(kept) >= MAX_TOKENS:
                raise TooManyTokens
            self._store(kept | {token.digest: token})

    def revoke(self, token_id: str) -> None:
        """Forget a token, at once for whoever shows it. Raises OSError: then it is valid again after the next start."""
        with self._writing:
            self._by_digest = {digest: token for digest, token in self._by_digest.items() if token.token_id != token_id}
            self._store(self._by_digest)

    def _store(self, tokens: dict[str, HostToken]) -> None:
        text = json.dumps([to_json(token) for token in tokens.values()], indent=1)
        write_whole(self._path, text.encode("ascii"), mode=0o600)
        self._by_digest = tokens


def _load(path: Path) -> tuple[HostToken, ...]:
    try:
        items = json.loads(path.read_bytes())
        return tuple(from_json(HostToken, item) for item in items)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, ShapeError) as error:
        log.warning("no token of the host's tools is valid: %s: %s", path, error, extra={"action": "tokens_unreadable"})
        return ()
