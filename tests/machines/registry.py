"""A real image registry, Debian's `docker-registry`, beside a private engine: in its network, on loopback.

The program is taken from the machine or, unpacked and not installed, from its apt sources.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "docker-registry"
PORT = 5000
HOST = f"127.0.0.1:{PORT}"
START_S = 30.0
LOOK_EVERY_S = 0.1
APT_S = 300
CONFIGURATION = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "{host}"}}
"""
IN_ITS_NETWORK = """
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP: a new network has it down
os.execv(sys.argv[1], sys.argv[1:])
"""


def find_registry(folder: Path) -> Path | None:
    """Return the registry's program, unpacked into the folder if the machine has none; None where apt has none."""
    if installed := shutil.which(PACKAGE):
        return Path(installed)
    if not shutil.which("apt-get") or not (
        _apt("download", folder) or (_apt("update", folder) and _apt("download", folder))
    ):
        return None
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
    return folder / "usr" / "bin" / PACKAGE


def _apt(verb: str, folder: Path) -> bool:
    command = ["apt-get", "-q", verb, *([PACKAGE] if verb == "download" else [])]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=APT_S, check=False).returncode == 0


@contextmanager
def registry(program: Path, folder: Path, engine_pid: int) -> Iterator[Path]:
    """Run an empty registry at HOST in the engine's network, until the block is left; yield its log."""
    written, log = folder / "registry.yml", folder / "registry.log"
    written.write_text(CONFIGURATION.format(folder=folder, host=HOST))
    command = ["nsenter", f"--net=/proc/{engine_pid}/ns/net", sys.executable, "-c", IN_ITS_NETWORK]
    with log.open("wb") as output:
        running = subprocess.Popen([*command, str(program), "serve", str(written)], stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_S
        while b"listening on" not in log.read_bytes():
            assert running.poll() is None and time.monotonic() < deadline, log.read_text("utf-8", "replace")[-2000:]
            time.sleep(LOOK_EVERY_S)
        yield log
    finally:
        running.terminate()
        running.wait(30)
