"""What a connection's last request came to, for the next one that is the same, byte for byte. Pure.

Clients that keep a connection mostly ask the same again; then its head is not read, judged and stripped anew. Kept is
only what follows from head, tunnel, lease and policy, all of which never change (another lease or policy is another
object): no credential, no quota, nobody's yes, and no word that time alone could change.
"""

from __future__ import annotations

from typing import NamedTuple

from credproxy.pipeline.entry import OpenTunnel, Tunnel, read_entry
from credproxy.policy.rules import Policy
from credproxy.policy.verdict import Allow, Ask, Deny
from credproxy.wire.heads import Headers
from credproxy.wire.plain import Request
from protocol.task import Lease


class HeadParts(NamedTuple):
    """What of a request follows from its head and the Allow."""

    texts: tuple[bytes, ...]
    """Where a placeholder may stand, but for the body."""
    headers: Headers
    """What goes upstream, but for a credential and what depends on the body. Never changed."""


class Familiar:
    """Of one connection, one request after another. A request is the same if it is the same object: `Inbound` gives
    that again for the same bytes."""

    __slots__ = ("_allow", "_entry", "_lease", "_parts", "_policy", "_request", "_tunnel", "shown")

    def __init__(self) -> None:
        self._request: Request | None = None
        self._tunnel: Tunnel | None = None
        self._policy: Policy | None = None
        self._entry: Ask | OpenTunnel | None = None
        self._lease: Lease | None = None
        self._allow: Allow | None = None
        self._parts: HeadParts | None = None
        self.shown = ""
        """The request as the audit shows it; whoever spells it leaves it here."""

    def read(self, request: Request, tunnel: Tunnel | None, policy: Policy) -> Ask | OpenTunnel:
        """Return what is asked for; raises as `read_entry` does."""
        entry = self._entry
        if entry is None or request is not self._request or tunnel is not self._tunnel or policy is not self._policy:
            self._entry = self._allow = self._parts = None
            self._request, self._tunnel, self._policy, self.shown = request, tunnel, policy, ""
            entry = self._entry = read_entry(request.method, request.target, request.host, tunnel, policy)
        return entry

    def find_allow(self, ask: Ask, lease: Lease | None, policy: Policy) -> Allow | None:
        """Return what allowed the same before, if that holds for sure."""
        is_same = ask is self._entry and lease is self._lease and policy is self._policy
        return self._allow if is_same else None

    def take_verdict(self, ask: Ask, lease: Lease | None, policy: Policy, verdict: Allow | Deny) -> None:
        """Keep an Allow that holds as long as lease and policy do: none that ends by the clock. A rule before it that
        has an end of its own did not fit now, and will not later."""
        self._allow = self._parts = None
        if isinstance(verdict, Deny) or verdict.expires_at is not None or policy.dry_until:
            return
        if ask is self._entry and policy is self._policy:
            self._lease, self._allow = lease, verdict

    def find_parts(self, request: Request, allow: Allow) -> HeadParts | None:
        """Return what was made of the same head under the same Allow."""
        return self._parts if request is self._request and allow is self._allow else None

    def take_parts(self, request: Request, allow: Allow, parts: HeadParts) -> None:
        if request is self._request and allow is self._allow:
            self._parts = parts
