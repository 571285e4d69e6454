"""The client and the service of `bench credproxy`: C programs, so that what is measured is what stands between them.

Built from bench/native/ when first needed, kept in the user's cache. The product needs neither a compiler nor them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
PACKAGES = ("gcc", "libc6-dev", "libssl-dev")
LOAD_TIMEOUT_S = 180.0


class CannotBuild(Exception):
    """What is missing, and what would help."""


class LoadFailed(Exception):
    """The client did not get what it asked for: such a run measures nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where the built programs are."""

    load: Path
    upstream: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run of the client took."""

    count: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    first_event_ms: float
    last_good_at: float
    """CLOCK_MONOTONIC."""
    failures: int
    failure: str

    @property
    def per_s(self) -> float:
        return self.count / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the client gets to the service."""

    door: str
    """`tcp:ADDRESS:PORT` or `unix:PATH`."""
    ca: Path
    tunnel: str = "-"
    """HOST:PORT to CONNECT to."""
    name: str = "-"
    """Whose certificate must be shown; `-`: no TLS."""
    header: str = "-"


def cache_folder() -> Path:
    """Return where benchmarks keep what takes long to make."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nightyard-bench"


def build_programs() -> Programs:
    """Compile what is not compiled yet; raises CannotBuild."""
    sources = sorted(SOURCES.iterdir())
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = cache_folder() / f"native-{digest}"
    programs = Programs(load=folder / "load", upstream=folder / "upstream")
    if programs.load.exists() and programs.upstream.exists():
        return programs
    _need_compiler()
    folder.mkdir(parents=True, exist_ok=True)
    for program in (programs.load, programs.upstream):
        unfinished = program.with_suffix(".new")
        command = ["gcc", "-O2", "-Wall", "-o", str(unfinished), str(SOURCES / f"{program.name}.c")]
        built = subprocess.run([*command, "-lssl", "-lcrypto", "-lpthread"], capture_output=True, text=True)
        if built.returncode:
            raise CannotBuild(f"bench/native/{program.name}.c does not compile:\n{built.stderr}")
        unfinished.rename(program)
    return programs


def start_load(programs: Programs, mode: str, route: Route, ask: str, *more: str) -> subprocess.Popen[str]:
    """Start the client; `more`: threads, seconds, and perhaps an amount."""
    threads, seconds, *amount = more
    command = [str(programs.load), mode, route.door, route.tunnel, route.name, str(route.ca), route.header]
    return subprocess.Popen([*command, threads, seconds, ask, *amount], stdout=subprocess.PIPE, text=True)


def finish_load(running: subprocess.Popen[str], *, may_fail: bool = False) -> Sample:
    """Wait for the client's line; raises LoadFailed where any answer was not as it should be."""
    output, _ = running.communicate(timeout=LOAD_TIMEOUT_S)
    if running.returncode:
        raise LoadFailed(f"the client ended with {running.returncode}")
    sample = Sample(**json.loads(output))
    if sample.failures and not may_fail:
        raise LoadFailed(f"{sample.failures} of the client's threads failed: {sample.failure} ({running.args!r})")
    return sample


@contextlib.contextmanager
def service(programs: Programs, certificates: Path, key: str) -> Iterator[tuple[int, int]]:
    """Run the service; yields its port with TLS and the one without."""
    command = [str(programs.upstream), str(certificates), key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as upstream:
        try:
            assert upstream.stdout is not None
            tls_port, plain_port = upstream.stdout.readline().split()
            yield int(tls_port), int(plain_port)
        finally:
            upstream.kill()


def _need_compiler() -> None:
    """Install what compiling needs, where that can be done without asking; raises CannotBuild."""
    if _can_compile():
        return
    words = f"`bench credproxy` compiles its client and service: it needs {', '.join(PACKAGES)}"
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise CannotBuild(f"{words}; as root: apt-get install {' '.join(PACKAGES)}, or what your system calls them")
    print(f"{words}; installing them …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", *command], env=environment, capture_output=True, text=True)
        if done.returncode:
            raise CannotBuild(f"{words}; apt-get could not install them:\n{done.stderr[-2000:]}")


def _can_compile() -> bool:
    if not shutil.which("gcc"):
        return False
    test = ["gcc", "-E", "-x", "c", "-o", os.devnull, "-"]
    return not subprocess.run(test, input="#include <openssl/ssl.h>\n", capture_output=True, text=True).returncode
