"""A Chromium that says what a test wants: answers commands by a table, and sends events."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

Answer = Callable[["ScriptedChromium", Mapping[str, Any]], Mapping[str, Any] | None]
"""Given the command's params; None: no answer."""


class ScriptedChromium:
    """One run; `commands` is what it was told, as (method, session)."""

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.end, self._own = socket.socketpair()
        self.answers: dict[str, Answer] = {
            "Target.setAutoAttach": lambda one, _: one.open_window("T1"),
            **(answers or {}),
        }
        self.commands: list[tuple[str, str]] = []
        self.told = threading.Condition()
        self.is_killed = False
        threading.Thread(target=self._obey, daemon=True).start()

    def kill(self) -> None:
        self.is_killed = True
        with suppress(OSError):
            self._own.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread waiting
        self._own.close()
        self.end.close()

    def open_window(self, name: str, opener: str = "") -> dict[str, Any]:
        info = {"targetId": name, "type": "page", "openerId": opener}
        self.send("Target.attachedToTarget", sessionId=f"S{name}", targetInfo=info)
        return {}

    def close_window(self, name: str) -> dict[str, Any]:
        self.send("Target.detachedFromTarget", sessionId=f"S{name}")
        return {}

    def send(self, method: str, session: str = "", /, **params: Any) -> None:
        self.write({"method": method, "sessionId": session, "params": params})

    def write(self, message: object) -> None:
        with suppress(OSError):
            self._own.sendall(json.dumps(message).encode() + b"\0")

    def write_raw(self, data: bytes) -> None:
        self._own.sendall(data)

    def hang_up(self) -> None:
        self._own.shutdown(socket.SHUT_RDWR)

    def was_told(self, method: str, session: str = "") -> None:
        """Wait until it was told something."""
        with self.told:
            assert self.told.wait_for(lambda: (method, session) in self.commands, 10), self.commands

    def _obey(self) -> None:
        buffer = b""
        with suppress(OSError):
            while piece := self._own.recv(65536):
                *whole, buffer = (buffer + piece).split(b"\0")
                for data in whole:
                    self._answer(json.loads(data))

    def _answer(self, command: Mapping[str, Any]) -> None:
        session, params = command.get("sessionId", ""), command["params"]
        result: Mapping[str, Any] | None = {}
        if answer := self.answers.get(command["method"]):
            result = answer(self, {**params, "session": session})
        elif command["method"] == "Target.closeTarget":
            result = self.close_window(params["targetId"])
        elif command["method"] == "Page.crash":
            self.send("Inspector.targetCrashed", session)
        elif command["method"] == "Page.createIsolatedWorld":
            result = {"executionContextId": 1}
        if result is not None:
            self.write({"id": command["id"], "sessionId": session, "result": result})
        with self.told:
            self.commands.append((command["method"], session))
            self.told.notify_all()
