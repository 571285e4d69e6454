"""Have a container engine: use the one that answers, else install and start Debian's, else say what to type.

Nightyard never stops an engine. One that it started without systemd runs on after it, with its log in
/var/log/dockerd.log.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Sequence

from cli.engine import COMMANDS, Asked, ask, ask_all, system_kind
from cli.machine import Machine, find_program, read_os_release, user_name
from cli.up_command import apt_install, root_prefix, run_step
from cli.up_progress import Progress, SetupFailed, no_progress

LOOK_EVERY_S = 0.2
LAST_LINES = 5

Ask = Callable[[str], bool]
"""Ask a yes-or-no question; without a terminal, or with --yes, the answer is yes."""


def ensure_engine(configured: str, ask_person: Ask, progress: Progress, machine: Machine | None = None) -> Asked:
    """Return the engine that answers, after installing or starting one where that is possible; raise SetupFailed."""
    machine = machine or Machine()
    asked = ask_all(os.environ, configured, machine.engine_addresses)
    if asked and asked[-1].answers:
        return asked[-1]
    own = machine.engine_address
    mine = next((each for each in asked if each.address == own), None)
    if mine is None:  # an address was named, and only that one counts
        why = "\n".join(f"{each.address}: {each.detail}" for each in asked)
        raise SetupFailed("the named container engine does not answer", why, "start it, or name another in DOCKER_HOST")
    root = root_prefix(machine)
    if mine.forbidden:
        _allow_user(machine, root, mine)
        return _wait_for(machine, progress)
    daemon = find_program("dockerd")
    if root is None:
        raise _no_engine(machine, asked, "installing or starting one needs root, or sudo")
    if daemon is None and find_program("apt-get") is None:
        raise _no_engine(machine, asked, "this system has no apt to install one with")
    if daemon is None:
        if not ask_person("No container engine answers here. Install Debian's docker.io with apt and start it?"):
            raise _no_engine(machine, asked, "you chose not to have it installed")
        apt_install(machine, ["docker.io", *_beside_it(machine)], progress)
    progress("starting the engine")
    _start(machine, root)
    if not machine.is_root:
        _wait_for_socket(machine, progress)
        _allow_user(machine, root, mine)
    return _wait_for(machine, progress)


def _beside_it(machine: Machine) -> list[str]:
    """Return what docker.io only recommends, and this machine lacks."""
    apparmor = machine.has_apparmor and find_program("apparmor_parser") is None
    return [*([] if machine.is_root else ["acl"]), *(["apparmor"] if apparmor else [])]


def _no_engine(machine: Machine, asked: Sequence[Asked], why: str) -> SetupFailed:
    tried = "\n".join(f"{each.address}: {each.detail}" for each in asked)
    commands = COMMANDS[system_kind(read_os_release(machine))]
    return SetupFailed("no container engine answers", f"{tried}\n{why}", f"{commands}\n./nightyard up")


def _start(machine: Machine, root: Sequence[str]) -> None:
    if machine.systemd.exists():
        enable = ["systemctl", "enable", "--now", "docker.socket", "docker.service"]
        run_step("the engine could not be started", [*root, *enable], "journalctl -u docker")
        return
    # No systemd to keep it: a session of its own, so that it outlives this terminal, as a service would.
    shell = f"exec setsid -f dockerd >>{machine.daemon_log} 2>&1 </dev/null"
    run_step("the engine could not be started", [*root, "sh", "-c", shell], f"tail {machine.daemon_log}")


def _wait_for(machine: Machine, progress: Progress) -> Asked:
    deadline = time.monotonic() + machine.engine_start_s
    while True:
        asked = ask(machine.engine_address)
        if asked.answers:
            return asked
        if time.monotonic() > deadline:
            what = f"the engine at {machine.engine_address} was started but does not answer"
            mend = "journalctl -u docker" if machine.systemd.exists() else f"tail {machine.daemon_log}"
            raise SetupFailed(what, f"{asked.detail}\n{_last_words(machine)}", mend)
        progress(f"waiting for its answer: {asked.detail}")
        time.sleep(LOOK_EVERY_S)


def _last_words(machine: Machine) -> str:
    if machine.systemd.exists():
        return ""
    try:
        lines = machine.daemon_log.read_text("utf-8", "replace").strip().splitlines()
    except OSError as error:
        return str(error)
    return "\n".join(line[:300] for line in lines[-LAST_LINES:])


def _wait_for_socket(machine: Machine, progress: Progress) -> None:
    deadline = time.monotonic() + machine.engine_start_s
    while not machine.engine_socket.exists() and time.monotonic() < deadline:
        progress("waiting for its socket")
        time.sleep(LOOK_EVERY_S)


def _allow_user(machine: Machine, root: Sequence[str] | None, asked: Asked) -> None:
    """Give this user the right to the engine's socket, now and (with systemd) after each restart of it.

    tmpfiles.d would lose the right when docker.socket restarts; the drop-in does not.
    """
    user = user_name(machine)
    by_hand = f"sudo setfacl -m u:{user}:rw {machine.engine_socket}"
    if root is None:
        raise SetupFailed(
            f"{asked.address} answers, but not to {user}", "giving the right needs root, or sudo", by_hand
        )
    setfacl = find_program("setfacl")
    if setfacl is None:
        apt_install(machine, ["acl"], no_progress)
        setfacl = find_program("setfacl") or "/usr/bin/setfacl"
    if machine.systemd.exists():
        text = f"[Socket]\nExecStartPost={setfacl} -m u:{user}:rw {machine.engine_socket}\n"
        run_step("the drop-in could not be written", [*root, "mkdir", "-p", str(machine.socket_drop_ins)], by_hand)
        path = machine.socket_drop_ins / f"nightyard-{user}.conf"
        written = subprocess.run([*root, "tee", str(path)], input=text.encode(), capture_output=True, check=False)
        if written.returncode != 0:
            raise SetupFailed(f"{path} could not be written", written.stderr.decode("utf-8", "replace"), by_hand)
        run_step("systemd did not read the drop-in", [*root, "systemctl", "daemon-reload"], by_hand)
    allow = [*root, setfacl, "-m", f"u:{user}:rw", str(machine.engine_socket)]
    run_step("the right to the engine's socket could not be given", allow, by_hand)
