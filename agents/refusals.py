"""What the proxy refused the agent's tools, for the model to read. Pure.

Most tools show nothing of the answer to a CONNECT but its number, and it is there that most refusals happen: who, why,
and what the owner would grant it with, would be lost. The forwarder sees that answer in clear and notes it here; the
shell's tool adds it to the output of the command that was running.
"""

from __future__ import annotations

import json
import re
from collections import deque

from protocol.record import Record

MAX_KEPT = 8
_MARK = b"\r\nx-nightyard: "
_CODE = re.compile(rb"\r\nx-nightyard: ([a-z0-9_]{1,60})\r\n")


class Refusal(Record):
    """One refusal."""

    message: str
    """Who was refused what, in a sentence."""
    advice: str
    """What would help, if anything would."""
    code: str = ""
    """The proxy's own word for it."""


class Refusals:
    """The newest refusals that nobody has been told; noted by one thread, taken by another."""

    def __init__(self) -> None:
        self._kept: deque[Refusal] = deque(maxlen=MAX_KEPT)

    def note(self, answer: bytes) -> None:
        """Look at the first bytes that a connection got from the proxy; most are no refusal."""
        refusal = read_refusal(answer) if _MARK in answer else None
        if refusal is not None and refusal not in self._kept:
            self._kept.append(refusal)

    def take(self) -> tuple[Refusal, ...]:
        """Return what has been noted since the last time."""
        taken = []
        while self._kept:
            taken.append(self._kept.popleft())
        return tuple(taken)


def read_refusal(answer: bytes) -> Refusal | None:
    """Return what a refusal of the proxy's says, None for what is none.

    Only the proxy itself sends the header by which it is known; from what others answer it is taken out.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    code = _CODE.search(head + b"\r\n")
    if code is None or not head.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")):
        return None
    try:
        error = json.loads(body)["error"]
        message, grant_with, may_retry = str(error["message"]), str(error["grant_with"]), error["retry"] is True
    except (ValueError, KeyError, TypeError):
        return Refusal(
            message=f"The proxy refused a connection: {code[1].decode()}.", advice=""
        )  # the rest comes later
    advice = "Trying again may help." if may_retry else "Trying again does not help."
    helps = f"The owner would allow it with: {grant_with}. {advice}" if grant_with else advice
    return Refusal(message=message, advice=helps, code=code[1].decode())


def add_refusals(output: str, refusals: tuple[Refusal, ...]) -> str:
    """Return a command's output with what the proxy refused it, where the command has not shown that itself."""
    untold = [f"[{one.message} {one.advice}".rstrip() + "]" for one in refusals if one.message not in output]
    return "\n".join([output, *untold]).lstrip() if untold else output
