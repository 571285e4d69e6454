"""How five real servers read a path, against how the proxy does: what passes a grant is what is served (24, 25)."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import h11
import pytest

from tests.credproxy.street import Street
from tests.security.proxy.real_servers import SERVERS, Reading, Running, Server, reading_of, running
from tests.security.proxy.scene import PATIENCE_S

CROOKED = (
    "/open",
    "/open/",
    "/open/x",
    "/opened",
    "/closed",
    "/",
    "/open/../closed",
    "/open/..",
    "/open/../",
    "/open/./../closed",
    "/open/%2e%2e/closed",
    "/open/%2E%2e/closed",
    "/open/.%2e/closed",
    "/open/%2e./closed",
    "/open/..%2fclosed",
    "/open/..%2Fclosed",
    "/open%2f..%2fclosed",
    "/open%2fx",
    "/open/%2e%2e%2fclosed",
    "/open/..%5cclosed",
    "/open/..\\closed",
    "/open\\..\\closed",
    "/open/%252e%252e/closed",
    "/open/%25%32%65%25%32%65/closed",
    "/open/..%252fclosed",
    "/open/..;/closed",
    "/open/..;x=1/closed",
    "/open;/../closed",
    "/open;x/closed",
    "/open/;/../closed",
    "/open/%3b/../closed",
    "/open/..%3b/closed",
    "/closed/..;/open/x",
    "/closed;/../open/x",
    "//open/x",
    "/open//x",
    "/open//../closed",
    "/open/x//../../closed",
    "///closed",
    "/./open/x",
    "/open/.",
    "/open/./x",
    "/open/x/.",
    "/open/...",
    "/open/.../closed",
    "/OPEN/x",
    "/%6fpen/x",
    "/%6Fpen/x",
    "/op%65n/x",
    "/open%00/x",
    "/open/%00",
    "/open/x%00/../../closed",
    "/open/%0a",
    "/open/%0d%0ax",
    "/open/%c0%ae%c0%ae/closed",
    "/open/%c0%af..%c0%afclosed",
    "/open/%e0%80%ae%e0%80%ae/closed",
    "/open/%ff",
    "/open/%c3%a9",
    "/open/%u002e%u002e/closed",
    "/open/%",
    "/open/%2",
    "/open/%zz",
    "/open/%2%65",
    "/open/a%20b",
    "/open/a+b",
    "/open/~x",
    "/open/%7ex",
    "/open/a:b@c",
    "/open/!$&'()*,=",
    "/open/x?/../../closed",
    "/open/?/closed",
    "/open/x#/../closed",
    "/open/x%23/../closed",
    "/open/x%3f/../closed",
    "/open ",
    "/open\t/x",
    "/open/\u00e9",
    "*",
    "open/x",
    "http://b.test/open/x",
    "/open/..%00/closed",
    "/open/.%00./closed",
    "/open/%2e%2e;/closed",
    "/open/\uff0e\uff0e/closed",
    "/open/%ef%bc%8e%ef%bc%8e/closed",
    "/open/..%c0%afclosed",
    "/open/..%ef%bc%8fclosed",
)
PIECES = (
    *("/", "//", "open", "closed", ".", "..", "...", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", ";", ";x=1", "%3b"),
    *("%252e", "%252f", "%25", "%00", "%c0%ae", "%c3%a9", "%61", "%7e", "~", "+", "%20", ":", "a", "?", "&"),
)
SAMPLED = 150
MANY = 2000
PER_PROXY = 400
"""A container that is refused more often than that in a minute is made to wait."""


def sampled(count: int, seed: int) -> Iterator[str]:
    """Yield paths put together by chance, the same ones each time."""
    chance = random.Random(seed)
    for _ in range(count):
        begin, end = chance.choice(("/open/", "/open", "/", "/closed/")), chance.choice(("", "/closed", "/../closed"))
        yield begin + "".join(chance.choices(PIECES, k=chance.randint(1, 7))) + end


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.name)
def real(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A real server, where it is installed."""
    server: Server = request.param
    if not server.is_installed():
        pytest.skip(f"{server.name} is not installed (package {server.package})")
    with tempfile.TemporaryDirectory(prefix="rs-") as folder, running(server, Path(folder)) as found:
        yield found


@asynccontextmanager
async def proxy_to(real: Running, folder: Path, paths: str) -> AsyncIterator[Street]:
    street = Street(folder)
    async with street.open():
        street.grants = f"- {{host: 127.0.0.1, scheme: http, port: {real.port}{paths}}}"
        await street.lease()
        yield street


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: str, host: str) -> Reading | str:
    """Send a request line as it is; return how it was read, or the proxy's code where it refused."""
    writer.write(f"GET {line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("host", host)]))
    http.send(h11.EndOfMessage())
    try:
        async with asyncio.timeout(PATIENCE_S):
            http.receive_data(await reader.read())
        http.receive_data(b"")
        head, body = http.next_event(), b""
        if not isinstance(head, h11.Response):
            return Reading("none")
        while isinstance(event := http.next_event(), h11.Data):
            body += bytes(event.data)
    except (h11.RemoteProtocolError, ConnectionError):
        return Reading("none")
    finally:
        writer.close()
    headers = {bytes(name).decode(): bytes(value).decode("latin-1") for name, value in head.headers}
    return headers.get("x-nightyard") or reading_of(head.status_code, headers, body)


async def through(street: Street, port: int, path: str) -> Reading | str:
    reader, writer = await asyncio.open_unix_connection(street.door_path)
    return await ask(reader, writer, f"http://127.0.0.1:{port}{path}", f"127.0.0.1:{port}")


async def straight(port: int, path: str) -> Reading | str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return await ask(reader, writer, path, f"127.0.0.1:{port}")


async def check_scoped(real: Running, folder: Path, paths: Iterator[str] | tuple[str, ...]) -> tuple[int, int]:
    """Ask for each path under a grant for /open/**; return how many the server answered, and how many were refused."""
    answered = refused = 0
    async with proxy_to(real, folder, ", paths: [/open/**]") as street:
        for path in paths:
            reading = await through(street, real.port, path)
            refused += isinstance(reading, str)
            answered += isinstance(reading, Reading)
            assert not isinstance(reading, Reading) or reading.place != "closed", (path, reading)
    return answered, refused


async def check_same(real: Running, folder: Path, paths: Iterator[str] | tuple[str, ...]) -> int:
    """Ask for each path straight and through a grant for the whole host; return how many were read in both ways."""
    compared = 0
    async with proxy_to(real, folder, "") as street:
        for path in paths:
            reading = await through(street, real.port, path)
            if isinstance(reading, str):
                continue
            direct = await straight(real.port, path)
            assert isinstance(direct, Reading)
            if direct.path and reading.path:
                assert reading == direct, path
                compared += 1
    return compared


async def test_server_tells_open_from_closed(real: Running) -> None:
    """The paired case: each server says plainly how it reads a plain path."""
    assert await straight(real.port, "/open/x") == Reading("open", "/open/x")
    assert await straight(real.port, "/closed/x") == Reading("closed", "/closed/x")
    assert await straight(real.port, "/open") == Reading("open", "/open")


async def test_nothing_that_passes_is_read_as_another_path(real: Running, short_folder: Path) -> None:
    """Of every crooked way to write a path, what passes for /open/** the server serves as open (24, 25)."""
    answered, refused = await check_scoped(real, short_folder, CROOKED)
    assert answered >= 10
    assert refused >= 40


async def test_paths_by_chance_pass_as_what_they_are(real: Running, short_folder: Path) -> None:
    """So do paths put together by chance from all that servers read differently (24)."""
    await check_scoped(real, short_folder, sampled(SAMPLED, seed=1))


async def test_rewriting_a_path_changes_no_reading(real: Running, short_folder: Path) -> None:
    """Under a grant for the whole host, the path as the proxy writes it is read as the one that was asked for (24)."""
    assert await check_same(real, short_folder, CROOKED) >= 10
    await check_same(real, short_folder, sampled(SAMPLED, seed=2))


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_many_paths_by_chance(real: Running, short_folder: Path) -> None:
    """Hundreds more of them, from other seeds (24)."""
    for seed in range(3, 3 + MANY // PER_PROXY):
        await check_scoped(real, short_folder, sampled(PER_PROXY, seed))
        await check_same(real, short_folder, sampled(PER_PROXY, -seed))
