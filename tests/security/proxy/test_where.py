"""Attacks on where a request goes: names, ports, schemes, addresses, the proxy's own machine (2, 8, 13-17, 46)."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credproxy.wire.resolving import is_own_address
from tests.security.proxy.scene import A, B, Scene, code_of, status_of

ROOT = Path(__file__).resolve().parents[3]


async def test_name_in_a_tunnel_never_moves_a_secret(scene: Scene) -> None:
    """In a granted tunnel to B, a Host header that names A gets B no secret of A's (2)."""
    place = f"host: {B}, port: {scene.b.port}, addresses: [127.0.0.1]"
    await scene.grant(f"- {{{scene.place}, secret: key, inject: bearer}}\n- {{{place}}}")
    for host in (scene.host, A, f"{B}:{scene.b.port}, {A}"):
        async with scene.inside(B, scene.b.port) as client:
            response = await client.ask("GET", "/x", host=host)
        assert response.headers["x-nightyard"] in ("misdirected", "bad_request")
    async with scene.inside(B, scene.b.port) as client:
        assert (await client.ask("GET", "/x", host=f"{B}:{scene.b.port}")).status == 200
    assert scene.b.inbox[0].header("authorization") == []


@pytest.mark.parametrize("host", ["a.test", "A.TEST", "a.Test.", "A.tEST"])
async def test_one_name_has_one_grant_whatever_its_case(scene: Scene, host: str) -> None:
    """A host's spelling neither loses the secret nor finds another one: A gets exactly one (8)."""
    async with scene.client() as client:
        inside = await client.tunnel(host, scene.a.port, scene.street.ca, server_name=A)
        assert (await inside.ask("GET", "/x", host=f"{host}:{scene.a.port}")).status == 200
    assert len(scene.a.inbox[0].header("authorization")) == 1
    assert scene.a.inbox[0].header("host") == [scene.host]


ENTRIES = (
    ("GET", "https", 200),
    ("GET", "http", 403),
    ("DELETE", "https", 403),
    ("DELETE", "http", 403),
)


@pytest.mark.parametrize(("method", "scheme", "status"), ENTRIES)
async def test_both_entries_are_judged_alike(scene: Scene, method: str, scheme: str, status: int) -> None:
    """A tunnel and an absolute form go through one decision: http cannot borrow what is granted for https (16, 17)."""
    await scene.grant(f"- {{{scene.place}, methods: [GET], paths: [/x], secret: key, inject: bearer}}")
    if scheme == "https":
        async with scene.inside() as client:
            response = await client.ask(method, "/x", host=scene.host)
    else:
        async with scene.client() as client:
            response = await client.ask(method, f"http://{scene.host}/x", host=scene.host)
    assert response.status == status
    assert len(scene.a.inbox) == (1 if status == 200 else 0)


async def test_absolute_https_is_no_way_around_a_tunnel(scene: Scene) -> None:
    """`GET https://…` at the door would be sent without a handshake of ours: refused, whatever is granted (17)."""
    assert status_of(await scene.raw_at_door(b"GET https://HOST/x HTTP/1.1\r\nHost: HOST\r\n\r\n")) == 400
    assert scene.a.connections == 0


async def test_plain_http_grant_takes_no_secret(scene: Scene) -> None:
    """A grant that would send a secret in clear is a mistake in the file, and grants nothing (16)."""
    await scene.grant(f"- {{{scene.place}, scheme: http, secret: key, inject: bearer}}")
    async with scene.client() as client:
        response = await client.ask("GET", f"http://{scene.host}/x", host=scene.host)
    assert response.headers["x-nightyard"] == "grants_broken"
    assert scene.a.connections == 0


@pytest.mark.parametrize("port", [22, 80, 8443, 65535])
async def test_grant_is_for_one_port(scene: Scene, port: int) -> None:
    """The host is granted, this port of it is not (15)."""
    head = await scene.raw_at_door(f"CONNECT {A}:{port} HTTP/1.1\r\nHost: {A}:{port}\r\n\r\n".encode())
    assert (status_of(head), code_of(head)) == (403, "host_not_granted")


OWN_PLACES = ("127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]", socket.gethostname().lower())


@pytest.mark.parametrize("place", OWN_PLACES)
async def test_proxys_machine_is_no_destination(scene: Scene, place: str) -> None:
    """Neither the proxy nor what runs beside it is reached by any name of this machine (13)."""
    port = scene.b.port
    heads = (
        await scene.raw_at_door(f"CONNECT {place}:{port} HTTP/1.1\r\nHost: {place}:{port}\r\n\r\n".encode()),
        await scene.raw_at_door(f"GET http://{place}:{port}/ HTTP/1.1\r\nHost: {place}:{port}\r\n\r\n".encode()),
    )
    assert {status_of(head) for head in heads} <= {400, 403}
    assert scene.b.connections == 0


def test_own_addresses_are_known() -> None:
    """This machine's addresses are told from others, without a packet (13)."""
    assert is_own_address(ipaddress.ip_address("127.0.0.1"))
    assert is_own_address(ipaddress.ip_address("::1"))
    assert not is_own_address(ipaddress.ip_address("1.1.1.1"))
    assert not is_own_address(ipaddress.ip_address("2606:4700::1111"))


OWN_PUBLIC = """
import asyncio, fcntl, pathlib, socket, struct, sys, tempfile
from tests.security.proxy.scene import A, open_scene

def give(name, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH2s4s8s", name, socket.AF_INET, b"", socket.inet_aton(address), b"")
        fcntl.ioctl(control, 0x8916, request)  # SIOCSIFADDR
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14s", name, 0x41, b""))  # SIOCSIFFLAGS: up, running

async def main(folder):
    async with open_scene(folder) as scene:
        port = scene.a.port
        server = await asyncio.start_server(scene.a.serve, "9.9.9.9", port, ssl=scene.street.outside.context_for(A))
        scene.street.addresses[A] = ["9.9.9.9"]
        codes = []
        for named in ("", ", addresses: [9.9.9.9]"):
            await scene.grant(f"- {{host: {A}, port: {port}{named}, secret: key, inject: bearer}}")
            async with scene.inside() as client:
                response = await client.ask("GET", "/x", host=scene.host)
            codes.append(response.headers.get("x-nightyard", str(response.status)))
        server.close()
        print(*codes)

give(b"lo", "127.0.0.1")
give(b"lo:1", "9.9.9.9")
with tempfile.TemporaryDirectory(prefix="sp-") as folder:
    asyncio.run(main(pathlib.Path(folder)))
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare, to give a network of its own an address")
def test_own_public_address_is_reached_only_by_name() -> None:
    """On a server with a public address, a granted name that stands for it is refused: no firewall would see that
    connection. A grant that names the address means it (13)."""
    command = ["unshare", "--net", "--map-root-user", sys.executable, "-c", OWN_PUBLIC]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip("namespaces are forbidden here")
    assert done.stdout.split() == ["address_refused", "200"], done.stderr


async def test_tunnel_speaks_one_protocol(scene: Scene) -> None:
    """A client that offers HTTP/2 in its handshake gets HTTP/1.1: there is one parser, and no second one to disagree
    with (46)."""
    async with scene.client() as client:
        client.writer.write(f"CONNECT {scene.host} HTTP/1.1\r\nHost: {scene.host}\r\n\r\n".encode())
        await client.reader.readuntil(b"\r\n\r\n")
        context = ssl.create_default_context(cafile=str(scene.street.ca))
        context.set_alpn_protocols(["h2", "h3", "http/1.1"])
        await client.writer.start_tls(context, server_hostname=A)
        handshake = client.writer.get_extra_info("ssl_object")
        assert handshake.selected_alpn_protocol() == "http/1.1"
        assert handshake.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize("preface", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI * HTTP/2.0\r\nHost: HOST\r\n\r\n"])
async def test_http2_by_force_is_refused(scene: Scene, preface: bytes) -> None:
    """HTTP/2's preface, spoken without asking, is a crooked request (46)."""
    assert status_of(await scene.raw_inside(preface)) == 400
    assert status_of(await scene.raw_at_door(preface)) == 400
    assert scene.a.inbox == []


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=4), st.integers(0, 6))
def test_no_byte_in_a_name_is_overlooked(odd: bytes, at: int) -> None:
    """Bytes put into a granted name make it another name or none: only case and one last dot make no difference (7)."""
    from credproxy.wire.target import TargetRefused, parse_host

    text = (A[:at] + odd.decode("latin-1") + A[at:]).lower()
    try:
        host = parse_host(text)
    except TargetRefused:
        return
    assert host != A or text.removesuffix(".") == A
