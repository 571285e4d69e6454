"""What is asked and what is decided: a request as policy sees it, and Allow or Deny with all that they carry. Pure.

`decide.py` is the one that decides; `pipeline/` carries a verdict out. An Allow is made once, when the rules are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from credproxy.injection.kinds import Injection
from credproxy.wire.addresses import Network
from credproxy.wire.target import Scheme, Target

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
"""TRACE shows the request's headers to whoever asks; others are for no API that we know of."""
READING_METHODS = frozenset(("GET", "HEAD"))
UNSAFE_METHODS = frozenset(("POST", "PUT", "PATCH", "DELETE"))
"""Those that may change the world and are reported to the host when begun and when ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A model service that the owner named: scheme, host, port, path prefix and key are the proxy's."""

    name: str
    api: Literal["anthropic", "openai"]
    scheme: Scheme
    host: str
    port: int
    prefix: str
    """What comes before the API's own path, without a slash at its end."""
    secret: str | None
    injection: Injection | None = None
    """None: without a secret."""


class Ask(NamedTuple):
    """What a container wants."""

    method: str
    target: Target
    route: str | None = None
    """The model route that was called; None for all else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How often a grant may be used. The counters are `quotas.py`'s; each limit is optional, one at least is there."""

    key: str
    """Whose counters: stays the same while the grant means the same, wherever it stands in the file."""
    per_s: float | None = None
    """How fast the bucket fills, in requests per second."""
    burst: int = 1
    """How many the bucket holds."""
    daily: int | None = None
    """Requests in one day (UTC)."""
    daily_bytes: int | None = None
    """Bytes of answers in one day; the request that goes over it is let through to its end."""
    daily_url_chars: int | None = None
    """Characters of all addresses asked for in one day: what could be carried out in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person must say yes to each request."""

    deadline_s: float
    hold_s: float = 45.0
    """How long a client waits for the word, before it is told that the answer is pending. Many programs give up after
    60 s."""
    who: tuple[str, ...] = ()
    """Person keys; empty: whoever may operate the host."""
    constraint: str = ""
    """The host's constraint that asks for it; empty: the grant does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRead:
    """The request goes out only because the open web may be read: without credentials, and with little else of the
    agent's own; what comes back is hashed and marked as tainted."""

    max_answer_bytes: int
    """The answer is cut off there."""


WEB_READ_HEADERS = frozenset(
    (
        b"accept",
        b"accept-language",
        b"if-modified-since",
        b"if-none-match",
        b"range",
        b"user-agent",
    )
)
"""All else of the agent's headers stays here: a header carries more out than an address does, and uncounted."""
MAX_WEB_READ_HEADER_BYTES = 200
"""For each of their values; longer ones stay here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Where a twin stands. Host header and audit keep the name of what it stands for."""

    scheme: Scheme
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    code: str
    sentence: str
    grant_with: str = ""
    """The command that would allow it, ready to be typed into a shell; else what to edit; or nothing."""
    retry_after_s: float | None = None
    """Asking again after so long may help without anyone changing anything (429); None: it will not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    rule: str
    """The grant's or the route's name."""
    secret: str | None
    injection: Injection | None
    networks: tuple[Network, ...] = ()
    """Private or loopback addresses that may be dialled."""
    route: Route | None = None
    is_model_call: bool = False
    """It costs tokens: counted and limited."""
    must_carry: bool = False
    """The request must carry the group's placeholder of the secret, else it is denied: `placeholder_missing`."""
    body_bytes: int | None = None
    """The longest request body; None: the proxy's own limit."""
    quota: Quota | None = None
    """`Quotas.take` is asked before anything is sent."""
    approval: Approval | None = None
    expires_at: float | None = None
    """Epoch seconds: what still runs then (a WebSocket, a stream) is cut."""
    web_read: WebRead | None = None
    dial: Dial | None = None
    """Effects twin: go there instead. Then `secret` is None: no key goes to a twin."""
    would_deny: Deny | None = None
    """Allowed only because a dry run is on: what the audit notes, as `would_deny CODE`."""
    idempotency_header: str | None = None
    """Lower case: put a key derived from task and call into this header, unless the agent has."""

    is_untrusted: bool = False
    """What the host answers is others' words: mail, comments, tickets."""

    @property
    def taint(self) -> Literal["", "web", "grant"]:
        """Why whoever reads the answer must not take its words for the owner's; empty: no reason."""
        if self.web_read is not None:
            return "web"
        return "grant" if self.is_untrusted else ""

    @property
    def is_dry(self) -> bool:
        return self.would_deny is not None


Verdict = Allow | Deny
