"""The system that the set-up runs on: who asks, where the engine's things are, which programs there are.

A value, so that a test can describe another system, with folders and programs of its own, and have it set up.
"""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from runtime.engine_address import DOCKER_SOCKET, SCHEME

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Debian leaves these out of a normal user's PATH, and dockerd and debootstrap live there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the set-up takes as given."""

    uid: int = field(default_factory=os.geteuid)
    engine_socket: Path = DOCKER_SOCKET
    engine_addresses: tuple[str, ...] = ()
    """Where an engine may be, when nobody names one; empty: in the usual places."""
    engine_start_s: float = 60.0
    """How long a started engine has to answer."""
    systemd: Path = Path("/run/systemd/system")
    """There while systemd is PID 1, as sd_booted(3) says."""
    socket_drop_ins: Path = Path("/etc/systemd/system/docker.socket.d")
    daemon_log: Path = Path("/var/log/dockerd.log")
    apt_lists: Path = Path("/var/lib/apt/lists")
    os_release_file: Path = Path("/etc/os-release")
    keyrings: Path = Path("/usr/share/keyrings")
    apparmor: Path = Path("/sys/module/apparmor/parameters/enabled")

    @property
    def engine_address(self) -> str:
        return f"{SCHEME}{self.engine_socket}"

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    @property
    def has_apparmor(self) -> bool:
        """Whether the kernel confines programs by AppArmor: Docker then starts no container without apparmor_parser."""
        try:
            return self.apparmor.read_text().strip() == "Y"
        except OSError:
            return False


def search_path() -> str:
    """Return where programs are looked for: PATH and, if it is a system's usual one, root's folders too."""
    path = os.environ.get("PATH", os.defpath)
    return f"{path}:{SBIN}" if {"/usr/bin", "/bin"} & set(path.split(":")) else path


def find_program(name: str) -> str | None:
    """Return the program's path, looking where root's programs are too."""
    return shutil.which(name, path=search_path())


def user_name(machine: Machine) -> str:
    return pwd.getpwuid(machine.uid).pw_name


def read_os_release(machine: Machine) -> dict[str, str]:
    """Return what this system calls itself, by os-release(5); empty where there is no such file."""
    try:
        lines = machine.os_release_file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return {name: value.strip('"') for name, _, value in (line.partition("=") for line in lines)}
