"""How long each phase of a request may take. Pure. No phase is without one, so no request hangs for ever."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds."""

    idle_s: float = 300.0
    """Between two requests of a container's connection."""
    head_s: float = 20.0
    """From a request's first byte to its head's last."""
    handshake_s: float = 10.0
    """The container's TLS handshake in a tunnel."""
    body_pause_s: float = 60.0
    """Between two pieces of a request's body, and for a reader to take a piece of the response."""
    resolve_s: float = 5.0
    connect_s: float = 10.0
    """To connect and shake hands with the upstream, over all its addresses."""
    answer_s: float = 600.0
    """To the response's head: a model may think for minutes before its first byte."""
    answer_pause_s: float = 300.0
    """Between two pieces of a response."""
    whole_s: float = 3600.0
    """A request from its head to its response's end."""
    silence_s: float = 900.0
    """Of both sides of a WebSocket: most send a ping within a minute."""
    spliced_s: float = 86_400.0
    """A WebSocket, from its request to its end."""
    pooled_s: float = 20.0
    """How long an upstream connection is kept unused: well under the 60 s and more at which servers drop theirs."""
