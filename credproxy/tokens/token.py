"""A token: for a while, a tool on the host may do what one group may. Pure.

Its text is shown once, to who made it; what is kept is its SHA-256. That is enough, and needs no salt and no slow hash:
the text is 256 random bits and not a password that somebody thought of. The kept ones are `token_file.py`'s.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from credproxy.wire.heads import Headers
from protocol.ids import AttemptId, GroupId, TaskId
from protocol.task import Effects, Lease, Limits, Purse

TOKEN_BYTES = 32
MARK = "nyt_"
"""What every token begins with, so that it is known for one where it should not be."""
USER = "nightyard"
"""The user's name in a proxy's address, which stands before the token; any other does too."""
SHORTEST_S = 60
USUAL_S = 3600
LONGEST_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class HostToken:
    """One token, without its text."""

    token_id: str
    digest: str
    """SHA-256 of the text, in hex."""
    group_id: GroupId
    effects: Effects
    limits: Limits
    routes: tuple[str, ...]
    """The model routes that it may use."""
    note: str
    """What its maker calls it."""
    created_at: float
    expires_at: float
    """Both in seconds since the epoch."""


def spell_token(random_bytes: bytes) -> str:
    """Return a token's text: letters and digits only, so that it fits into addresses, headers and shells as it is."""
    return MARK + base64.b32encode(random_bytes).decode("ascii").rstrip("=").lower()


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def lease_of(token: HostToken, purses: tuple[Purse, ...] = ()) -> Lease:
    """Return what the token's bearer may do, and pays from. It is no task of the host's: the token's own id stands in
    its place, so that limits are counted per token."""
    return Lease(
        task_id=TaskId(token.token_id),
        attempt_id=AttemptId(token.token_id),
        group_id=token.group_id,
        effects=token.effects,
        limits=token.limits,
        routes=token.routes,
        purses=purses,
    )


def find_token_text(headers: Headers, *, is_route: bool) -> str:
    """Return the token that a request shows, empty if it shows none or two different ones.

    A proxy's client shows it in Proxy-Authorization. A model's client, which takes the named route (`is_route`) for
    the model's own server, shows it as its key. Header names are in lower case.
    """
    shown = _shown(headers, b"proxy-authorization")
    if is_route and not shown:
        shown = _shown(headers, b"authorization") + [f"Bearer {key}" for key in _shown(headers, b"x-api-key")]
    # What a model's client shows besides may be a key of its user's own: it goes no further than here.
    texts = {text for text in map(_read_credentials, shown) if text.startswith(MARK)}
    return texts.pop() if len(texts) == 1 else ""


def _shown(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for found, value in headers if found == name]


def _read_credentials(value: str) -> str:
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, password = base64.b64decode(rest.strip(), validate=True).decode("ascii").partition(":")
    except ValueError:  # not base64, or not ASCII on either side of it
        return ""
    return password or user
