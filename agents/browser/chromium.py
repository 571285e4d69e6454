"""Chromium's process: started with the other end of a socket, killed with everything that it has started.

A socket and no pair of pipes: what stands open in a process of the same user, others can open again by /proc, but no
socket.
"""

# ruff: noqa: PTH103
# Without pathlib: tools/opened_file.py says why.

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress

from agents.browser.command import build_command, build_environment, build_trust_commands
from agents.tools.tool import ToolError

_TRUST_TIMEOUT_S = 20


class Chromium:
    """One run of the browser; `end` is our end of its socket."""

    def __init__(self, program: str, folder: str, proxy_port: int, authority: str) -> None:
        """Start it in a fresh folder; raise ToolError. `authority`: the file of the one that signs what comes."""
        shutil.rmtree(folder, ignore_errors=True)
        environment = build_environment(folder)
        try:
            os.makedirs(f"{folder}/.pki/nssdb")
            if authority:
                _trust(folder, authority, environment)
            self.end, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    build_command(program, folder, proxy_port, theirs.fileno()),
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError as error:
            raise ToolError(f"the browser could not be started: {error.strerror or error}") from error

    def kill(self) -> None:
        """End it and its children, which are all of its process group: there is no zygote."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _trust(folder: str, authority: str, environment: dict[str, str]) -> None:
    for command in build_trust_commands(folder, authority):
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TRUST_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError("the browser could not be started: certutil did not end") from error
        if done.returncode:
            raise ToolError(f"the browser could not be started: {done.stdout.decode('utf-8', 'replace')[:300]}")
