"""The user's side of a platform's twin, as `up --rehearse` plays it: what a person types, presses and sees.

Spoken to over HTTP as a test would, by what all twins have in common (`twins/phone/__init__.py` says what that is).
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from cli.up_progress import SetupFailed

LOOK_S = 20.0
CALL_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 120.0


class TwinRefused(SetupFailed):
    """The person cannot do this there: press a button that is not there, type where they are not. The rest goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message of the bot's, as a person sees it."""

    text: str
    buttons: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Phone:
    """A person in a direct chat with the bot, on one platform."""

    def __init__(self, platform: str, address: str, authority: str = "") -> None:
        """`authority`: the file of the certificate authority that a twin with TLS has."""
        self.platform = platform
        self.address = address
        self._host = urlsplit(address).netloc
        self._tls = ssl.create_default_context(cafile=authority) if address.startswith("https:") else None
        self._seen: set[str] = set()
        self._last: object = 0
        self._chat: dict[str, Any] = {}
        self.name = ""
        self.world: Mapping[str, Any] = {}

    def open(self) -> None:
        """Look who is there, and take up the first direct chat; raise SetupFailed."""
        self.world = self._ask("GET", "/twin/world")
        self._chat = next(chat for chat in self.world["chats"] if chat["kind"] == "direct")
        self.name = str(self._chat["name"])
        self.look(0)

    @property
    def page(self) -> str:
        """The address of the phone's page, for a browser."""
        return str(self.world.get("phone") or f"{self.address}/twin/phone")

    def type(self, text: str) -> None:
        """Type, or press: `!Label` presses the newest button of that name. Raise TwinRefused where that cannot be."""
        person = self._chat["people"][0]
        where = {"chat": self._chat["id"], "person": person}
        if text.startswith("!"):
            self._ask("POST", "/twin/press", {**where, "label": text[1:].strip()})
        else:
            self._ask("POST", "/twin/type", {**where, "text": text})

    def look(self, wait_s: float) -> tuple[Sequence[Said], bool]:
        """Return what the bot said since the last look, and whether it is typing."""
        person = self._chat["people"][0]
        query = {"chat": self._chat["id"], "person": person, "wait_s": wait_s}
        if self._seen:
            query["after"] = self._last
        answer = self._ask("GET", f"/twin/chat?{urlencode(query)}")
        fresh = [message for message in answer["messages"] if str(message["id"]) not in self._seen]
        for message in answer["messages"]:
            self._seen.add(str(message["id"]))
            self._last = message["id"]
        return [_said(message) for message in fresh if message["is_bot"]], bool(answer["typing"])

    def answers(self, shown: Callable[[Said], None]) -> bool:
        """Give `shown` what the bot says, until it has said something and types no more; False if it says nothing."""
        deadline, heard = time.monotonic() + ANSWER_TIMEOUT_S, False
        while time.monotonic() < deadline:
            said, is_typing = self.look(1.0)
            for each in said:
                shown(each)
            heard = heard or bool(said)
            if heard and not said and not is_typing:
                return True
        return heard

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the twin's answer; raise SetupFailed. Any: it is the twin's JSON."""
        timeout = LOOK_S + CALL_TIMEOUT_S
        connection = (
            http.client.HTTPConnection(self._host, timeout=timeout)
            if self._tls is None
            else http.client.HTTPSConnection(self._host, timeout=timeout, context=self._tls)
        )
        named = f"the twin of {self.platform.capitalize()}"
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            mend = f"./nightyard up --rehearse {self.platform}"
            raise SetupFailed(f"{named} does not answer", str(error) or type(error).__name__, mend) from error
        finally:
            connection.close()
        if response.status != 200:
            raise TwinRefused(f"{named} refused", _reason(answer), f"see docs/{self.platform}.md")
        return dict(answer)


def _reason(answer: Mapping[str, Any]) -> str:
    """Return why, out of an error in a twin's own shape."""
    words = next((answer[key] for key in ("description", "error", "message") if answer.get(key)), "")
    return str(words).removeprefix("Bad Request: ").removeprefix("the request lacks something or has it wrong: ")


def _said(message: Mapping[str, Any]) -> Said:
    return Said(
        text=str(message["text"]),
        buttons=tuple(str(button["label"]) for button in message["buttons"]),
        files=tuple(str(file["name"]) for file in message["files"]),
    )
