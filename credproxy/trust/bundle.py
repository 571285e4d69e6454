"""What agents' tools trust: the system's authorities and the proxy's own, as files that containers mount.

`ca.pem` is the proxy's alone, `bundle.pem` the system's with it. Apart from `certificates.py`, because what that needs
(x509, 5 MB in memory) is loaded only when the first tunnel is opened.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from credproxy.vault.files import write_whole

MAKE_TIMEOUT_S = 30.0
SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
)


class NoAuthority(Exception):
    """The proxy's certificate authority could not be made."""

    def __init__(self, folder: Path, detail: str) -> None:
        super().__init__(folder, detail)
        self.folder = folder
        self.detail = detail

    def __str__(self) -> str:
        return f"no certificate authority could be made in {self.folder}: {self.detail}"


def make_authority_files(folder: Path) -> None:
    """Make the authority at first start, in a process of its own; bring the bundle up to date. Raises NoAuthority."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not ((folder / "ca.key").exists() and (folder / "ca.pem").exists()):
        command = [sys.executable, "-m", "credproxy.trust.certificates", str(folder)]
        try:
            subprocess.run(command, check=True, timeout=MAKE_TIMEOUT_S, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise NoAuthority(folder, (error.stderr or "").strip().rpartition("\n")[2]) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoAuthority(folder, str(error)) from error
    write_bundle(folder)


def write_bundle(folder: Path) -> None:
    """Write `bundle.pem` unless it is up to date."""
    bundle = folder / "bundle.pem"
    system = next((Path(path) for path in SYSTEM_BUNDLES if Path(path).is_file()), None)
    content = (system.read_bytes().rstrip() + b"\n" if system else b"") + (folder / "ca.pem").read_bytes()
    if not bundle.exists() or bundle.read_bytes() != content:
        write_whole(bundle, content, mode=0o644)
