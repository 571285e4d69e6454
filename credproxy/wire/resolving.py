"""Names to addresses, in threads of our own; and which addresses are this machine's.

A name server that never answers holds its thread for half a minute, and nothing can call it back. So each group has a
few threads at once: whoever asks for such names waits for himself, and the others' names are found as fast as ever. And
no thread is waited for when the process ends, as a pool's would be: each is a daemon, made for one name.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence

from credproxy.wire.addresses import Address
from protocol.ids import GroupId

Resolver = Callable[[str, int, GroupId], Awaitable[Sequence[str]]]
"""(host, port, who asks) to addresses as text; raises OSError."""

THREADS = 16
THREADS_PER_GROUP = 4
_UNUSED_PORT = 9


class SystemResolver:
    """Asks what the system asks: its hosts file, its name servers."""

    def __init__(self, look_up: Callable[[str, int], Sequence[str]] | None = None) -> None:
        """`look_up` may block for as long as it likes."""
        self._look_up = look_up or _look_up
        self._free: dict[GroupId, asyncio.Semaphore] = {}
        self._free_at_all = asyncio.Semaphore(THREADS)

    async def __call__(self, host: str, port: int, group_id: GroupId) -> Sequence[str]:
        """Raises OSError. Cancelled: the thread stays taken, from the group's share, until the name server gives up."""
        free = self._free.setdefault(group_id, asyncio.Semaphore(THREADS_PER_GROUP))
        await free.acquire()
        try:
            await self._free_at_all.acquire()
        except BaseException:
            free.release()
            raise
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def settle(addresses: Sequence[str], failure: Exception | None) -> None:
            self._free_at_all.release()
            free.release()
            if failure is not None and not answer.done():
                answer.set_exception(failure)
            elif not answer.done():
                answer.set_result(addresses)

        def ask() -> None:
            addresses: Sequence[str] = ()
            failure: Exception | None = None
            try:
                addresses = self._look_up(host, port)
            except (OSError, UnicodeError) as error:
                failure = error
            finally:
                with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                    loop.call_soon_threadsafe(settle, addresses, failure)

        try:
            threading.Thread(target=ask, name="resolve", daemon=True).start()
        except RuntimeError as error:
            settle((), OSError(str(error)))
        return await answer


def is_own_address(address: Address) -> bool:
    """Whether an address is this machine's: what goes there from here passes no firewall. Sends nothing."""
    family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _UNUSED_PORT))
            return ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]) == address
    except OSError:
        return False


def _look_up(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for _family, _type, _protocol, _name, address in found]
