"""Connections to the outside: resolve once, check every address, dial the one that was checked, verify TLS, keep alive.

A kept connection is used again only by the same group under the same rule, and only if nothing waits on it unread.
No redirect is followed and no proxy variable is read. What is sent on a connection is `exchange.py`'s business.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import h11

from credproxy.wire.addresses import Address
from credproxy.wire.deadlines import Deadlines
from credproxy.wire.heads import MAX_HEAD_BYTES
from credproxy.wire.resolving import Resolver, SystemResolver
from credproxy.wire.stream import Stream, StreamBroken
from protocol.ids import GroupId

IsPermitted = Callable[[Address], bool]
"""Whether an address may be dialled for a request: policy's word."""

MAX_TRIED = 4
MAX_POOLED = 64
"""As many as one container may have connections: fewer, and a busy one would shake hands again and again."""
LOCALHOST = ("127.0.0.1", "::1")


class UpstreamFailed(Exception):
    """The upstream could not be reached or trusted, or broke off. `code` is what the agent and the audit are told."""

    def __init__(self, code: str, sentence: str, *, may_retry: bool) -> None:
        super().__init__(code, sentence)
        self.code = code
        self.sentence = sentence
        self.may_retry = may_retry

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


class AddressRefused(UpstreamFailed):
    """A host whose address may not be dialled; policy says in what words, and what would allow it."""

    def __init__(self, host: str, address: Address) -> None:
        subject = host if host == str(address) else f"{host} stands for {address}, which"
        sentence = f"{subject} is no public address, or this machine's own, and nothing names it"
        super().__init__("address_refused", sentence, may_retry=False)
        self.address = address


class PoolKey(NamedTuple):
    """Where a connection goes, and who may use it again."""

    scheme: str
    host: str
    port: int
    group_id: GroupId
    rule: str
    credential: str
    """Name and label of what was sent on it; empty: nothing."""


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One connection to an upstream, for one request at a time."""

    key: PoolKey
    stream: Stream
    http: h11.Connection = field(
        default_factory=lambda: h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    )
    is_clean: bool = False
    """Its last exchange was a plain one (h11 knows nothing of it) and ended with nothing behind it."""
    was_used: bool = False
    """It has carried a request before: its first failure may only mean that the server had closed it."""
    unused_since: float = 0.0
    generation: int
    """Of the policy and secrets that it was dialled under."""


class Upstreams:
    """Dials, and keeps connections for a while. `run` closes those nobody used again."""

    def __init__(self, *, deadlines: Deadlines, resolver: Resolver | None = None, extra_ca: str | None = None) -> None:
        """`extra_ca`: PEM text of an authority that is trusted besides the system's."""
        self._deadlines = deadlines
        self._resolver = resolver or SystemResolver()
        self._extra_ca = extra_ca
        self._tls: ssl.SSLContext | None = None
        self._kept: dict[PoolKey, list[Connection]] = {}
        self._kept_something = asyncio.Event()
        self._generation = 0

    async def run(self) -> None:
        """Close connections that stayed unused; waits without a timer while there are none."""
        try:
            while True:
                await self._kept_something.wait()
                await asyncio.sleep(self._deadlines.pooled_s / 2)
                self._drop_where(lambda kept: time.monotonic() - kept.unused_since > self._deadlines.pooled_s)
                if not self._kept:
                    self._kept_something.clear()
        finally:
            self.drop_all()

    async def acquire(self, key: PoolKey, is_permitted: IsPermitted, *, fresh: bool = False) -> Connection:
        """Return a connection that may carry this request; raises UpstreamFailed. Give it back with `keep`, or abort
        its stream. `fresh`: never one that was used before."""
        kept = [] if fresh else self._kept.get(key, [])
        while kept:
            connection = kept.pop()
            if not kept:
                self._kept.pop(key, None)
            if connection.stream.is_usable:
                connection.was_used = True
                return connection
            connection.stream.abort()
        generation = self._generation
        addresses = await self._resolve_checked(key, is_permitted)
        return Connection(key=key, stream=await self._dial(key, addresses), generation=generation)

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose exchange ended cleanly on both sides, unless policy or secrets changed since."""
        if connection.generation != self._generation:
            connection.stream.close()
            return
        if not connection.is_clean:
            connection.http.start_next_cycle()
        connection.unused_since = time.monotonic()
        if sum(map(len, self._kept.values())) >= MAX_POOLED:
            self._drop_oldest()
        kept = self._kept.setdefault(connection.key, [])
        kept.append(connection)
        self._kept_something.set()

    def drop_all(self) -> None:
        """Close every kept connection, and those under way as they end: policy or secrets changed."""
        self._generation += 1
        self._drop_where(lambda _kept: True)

    def _drop_oldest(self) -> None:
        """Close the connection that was unused for longest: another key's, most often."""
        key = min(self._kept, key=lambda key: self._kept[key][0].unused_since)
        kept = self._kept[key]
        kept.pop(0).stream.close()
        if not kept:
            del self._kept[key]

    def _drop_where(self, is_over: Callable[[Connection], bool]) -> None:
        for key, kept in list(self._kept.items()):
            for connection in kept:
                if is_over(connection):
                    connection.stream.close()
            kept[:] = [connection for connection in kept if not is_over(connection)]
            if not kept:
                del self._kept[key]

    async def _resolve_checked(self, key: PoolKey, is_permitted: IsPermitted) -> list[str]:
        """Return the host's addresses, every one of which may be dialled; one that may not refuses them all."""
        try:
            async with asyncio.timeout(self._deadlines.resolve_s):
                texts = await self._addresses_of(key)
        except (OSError, UnicodeError) as error:
            why = (isinstance(error, OSError) and error.strerror) or error
            raise UpstreamFailed("dns_failed", f"{key.host} has no address: {why}", may_retry=True) from error
        except TimeoutError:
            raise UpstreamFailed("dns_failed", f"{key.host} was not resolved in time", may_retry=True) from None
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
        if not addresses:
            raise UpstreamFailed("dns_failed", f"{key.host} has no address", may_retry=True)
        for address in addresses:
            if not is_permitted(address):
                raise AddressRefused(key.host, address)
        return list(dict.fromkeys(str(address) for address in addresses))

    async def _addresses_of(self, key: PoolKey) -> Sequence[str]:
        if key.host == "localhost":
            return LOCALHOST
        try:
            return (str(ipaddress.ip_address(key.host)),)
        except ValueError:
            return await self._resolver(key.host, key.port, key.group_id)

    async def _dial(self, key: PoolKey, addresses: Sequence[str]) -> Stream:
        """Connect to the first address that answers; certificates must hold for the key's host."""
        failure: Exception = OSError("no address was tried")
        tls = self._tls_context() if key.scheme == "https" else None
        try:
            async with asyncio.timeout(self._deadlines.connect_s):
                for address in addresses[:MAX_TRIED]:
                    try:
                        return await self._connect(address, key, tls)
                    except ssl.SSLError as error:
                        sentence = f"the certificate of {key.host} was not accepted: {_tls_reason(error)}"
                        raise UpstreamFailed("upstream_untrusted", sentence, may_retry=False) from error
                    except (OSError, StreamBroken) as error:
                        failure = error
        except TimeoutError:
            sentence = f"{key.host} did not answer within {self._deadlines.connect_s:g} s"
            raise UpstreamFailed("upstream_timeout", sentence, may_retry=True) from None
        sentence = f"{key.host} port {key.port} cannot be reached: {_connect_reason(failure)}"
        raise UpstreamFailed("upstream_unreachable", sentence, may_retry=True) from failure

    async def _connect(self, address: str, key: PoolKey, tls: ssl.SSLContext | None) -> Stream:
        """Connect, and shake hands where `tls` says how; raises OSError (ssl.SSLError too), StreamBroken."""
        _transport, stream = await asyncio.get_running_loop().create_connection(Stream, address, key.port)
        if tls is not None:
            try:
                await stream.start_tls(tls, None, key.host)
            except BaseException:
                stream.abort()
                raise
        return stream

    def _tls_context(self) -> ssl.SSLContext:
        """Made at first use: the system's certificates take 4 MB."""
        if self._tls is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            context.hostname_checks_common_name = False  # as browsers and curl: a name counts where names stand
            if self._extra_ca is not None:
                context.load_verify_locations(cadata=self._extra_ca)
            self._tls = context
        return self._tls


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.reason or "the handshake failed"


def _connect_reason(failure: Exception) -> str:
    """Return the system's own words: asyncio hides them behind "Connect call failed"."""
    if isinstance(failure, OSError) and failure.errno is not None and failure.errno > 0:
        return os.strerror(failure.errno).lower()
    return str(failure) or "it broke the connection off"
