"""A call between its begin and its end, as the proxy sees it: what it was allowed, and how to end it early.

`call.py` has the call itself.
"""

from __future__ import annotations

from typing import Protocol

from credproxy.policy.verdict import Allow, Ask
from protocol.task import Lease


class CallUnderWay(Protocol):
    """The part of `call.Call` that the proxy needs."""

    lease: Lease
    allow: Allow

    @property
    def judged(self) -> Ask:
        """What policy is asked."""

    def cut(self, code: str) -> None:
        """End it now: what allowed it holds no more."""
