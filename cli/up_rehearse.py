"""`up --rehearse telegram,discord,slack`: the whole product against the platforms' twins, in a home of its own, with
you as the person on each.

A twin is a process of its own on loopback and knows nothing of us; `rehearsal_phone.py` is its user's side. The real
home, its fork and its tokens are never touched: everything is in `<home>-rehearsal`.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import click

from cli.bring_up import UpOptions, bring_up
from cli.place import find_home
from cli.rehearsal_phone import LOOK_S, Phone, Said, TwinRefused
from cli.screen import clean
from cli.up_home import make_home
from cli.up_progress import SetupFailed, no_progress, step
from cli.up_services import stop_services
from client.blocking import request
from client.errors import ControlError
from credproxy.admin_client.link import ProxyError, connect
from runtime.config import SETTINGS_FILE
from runtime.home import Home

PLATFORMS = ("telegram", "discord", "slack")
TWIN_ENDS_S = 15.0
CONNECT_S = 60.0
LOOK_EVERY_S = 0.1
HEAD = """\
# Made by `nightyard up --rehearse`, anew each time; the real settings are elsewhere and untouched.
model: rehearsal/guide
"""
ENTRY = """\
  {platform}:
    secret: {platform}-rehearsal
    url: {url}
"""


def parse_platforms(text: str) -> tuple[str, ...]:
    """Return the platforms that a list with commas names; raise ValueError with a word for people."""
    named = [each.strip().lower() for each in text.split(",") if each.strip()]
    unknown = [each for each in named if each not in PLATFORMS]
    if unknown or not named:
        what = f"there is no twin to rehearse {', '.join(unknown)} with" if unknown else "no platform is named"
        raise ValueError(f"{what}; there is {', '.join(PLATFORMS)}")
    return tuple(dict.fromkeys(named))


def rehearse(platforms: Sequence[str], options: UpOptions) -> None:
    """Play until the end of the input or Ctrl-C; then everything that was started is stopped."""
    home = _rehearsal_home()
    make_home(home)
    fork = home.path / "fork"
    with contextlib.ExitStack() as open_ones:
        phones = {platform: open_ones.enter_context(_twin(home, platform)) for platform in platforms}
        open_ones.enter_context(_ended_after(home))
        fork.mkdir(exist_ok=True)
        (fork / SETTINGS_FILE).write_text(HEAD, "utf-8")
        bring_up(home, fork, options)
        entries = [ENTRY.format(platform=name, url=url) for name, (url, _) in phones.items()]
        with step("connecting the twins"):
            _connect(home, [phone for _, phone in phones.values()], fork, f"{HEAD}channels:\n{''.join(entries)}")
        for platform, (_, phone) in phones.items():
            with step(f"pairing you on {platform.capitalize()}"):
                _pair(home, phone)
        _play({platform: phone for platform, (_, phone) in phones.items()})


def _rehearsal_home() -> Home:
    real = find_home().path
    return Home(real.with_name(f"{real.name}-rehearsal"))


@contextlib.contextmanager
def _twin(home: Home, platform: str) -> Iterator[tuple[str, Phone]]:
    """Run a platform's twin; the url of its channel, and its user's side."""
    folder = home.run / f"twin-{platform}"
    command = [sys.executable, "-P", "-m", f"twins.{platform}", "--port", "0"]
    if platform == "discord":
        folder.mkdir(exist_ok=True)
        command += ["--directory", str(folder)]
    noted = home.logs / f"twin-{platform}.log"
    with noted.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert process.stdout is not None  # a pipe, as asked above
    try:
        address = process.stdout.readline().decode().strip()
        if not address:
            why = noted.read_text("utf-8", "replace")[-500:]
            mend = f"./nightyard twin {platform}"
            raise SetupFailed(f"the twin of {platform.capitalize()} did not start", why, mend)
        authority = str(folder / "ca.pem") if platform == "discord" else ""
        phone = Phone(platform, address, authority)
        phone.open()
        yield (f'"{address}#{authority}"' if authority else address), phone
    finally:
        process.terminate()
        process.wait(TWIN_ENDS_S)
        process.stdout.close()


@contextlib.contextmanager
def _ended_after(home: Home) -> Iterator[None]:
    stop_services(home, now=True, progress=no_progress)
    try:
        yield
    finally:
        with step("ending the rehearsal") as progress:
            stop_services(home, now=True, progress=progress)


def _connect(home: Home, phones: Sequence[Phone], fork: Path, settings: str) -> None:
    """Give the proxy the twins' tokens, have the host start the channels; return when all are connected."""
    try:
        for phone in phones:
            tokens = [str(phone.world[key]) for key in ("token", "app_token") if key in phone.world]
            asyncio.run(_store_token(home, f"{phone.platform}-rehearsal", " ".join(tokens)))
        (fork / SETTINGS_FILE).write_text(settings, "utf-8")
        request(home.control_socket, "reload")
        deadline = time.monotonic() + CONNECT_S
        while waiting := _not_connected(home):
            if time.monotonic() > deadline:
                raise SetupFailed("not every twin was connected", "; ".join(waiting), _look_at_the_log(home))
            time.sleep(LOOK_EVERY_S)
    except (ProxyError, ControlError) as error:
        raise SetupFailed("the rehearsal could not be set up", str(error), _look_at_the_log(home)) from error


def _not_connected(home: Home) -> list[str]:
    """Return the channels that are not well yet, each with its own word."""
    answer = request(home.control_socket, "channel_list")
    channels = answer["channels"] if isinstance(answer, dict) else []
    return [f"{one['channel']}: {one['health']}" for one in channels if one["health"] != "ok"]


def _pair(home: Home, phone: Phone) -> None:
    try:
        answer = request(home.control_socket, "pair", {"channel": phone.platform})
    except ControlError as error:
        raise SetupFailed("no pairing code could be made", str(error), _look_at_the_log(home)) from error
    phone.type(str(answer["code"]) if isinstance(answer, dict) else "")
    if not phone.answers(_shower(phone.platform)):
        what = f"the bot on {phone.platform} did not answer the pairing code"
        raise SetupFailed(what, "see the host's log", _look_at_the_log(home))


def _look_at_the_log(home: Home) -> str:
    return f"NIGHTYARD_HOME={home.path} ./nightyard logs host"


async def _store_token(home: Home, name: str, token: str) -> None:
    async with connect(home.proxy_socket) as admin:
        await admin.secret_add(name, token, "channel", replace=True)


def _play(phones: Mapping[str, Phone]) -> None:
    named = ", ".join(platform.upper() for platform in phones)
    print(f"\n{named} REHEARSAL: nothing leaves this machine. You are")
    for platform, phone in phones.items():
        print(f"  {phone.name} on {platform.capitalize()}, in a chat with the bot (phone: {phone.page})")
    if not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                _say_everywhere(phones, line.rstrip("\n"))
        return
    _play_on_terminal(phones)


def _say_everywhere(phones: Mapping[str, Phone], line: str) -> None:
    """Have a line from a pipe said on the platform that it names, or on each in turn."""
    for platform in _addressed(phones, line) or tuple(phones):
        text = _without_address(line, platform)
        print(f"{phones[platform].name} on {platform}: {clean(text)}")
        if _type(phones[platform], text) and not phones[platform].answers(_shower(platform)):
            click.echo("  (the bot said nothing)", err=True)


def _type(phone: Phone, text: str) -> bool:
    """Type or press; where that cannot be, say why and return False."""
    try:
        phone.type(text)
    except TwinRefused as refused:
        click.echo(f"  ({clean(refused.why)})", err=True)
        return False
    return True


def _play_on_terminal(phones: Mapping[str, Phone]) -> None:
    print("Type as they would. !Label presses a button. Ctrl-D ends the rehearsal.")
    if len(phones) > 1:
        print("`slack: hello` says hello on Slack; what follows goes there too, until you name another.")
    print()
    for phone in phones.values():
        threading.Thread(target=_watch, args=(phone,), name=phone.platform, daemon=True).start()
    current = next(iter(phones))
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            line = input()
            current = next(iter(_addressed(phones, line)), current)
            text = _without_address(line, current)
            if text.strip():
                _type(phones[current], text)
    print()


def _addressed(phones: Mapping[str, Phone], line: str) -> tuple[str, ...]:
    return tuple(platform for platform in phones if line.lower().startswith(f"{platform}:"))


def _without_address(line: str, platform: str) -> str:
    return line[len(platform) + 1 :].strip() if line.lower().startswith(f"{platform}:") else line


def _watch(phone: Phone) -> None:
    """Show what the bot says, until the twin is gone."""
    show = _shower(phone.platform)
    with contextlib.suppress(SetupFailed):
        while True:
            for said in phone.look(LOOK_S)[0]:
                show(said)


def _shower(platform: str) -> Callable[[Said], None]:
    """Return what prints the bot's words on a platform."""

    def show(said: Said) -> None:
        files = "".join(f" [file: {clean(name)}]" for name in said.files)
        print(f"bot on {platform}: {clean(said.text)}{files}", flush=True)
        if said.buttons:
            print("     " + "  ".join(f"[{clean(label)}]" for label in said.buttons), flush=True)

    return show
