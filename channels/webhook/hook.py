"""One webhook: what a service elsewhere posts, how its signature is checked, and what an agent is told of it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Scheme = Literal["hmac", "github", "resend"]
"""How a request is signed: our own way, GitHub's, or Resend's (which is Svix's)."""
PATH = re.compile(r"/hooks/([a-z0-9-]{1,32}/[a-z0-9-]{1,32})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One address that a service posts to."""

    name: str
    """`<group>/<hook>`: it is posted to `/hooks/<name>`."""
    scheme: Scheme
    secret: str
    """What its key is called in the vault."""
    template: str
    """What the agent is told; see `template.py`."""
    events: tuple[str, ...] = ()
    """The events that are wanted; none named: all."""
