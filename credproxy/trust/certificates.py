"""The proxy's own certificate authority: made at first start, it signs a short-lived leaf per host, on demand.

The CA's key never leaves its file and this process; its certificate goes into every container (`bundle.py`). pathlen 0:
it can sign leaves, never another CA. All leaves share one key, which is not the CA's: minting is then one signature.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
import ssl
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from credproxy.vault.files import refuse_loose, write_whole

CA_DAYS = 3650
LEAF_DAYS = 7
LEAF_RENEW_DAYS = 1
MAX_LEAVES = 64
"""TLS contexts kept, about 25 kB each, as many as connections to upstreams; the least recently used goes. A new one
takes less than a millisecond."""
CLOCK_SLACK = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    context: ssl.SSLContext
    made_at: datetime.datetime

    def is_good_at(self, now: datetime.datetime) -> bool:
        """Not near its end; and the clock has not gone back behind its beginning, as it does when it is set right."""
        return self.made_at - CLOCK_SLACK < now < self.made_at + datetime.timedelta(days=LEAF_RENEW_DAYS)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class CertificateAuthority:
    """Makes the TLS context that a tunnel to a host is answered with."""

    def __init__(self, folder: Path, clock: Callable[[], datetime.datetime] = _now) -> None:
        """Open or make `ca.key` and `ca.pem` in a folder; raises vault.LooseKeyFile."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_file, certificate_file = folder / "ca.key", folder / "ca.pem"
        if not key_file.exists() or not certificate_file.exists():
            _make_authority(key_file, certificate_file)
        refuse_loose(key_file)
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(
                f"{key_file} is not an elliptic-curve key; move the folder {folder} away to make a new one"
            )
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._leaves: OrderedDict[str, _Leaf] = OrderedDict()
        self._clock = clock

    def __repr__(self) -> str:
        return f"<CertificateAuthority leaves={len(self._leaves)}>"

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return the server context whose leaf is for this host; the caller has decided that the host is granted."""
        now = self._clock()
        leaf = self._leaves.get(host)
        if leaf is None or not leaf.is_good_at(now):
            leaf = _Leaf(context=self._make_context(host, now), made_at=now)
            self._leaves[host] = leaf
        self._leaves.move_to_end(host)
        while len(self._leaves) > MAX_LEAVES:
            self._leaves.popitem(last=False)
        return leaf.context

    def _make_context(self, host: str, now: datetime.datetime) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        with _chain_file(self._mint(host, now) + _private_pem(self._leaf_key)) as path:
            context.load_cert_chain(path)
        context.sni_callback = _refuse_other_names(host)
        return context

    def _mint(self, host: str, now: datetime.datetime) -> bytes:
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]))
            .issuer_name(self._certificate.subject)
            .public_key(self._leaf_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SLACK)
            .not_valid_after(now + datetime.timedelta(days=LEAF_DAYS))
            .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def _refuse_other_names(host: str) -> Callable[[ssl.SSLSocket | ssl.SSLObject, str | None, object], int | None]:
    """A handshake that asks for another name than the tunnel's is a tunnel that lies about where it goes."""

    def check(_connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: object) -> int | None:
        if name is None or name.lower().removesuffix(".") == host:
            return None
        return int(ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)

    return check


def _make_authority(key_file: Path, certificate_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nightyard credential proxy (this machine only)")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SLACK)
        .not_valid_after(now + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_whole(key_file, _private_pem(key), mode=0o600)
    write_whole(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextlib.contextmanager
def _chain_file(content: bytes) -> Iterator[str]:
    """A path that OpenSSL can read a chain from: a file in memory, gone afterwards."""
    handle = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        yield f"/proc/self/fd/{handle}"
    finally:
        os.close(handle)


if __name__ == "__main__":
    CertificateAuthority(Path(sys.argv[1]))
