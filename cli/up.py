"""`up` and `down`: the whole set-up in one verb that may be given again at any time, and its end.

`bring_up.py` takes the steps; `up_rehearse.py` plays the product against a platform's twin.
"""

from __future__ import annotations

import fcntl
import select
import struct
import sys
import termios

import click

from cli.bring_up import UpOptions, bring_up, one_at_a_time
from cli.place import find_fork, find_home
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.up_progress import step

PIPED_WAIT_S = 1.0
"""Somebody who pipes lines has them ready; a pipe that stays silent so long is just an inherited one."""


@click.command()
@click.option("--yes", is_flag=True, help="Ask nothing; without a terminal this is the default.")
@click.option("--model", metavar="ROUTE/MODEL", help="Who answers: anthropic/…, openai/…, ollama/…, rehearsal/guide.")
@click.option(
    "--rehearse",
    "rehearse_with",
    metavar="PLATFORMS",
    help="Play against twins (telegram,discord,slack), in a home apart.",
)
@click.option("--no-chat", is_flag=True, help="Start everything, open no chat.")
def up(yes: bool, model: str | None, rehearse_with: str | None, no_chat: bool) -> None:
    """Set up what is missing, start everything, open a chat.

    Safe to give again at any time: what is there is kept, what runs goes on. Lines piped in are sent as messages.
    """
    on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    options = UpOptions(yes=yes, model=model, opens_chat=on_terminal and not no_chat and not rehearse_with)
    if rehearse_with:
        from cli.up_rehearse import parse_platforms, rehearse

        try:
            platforms = parse_platforms(rehearse_with)
        except ValueError as error:
            raise CliProblem(str(error), "./nightyard up --rehearse telegram,discord,slack", NOT_UNDERSTOOD) from error
        rehearse(platforms, options)
        return
    home, fork = find_home(), find_fork()
    bring_up(home, fork, options)
    if no_chat or not _has_someone_to_talk_to():
        click.echo("\n  chat: ./nightyard chat   state: ./nightyard status   end: ./nightyard down", err=True)
        return
    from cli.chat import chat

    chat.main(args=[], standalone_mode=False)


@click.command()
@click.option("--now", is_flag=True, help="Stop agents at once instead of letting them finish.")
def down(now: bool) -> None:
    """End agents, host and proxy, in two steps; never the container engine.

    Works with what is left, too: processes whose supervisor or host has died.
    """
    from cli.up_leftovers import remove_containers
    from cli.up_services import stop_services

    home = find_home()
    if not home.path.is_dir():
        click.echo(f"Nothing to end: there is no home at {home.path}.")
        return
    with one_at_a_time(home):
        with step("ending agents, host and proxy") as progress:
            ran = stop_services(home, now=now, progress=progress)
        removed = remove_containers(home)
    click.echo("Down." if ran else "Nothing was running.")
    if removed:
        click.echo(f"Containers that their host had left: {removed}, removed.")


def _has_someone_to_talk_to() -> bool:
    """A terminal, or lines that are piped in. An empty or silent standard input is neither."""
    if sys.stdin is None or sys.stdin.closed:
        return False
    if sys.stdin.isatty():
        return sys.stdout.isatty()
    try:
        descriptor = sys.stdin.fileno()
        select.select([descriptor], [], [], PIPED_WAIT_S)
        # Counted, not read: what is read here would be missing from the chat.
        (waiting,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))
        return int(waiting) > 0
    except (OSError, ValueError):
        return False
