"""Run a program of the system for a set-up step: its output tells how far it is, and why when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import IO

from cli.machine import Machine, find_program, search_path
from cli.up_progress import Progress, SetupFailed, no_progress

KEPT_LINES = 12
QUIETLY = ("env", "DEBIAN_FRONTEND=noninteractive")
APT_GET = (*QUIETLY, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300")
"""A new machine often updates itself just now, and an interrupted `up` can have left apt at work: it is waited for."""
INTERRUPTED = "dpkg --configure -a"
"""What apt asks for when dpkg was ended in the middle."""


def run_step(
    what: str,
    command: Sequence[str],
    mend: str,
    *,
    progress: Progress = no_progress,
    output: IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command to its end; raise SetupFailed with its last words. `output` takes its standard output when that is
    the product and not talk."""
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output if output is not None else subprocess.PIPE,
        stderr=subprocess.PIPE if output is not None else subprocess.STDOUT,
        env={**os.environ, **(environment or {}), "LC_ALL": "C.UTF-8", "PATH": search_path()},
    ) as process:
        talk = process.stderr if output is not None else process.stdout
        assert talk is not None  # both are pipes as asked above
        for raw in talk:
            line = raw.decode("utf-8", "replace").strip()
            if line:
                kept.append(line)
                progress(line[:100])
    if process.returncode != 0:
        raise SetupFailed(what, "\n".join(kept) or f"exit code {process.returncode}", mend)


def root_prefix(machine: Machine) -> list[str] | None:
    """Return what to put before a command that needs root: nothing, sudo, or None when this user may not.

    With a terminal sudo may ask for the password here, once; the commands after it never wait for input.
    """
    if machine.is_root:
        return []
    if find_program("sudo") is None:
        return None
    if subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0:
        return ["sudo", "-n"]
    if sys.stdin.isatty() and subprocess.run(["sudo", "-v"], check=False).returncode == 0:
        return ["sudo", "-n"]
    return None


def apt_install(machine: Machine, packages: Sequence[str], progress: Progress) -> None:
    """Install Debian packages; raise SetupFailed, also where this user or system cannot."""
    names = " ".join(packages)
    by_hand = f"{'' if machine.is_root else 'sudo '}apt-get install {names}"
    if find_program("apt-get") is None:
        raise SetupFailed(f"{names} is missing", "this system has no apt to install it with", f"install {names}")
    root = root_prefix(machine)
    if root is None:
        raise SetupFailed(
            f"{names} is missing", "installing it needs root, or sudo", f"as root: apt-get install {names}"
        )
    if not any(machine.apt_lists.glob("*Packages*")):
        progress("reading the package lists")
        apt_update(machine)
    install = [*root, *APT_GET, "install", "-y", "--no-install-recommends", *packages]
    try:
        run_step(f"{names} could not be installed", install, by_hand, progress=progress)
    except SetupFailed as failed:
        if INTERRUPTED in failed.why:
            run_step("dpkg could not finish what was begun", [*root, *QUIETLY, *INTERRUPTED.split()], INTERRUPTED)
        # Lists of another day name versions that the mirror no longer has; once afresh, then it is the truth.
        apt_update(machine)
        run_step(f"{names} could not be installed", install, by_hand, progress=progress)


def apt_update(machine: Machine) -> None:
    """Read the package lists afresh; raise SetupFailed."""
    root = root_prefix(machine)
    by_hand = "apt-get update" if machine.is_root else "sudo apt-get update"
    if root is None:
        raise SetupFailed("the package lists are missing", "reading them needs root, or sudo", f"as root: {by_hand}")
    run_step("the package lists could not be read", [*root, *APT_GET, "update"], by_hand)
