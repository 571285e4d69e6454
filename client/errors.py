"""What may go wrong when the host is asked something. Pure."""

from __future__ import annotations

from pathlib import Path

NOT_JSON = "this holds bytes that are no UTF-8 text, half a character, or a number that JSON does not have"
"""What is said of something that no frame can hold."""


class ControlError(Exception):
    """The host could not be asked, or said no. `mend` is the one command that helps, or nothing."""

    mend = ""


class HostNotRunning(ControlError):
    """Nobody answers on the control socket."""

    mend = "./nightyard up"

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"the host is not running: {self.path} {self.detail}"


class HostUnreadable(ControlError):
    """The control socket is answered, but not in our protocol, or not to the end."""

    mend = "./nightyard down && ./nightyard up"

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(path, detail)
        self.path = path
        self.detail = detail

    def __str__(self) -> str:
        return f"the host's answer on {self.path} cannot be understood: {self.detail}"


class HostSilent(ControlError):
    """The host took the question and did not answer in time."""

    mend = "./nightyard logs host"

    def __init__(self, verb: str, timeout_s: float) -> None:
        super().__init__(verb, timeout_s)
        self.verb = verb
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"the host did not answer to {self.verb} within {self.timeout_s:g} s"


class Refused(ControlError):
    """The host understood, and said no."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(code, message, mend)
        self.code = code
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        return self.message
