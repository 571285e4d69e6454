"""A system of stub programs: each writes down how it was called; `does` is what it does besides, in sh.

They are all there is on PATH, so what is not in the folder is not installed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from cli.machine import Machine

REAL = ("sh", "env", "cat", "tee", "mkdir", "rm", "tar", "setsid", "touch", "chmod", "true")
"""The everyday programs that stubs, and the steps around them, stand on."""
SUDO = 'while [ "${1#-}" != "$1" ]; do shift; done\n[ $# -eq 0 ] || exec "$@"'


class StubSystem:
    """A folder of programs, the record of their calls, and the machine that goes with them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ny-stub-"))
        # Open to any user: a test may act as one.
        self.folder.chmod(0o777)
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        self._calls = self.folder / "calls"
        self._calls.touch()
        self._calls.chmod(0o666)
        for name in REAL:
            found = shutil.which(name, path=f"{os.defpath}:/usr/bin:/bin")
            assert found, f"{name} is missing on this machine"
            (self.programs / name).symlink_to(found)
        (self.folder / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
        for name in ("lists", "keyrings"):
            (self.folder / name).mkdir()
        self.has_read_lists()

    def program(self, name: str, does: str = "", *, installed_by: str = "") -> None:
        """Put a program there; `installed_by` names a stub that puts it there when it is called."""
        place = self.folder / "later" if installed_by else self.programs
        place.mkdir(exist_ok=True)
        path = place / name
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>{self._calls}\n{does}\n')
        path.chmod(0o755)
        if installed_by:
            with (self.programs / installed_by).open("a") as installer:
                installer.write(f'case " $* " in *" install "*) mv {path} {self.programs}/{name} 2>/dev/null;; esac\n')
            if not (self.programs / "mv").exists():
                (self.programs / "mv").symlink_to("/bin/mv")

    def has_read_lists(self, *, read: bool = True) -> None:
        """Whether apt's package lists are there."""
        lists = self.folder / "lists" / "x_Packages"
        lists.touch() if read else lists.unlink()

    def calls(self, *of: str) -> list[str]:
        """What was called, in order; of these programs, or of all."""
        lines = self._calls.read_text().splitlines()
        return [line for line in lines if not of or line.split(" ")[0] in of]

    def machine(self, *, uid: int = 0, systemd: bool = False, engine_start_s: float = 10.0) -> Machine:
        """The machine that has these programs."""
        socket = self.folder / "docker.sock"
        if systemd:
            (self.folder / "systemd").mkdir()
        return Machine(
            uid=uid,
            engine_socket=socket,
            engine_addresses=(f"unix://{socket}",),
            engine_start_s=engine_start_s,
            systemd=self.folder / "systemd",
            socket_drop_ins=self.folder / "docker.socket.d",
            daemon_log=self.folder / "dockerd.log",
            apt_lists=self.folder / "lists",
            os_release_file=self.folder / "os-release",
            keyrings=self.folder / "keyrings",
            apparmor=self.folder / "apparmor",
        )

    def remove(self) -> None:
        shutil.rmtree(self.folder)
