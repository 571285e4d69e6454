"""Attacks on trust: upstreams with bad certificates, the authority's key, leaves by the thousand (48, 50, 51, 58)."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from credproxy.trust.certificates import MAX_LEAVES
from tests.security.proxy.scene import PATIENCE_S, A, B, Scene

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A certificate that an upstream shows."""

    names: tuple[str, ...] = (A,)
    begins: datetime.timedelta = -DAY
    ends: datetime.timedelta = DAY
    is_trusted: bool = True
    """Signed by the authority that the proxy was told of."""
    is_self_signed: bool = False
    newest_tls: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ciphers: str = "DEFAULT:@SECLEVEL=0"
    extra: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = field(default=lambda builder: builder)


def server_context(paper: Paper, authority: Path, folder: Path) -> ssl.SSLContext:
    """Return what an upstream with this paper serves with."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer, issuer = key, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    if paper.is_trusted and not paper.is_self_signed:
        loaded = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer, issuer = loaded, x509.load_pem_x509_certificate((authority / "ca.pem").read_bytes()).subject
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, paper.names[0] if paper.names else A)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + paper.begins)
        .not_valid_after(now + paper.ends)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if paper.names:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in paper.names])
        builder = builder.add_extension(names, critical=False)
    certificate = paper.extra(builder).sign(signer, hashes.SHA256())
    file = folder / "paper.pem"
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, private, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(paper.ciphers)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = paper.newest_tls
    context.load_cert_chain(file)
    return context


def for_clients_only(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(usage, critical=True)


BAD_PAPERS = {
    "another name": Paper(names=(B,)),
    "a name above": Paper(names=("test",)),
    "a wildcard of a whole suffix": Paper(names=("*.test.example", "*")),
    "no names but the common one": Paper(names=()),
    "a name with NUL": Paper(names=(f"{A}\0.b.test",)),
    "nobody's signature": Paper(is_trusted=False),
    "its own signature": Paper(is_self_signed=True),
    "expired": Paper(begins=-3 * DAY, ends=-DAY),
    "not yet valid": Paper(begins=DAY, ends=3 * DAY),
    "for clients only": Paper(extra=for_clients_only),
    "TLS 1.1": Paper(newest_tls=ssl.TLSVersion.TLSv1_1),
    "TLS 1.0": Paper(newest_tls=ssl.TLSVersion.TLSv1),
}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("name", [*BAD_PAPERS, "a good one"])
async def test_upstream_must_prove_its_name(scene: Scene, tmp_path: Path, name: str) -> None:
    """With anything wrong about its certificate or protocol, an upstream gets not a byte of a request (50)."""
    paper = BAD_PAPERS.get(name, Paper())
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            got.extend(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            return
        finally:
            writer.close()

    context = server_context(paper, scene.street.folder / "outside", tmp_path)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    await scene.grant(f"- {{host: {A}, port: {port}, addresses: [127.0.0.1], secret: key, inject: bearer}}")
    async with scene.inside(A, port) as client:
        response = await client.ask("POST", "/x", host=f"{A}:{port}", body=b"hello")
    server.close()
    if name == "a good one":
        assert response.status == 200
        return
    assert response.status == 502
    assert response.headers["x-nightyard"] in (
        ("upstream_unreachable", "upstream_untrusted") if name.startswith("TLS") else ("upstream_untrusted",)
    )
    assert not got


async def test_authority_is_the_proxys_alone(scene: Scene) -> None:
    """Its key is private to its owner, is in no certificate that leaves, and signs leaves for a week only (51)."""
    folder = scene.street.folder / "ca"
    async with scene.inside() as client:
        shown = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    leaf = x509.load_der_x509_certificate(shown)
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    leaf.verify_directly_issued_by(authority)
    assert stat.S_IMODE((folder / "ca.key").stat().st_mode) == 0o600
    assert leaf.public_key() != authority.public_key()
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc < datetime.timedelta(days=8)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [A]


async def test_names_by_the_thousand_make_nothing(scene: Scene) -> None:
    """CONNECT to hosts that nobody granted mints no certificate and keeps none (48)."""
    async with scene.client() as client:
        for number in range(400):
            host = f"h{number}.a.test:{scene.a.port}"
            assert (await client.ask("CONNECT", host, host=host)).status == 403
    assert "leaves=0>" in repr(scene.street.proxy.authority)


async def test_names_below_a_wildcard_are_kept_in_bounds(scene: Scene) -> None:
    """Names that a wildcard does grant are minted as they come and forgotten again: their number is bounded (48)."""
    await scene.grant(f'- {{host: "*.w.test", port: {scene.a.port}}}')
    for number in range(200):
        async with scene.client() as client:
            await client.tunnel(f"h{number}.w.test", scene.a.port, scene.street.ca)
    assert f"leaves={MAX_LEAVES}>" in repr(scene.street.proxy.authority)


async def test_client_that_trusts_nobody_is_told_of_in_the_record(scene: Scene) -> None:
    """A tool that refuses our certificate fails at once; the refusal is on record, and nothing is dialled (58)."""
    async with scene.client() as client:
        client.writer.write(f"CONNECT {scene.host} HTTP/1.1\r\nHost: {scene.host}\r\n\r\n".encode())
        await client.reader.readuntil(b"\r\n\r\n")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            async with asyncio.timeout(PATIENCE_S):
                await client.writer.start_tls(ssl.create_default_context(), server_hostname=A)
    event = await scene.street.event("denied")
    assert event.detail == "tls_refused"
    assert scene.a.connections == 0
