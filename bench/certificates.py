"""An authority and certificates for the service of `bench credproxy`: for `localhost`, and for many addresses."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ADDRESSES_EACH = 100
"""So many addresses stand in one certificate: one for all ten thousand would be what is measured."""


class BenchAuthority:
    """Writes the authority as `ca.pem` into a folder, and signs what the service shows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark authority")])
        self._now = datetime.datetime.now(datetime.UTC)
        own = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        self._certificate = own.sign(self._key, hashes.SHA256())
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    @property
    def file(self) -> Path:
        return self._folder / "ca.pem"

    def write_for_service(self, folder: Path, hosts: int) -> None:
        """Write what the service is started with: `default.pem`, and one for each hundred of 127.1.x.1 to .100."""
        folder.mkdir()
        self._write(folder / "default.pem", [x509.DNSName("localhost")])
        for number in range(hosts // ADDRESSES_EACH):
            addresses = [ipaddress.IPv4Address(f"127.1.{number}.{last}") for last in range(1, ADDRESSES_EACH + 1)]
            self._write(folder / f"{number}.pem", [x509.IPAddress(address) for address in addresses])

    def _write(self, path: Path, names: list[x509.GeneralName]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark service")])
        builder = self._builder(subject, key).add_extension(x509.SubjectAlternativeName(names), False)
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=self._now - datetime.timedelta(hours=1),
            not_valid_after=self._now + datetime.timedelta(days=2),
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        return builder.add_extension(issuer, False).add_extension(own, False)
