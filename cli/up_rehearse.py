"""`up --rehearse telegram`: the whole product against Telegram's twin, in a home of its own, with you as the phone.

The twin is a process of its own on loopback and knows nothing of us; it is spoken to over its user's side (HTTP), as a
test would. The real home, its fork and its tokens are never touched: everything is in `<home>-rehearsal`.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import click

from cli.bring_up import UpOptions, bring_up
from cli.place import find_home
from cli.screen import clean
from cli.up_home import make_home
from cli.up_progress import SetupFailed, no_progress, step
from cli.up_services import stop_services
from client.blocking import request
from client.errors import ControlError
from credproxy.admin_client.link import ProxyError, connect
from runtime.config import SETTINGS_FILE
from runtime.home import Home

CHANNEL = "telegram"
SECRET = "telegram-rehearsal"
LOOK_S = 20.0
ANSWER_TIMEOUT_S = 120.0
CALL_TIMEOUT_S = 30.0
TWIN_STARTS_S = 15.0
SETTINGS = """\
# Made by `nightyard up --rehearse telegram`, anew each time; the real settings are elsewhere and untouched.
model: rehearsal/guide
channels:
  telegram:
    secret: {secret}
    url: {url}
"""


class Phone:
    """The user's side of the twin: what a person types and sees."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc
        self.last_seen = 0

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the twin's answer; raise SetupFailed. Any: it is the twin's JSON."""
        connection = http.client.HTTPConnection(self._host, timeout=LOOK_S + CALL_TIMEOUT_S)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            mend = "./nightyard up --rehearse telegram"
            raise SetupFailed("the Telegram twin does not answer", str(error) or type(error).__name__, mend) from error
        finally:
            connection.close()
        if response.status != 200:
            raise SetupFailed("the Telegram twin refused", json.dumps(answer)[:300], "see twins/telegram/user_side.py")
        return dict(answer)

    def type(self, text: str) -> None:
        """Type, or press: `!Label` presses the newest button of that name."""
        if text.startswith("!"):
            self.ask("POST", "/twin/press", {"label": text[1:].strip()})
        else:
            self.ask("POST", "/twin/type", {"text": text})

    def look(self, wait_s: float) -> tuple[list[dict[str, Any]], bool]:
        """Return what the bot said since the last look, and whether it is typing."""
        seen = self.ask("GET", f"/twin/chat?{urlencode({'after': self.last_seen, 'wait_s': wait_s})}")
        messages = [message["raw"] for message in seen["messages"] if message["is_bot"]]
        if seen["messages"]:
            self.last_seen = max(int(message["id"]) for message in seen["messages"])
        return messages, bool(seen["typing"])


def rehearse_telegram(options: UpOptions) -> None:
    """Play until the end of the input or Ctrl-C; then everything that was started is stopped."""
    home = _rehearsal_home()
    make_home(home)
    fork = home.path / "fork"
    with _twin(home) as phone, _ended_after(home):
        fork.mkdir(exist_ok=True)
        settings = SETTINGS.format(secret=SECRET, url=phone[0])
        (fork / SETTINGS_FILE).write_text(settings, "utf-8")
        bring_up(home, fork, options)
        with step("connecting the twin and pairing you"):
            _connect(home, phone[1])
        _play(phone[1])


def _rehearsal_home() -> Home:
    real = find_home().path
    return Home(real.with_name(f"{real.name}-rehearsal"))


@contextlib.contextmanager
def _twin(home: Home) -> Iterator[tuple[str, Phone]]:
    """Run the twin; its address and its user's side."""
    with (home.logs / "twin.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "twins.telegram", "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert process.stdout is not None  # a pipe, as asked above
    try:
        address = process.stdout.readline().decode().strip()
        if not address:
            why = (home.logs / "twin.log").read_text("utf-8", "replace")[-500:]
            raise SetupFailed("the Telegram twin did not start", why, "./nightyard twin telegram")
        yield address, Phone(address)
    finally:
        process.terminate()
        process.wait(TWIN_STARTS_S)
        process.stdout.close()


@contextlib.contextmanager
def _ended_after(home: Home) -> Iterator[None]:
    stop_services(home, now=True, progress=no_progress)
    try:
        yield
    finally:
        with step("ending the rehearsal") as progress:
            stop_services(home, now=True, progress=progress)


def _connect(home: Home, phone: Phone) -> None:
    """Give the proxy the twin's token, have the host start the channel, and pair the person on the phone."""
    mend = f"NIGHTYARD_HOME={home.path} ./nightyard logs host"
    try:
        asyncio.run(_store_token(home, str(phone.ask("GET", "/twin/world")["token"])))
        request(home.control_socket, "reload")
        answer = request(home.control_socket, "pair", {"channel": CHANNEL})
    except (ProxyError, ControlError) as error:
        raise SetupFailed("the rehearsal could not be set up", str(error), mend) from error
    phone.look(0)
    phone.type(str(answer["code"]) if isinstance(answer, dict) else "")
    if not _wait_for_answer(phone):
        raise SetupFailed("the bot did not answer the pairing code", "see the host's log", mend)


async def _store_token(home: Home, token: str) -> None:
    async with connect(home.proxy_socket) as admin:
        await admin.secret_add(SECRET, token, "channel", replace=True)


def _play(phone: Phone) -> None:
    print("\nTELEGRAM REHEARSAL: you are Ada, on a phone, in a chat with @rehearsal_bot. Nothing leaves this machine.")
    if not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                print(f"Ada: {clean(line.rstrip())}")
                phone.type(line.rstrip("\n"))
                _wait_for_answer(phone)
        return
    print("Type as she would. !Label presses a button. Ctrl-D ends the rehearsal.\n")
    watching = threading.Thread(target=_watch, args=(phone,), name="phone", daemon=True)
    watching.start()
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            text = input()
            if text.strip():
                phone.type(text)
    print()


def _watch(phone: Phone) -> None:
    """Show what the bot says, until the twin is gone."""
    with contextlib.suppress(SetupFailed):
        while True:
            _show(phone.look(LOOK_S)[0])


def _wait_for_answer(phone: Phone) -> bool:
    """Show what the bot says until it has said something and types no more; False if it says nothing."""
    deadline, heard = time.monotonic() + ANSWER_TIMEOUT_S, False
    while time.monotonic() < deadline:
        messages, typing = phone.look(1.0)
        _show(messages)
        heard = heard or bool(messages)
        if heard and not messages and not typing:
            return True
    click.echo("  (the bot said nothing)" if not heard else "", err=True)
    return heard


def _show(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        text = message.get("text") or message.get("caption") or ""
        name = message.get("document", {}).get("file_name") or ("photo" if "photo" in message else "")
        print(f"bot: {clean(str(text))}{f' [file: {clean(str(name))}]' if name else ''}", flush=True)
        for row in message.get("reply_markup", {}).get("inline_keyboard", []):
            print("     " + "  ".join(f"[{clean(str(button['text']))}]" for button in row), flush=True)
