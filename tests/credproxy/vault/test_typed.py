"""`nightyard secret add` at a terminal: what is asked, and that no value appears on the screen."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
from pathlib import Path

from credproxy.admin_client.secrets import show_secret
from tests.credproxy.process import ROOT, ProxyProcess

VALUE = "canary-typed-0123456789"


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, process: ProxyProcess, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.screen = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env={**os.environ, **process.environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def wait_for(self, text: str) -> None:
        """Read what is shown until the text is."""
        while text not in self.screen:
            ready, _, _ = select.select([self._ours], [], [], 20)
            assert ready, f"{text!r} did not come: {self.screen!r}"
            self.screen += os.read(self._ours, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self._ours, f"{text}\n".encode())

    def end(self) -> int:
        code = self.process.wait(20)
        os.close(self._ours)
        return code


def test_values_are_asked_for_without_echo(short_folder: Path) -> None:
    """A key is asked for hidden; of several parts the public one is shown while it is typed, the others are not."""
    with ProxyProcess(short_folder).started() as process:
        one = Terminal(process, "secret", "add", "one")
        one.wait_for("Value of one (it is not shown): ")
        one.type(VALUE)
        one.wait_for("one is in the vault")
        assert one.end() == 0
        aws = Terminal(process, "secret", "add", "cloud", "--type", "aws")
        aws.wait_for("The access key's id of cloud: ")
        aws.type("AKIAEXAMPLE")
        aws.wait_for("The secret access key of cloud (it is not shown): ")
        aws.type(VALUE)
        aws.wait_for("The session token of cloud (it is not shown), or nothing: ")
        aws.type("")
        aws.wait_for("cloud is in the vault")
        assert aws.end() == 0
        (value,) = asyncio.run(process.ask(lambda admin: show_secret(admin, "cloud"))).values
        assert process.spilled(VALUE.encode()) == []
    assert "AKIAEXAMPLE" in aws.screen
    assert VALUE not in one.screen + aws.screen
    assert [part.name for part in value.parts if part.is_there] == ["access_key_id", "secret_access_key"]
