"""`channel`: connect chat platforms."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from cli.channel_guides import GUIDES, PROMPTS, WHERE
from cli.pair import tell_code
from cli.place import ask, find_fork
from cli.problem import NOT_RUNNING, NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table
from protocol.ids import is_group_id
from runtime.settings_file import load_settings

PAIRING_S = 3600.0
"""A code is good for so long."""
LOOK_EVERY_S = 1.0


@click.group()
def channel() -> None:
    """Connect chat platforms."""


@channel.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs (docs/control.md).")
def list_channels(as_json: bool) -> None:
    """List the channels and how they are."""
    channels = ask("channel_list")["channels"]
    if as_json:
        click.echo(json.dumps({"channels": channels}, indent=2, ensure_ascii=False))
        return
    click.echo(table([[one["channel"], one["platform"], f"→ {one['group']}", one["health"]] for one in channels]))


@channel.group()
def add() -> None:
    """Connect an account on a platform."""


def _platform(platform: str, what: str) -> Callable[[], None]:
    """Return the verb that connects an account on a platform."""

    @add.command(platform, help=f"Connect {what}. What is asked for is not shown, or read from standard input.")
    @click.option("--name", default=platform, show_default=True, help="What to call this channel.")
    @click.option("--group", default="main", show_default=True, help="The agent that answers on it.")
    @click.option("--url", default="", metavar="URL", help="Another server than the platform's own, or a twin.")
    @click.option("--no-wait", is_flag=True, help="Do not wait for the first message.")
    def connect(name: str, group: str, url: str, no_wait: bool) -> None:
        _connect(platform, name, group, url, waits=not no_wait and sys.stdin.isatty())

    return connect


_platform("telegram", "a Telegram bot")
_platform("discord", "a Discord bot")
_platform("slack", "a Slack app")


@add.command()
@click.option("--name", default="hooks", show_default=True, help="What to call this channel.")
@click.option("--port", default=8742, show_default=True, type=click.IntRange(1, 65535), help="Of 127.0.0.1.")
def webhook(name: str, port: int) -> None:
    """Listen for signed requests of services elsewhere, on this machine only (docs/webhooks.md)."""
    _check_names(name)
    _refuse_known(name)
    address = f"http://127.0.0.1:{port}"
    edit_settings(find_fork(), name, {"platform": "webhook", "url": address})
    _reload()
    click.echo(f"Hooks of groups are posted to {address}/hooks/GROUP/HOOK. Name them under `hooks` in")
    click.echo("groups/GROUP/group.yaml; docs/webhooks.md shows how, and how to make just that path public.")


@channel.command()
@click.option("--name", default="Nightyard", show_default=True, help="What the app is called in Slack.")
def manifest(name: str) -> None:
    """Print the manifest of the Slack app, to be pasted where a new app is made from one."""
    from channels.slack.manifest import manifest as build_manifest

    click.echo(build_manifest(name))


@channel.command()
@click.argument("name")
def test(name: str) -> None:
    """Ask a channel's platform whose its token is, and the host how it is. Exit code 1 where not all is well."""
    from cli.channel_setup import test as test_channel

    states = {one["channel"]: one for one in ask("channel_list")["channels"]}
    if name not in states:
        known = ", ".join(states)
        raise CliProblem(f"there is no channel {name!r} (known: {clean_line(known)})", "./nightyard channel list")
    platform, health = states[name]["platform"], states[name]["health"]
    is_well = health == "ok"
    if platform in GUIDES:
        settings = load_settings(find_fork()).settings.channels[name]
        checked = test_channel(platform, name, settings.secret or "", settings.url)
        click.echo(f"{platform} knows the token: {clean_line(checked.bot)}")
        for fault in checked.faults:
            is_well = False
            click.echo(f"  ! {clean_line(fault)}")
    click.echo(f"the host says of {name}: {clean_line(health)}")
    if not is_well:
        sys.exit(1)


@channel.command()
@click.argument("name")
def remove(name: str) -> None:
    """Disconnect a channel and forget its token. Chats and their history stay in the store."""
    from cli.channel_setup import forget_secret, secret_of

    edit_settings(find_fork(), name, None)
    forget_secret(secret_of(name))
    try:
        ask("reload")
    except CliProblem as problem:
        if problem.exit_code != NOT_RUNNING:
            raise
    click.echo(f"The channel {clean_line(name)} is disconnected, and its token is out of the vault.")


def _connect(platform: str, name: str, group: str, url: str, *, waits: bool) -> None:
    """Explain, ask, check, store, and have the first person let in."""
    from cli.channel_setup import secret_of, set_up

    _check_names(name, group)
    if there := next((one for one in ask("channel_list")["channels"] if one["channel"] == name), None):
        _renew(platform, name, url, there)
        return
    ask("group_show", {"group": group})
    if sys.stdin.isatty():
        click.echo(f"{GUIDES[platform]}\n")
    checked = set_up(platform, secret_of(name), _read_token(platform), url, _others(platform, name))
    settings = {"platform": platform, "group": group, "secret": secret_of(name), **({"url": url} if url else {})}
    edit_settings(find_fork(), name, settings)
    click.echo(f"{clean_line(checked.bot)} is connected as the channel {name}; {group} answers there.")
    for fault in checked.faults:
        click.echo(f"  ! {clean_line(fault)}")
    for number, step in enumerate(checked.next_steps, 1):
        click.echo(f"  {number}. {clean_line(step)}")
    _reload()
    known = _people_on(name)
    tell_code(ask("pair", {"group": group, "channel": name}))
    if waits:
        _wait_for_somebody(name, known)


def _renew(platform: str, name: str, url: str, there: Mapping[str, str]) -> None:
    """Put another token in the place of a channel's; its settings, people and chats stay as they are."""
    from cli.channel_setup import secret_of, set_up

    settings = load_settings(find_fork()).settings.channels.get(name)
    if settings is None or there["platform"] != platform or (url and url != settings.url):
        raise _taken(name)
    if sys.stdin.isatty():
        click.echo(f"The channel {name} is there already: what you give takes the place of its token.")
        click.echo(f"{WHERE[platform]}\n")
    token = _read_token(platform)
    checked = set_up(platform, settings.secret or secret_of(name), token, settings.url, _others(platform, name))
    click.echo(f"{clean_line(checked.bot)} has a new token in the channel {name}; it is taken up within a minute.")
    for fault in checked.faults:
        click.echo(f"  ! {clean_line(fault)}")


def _others(platform: str, name: str) -> dict[str, str]:
    """Return the other channels of a platform, each with the name of its secret."""
    channels = load_settings(find_fork()).settings.channels
    return {
        other: settings.secret
        for other, settings in channels.items()
        if other != name and (settings.platform or other) == platform and settings.secret
    }


def _wait_for_somebody(name: str, known: frozenset[str]) -> None:
    """Return when somebody has paired on a channel; ending it with Ctrl-C leaves the code good."""
    click.echo("\nWaiting for your message (Ctrl-C: the code stays good for its hour) …")
    ends_at = time.monotonic() + PAIRING_S
    try:
        while not (new := _people_on(name) - known):
            if time.monotonic() > ends_at:
                click.echo("Nobody wrote within the hour: ./nightyard pair makes a new code.")
                return
            time.sleep(LOOK_EVERY_S)
    except KeyboardInterrupt:
        click.echo("\nNot waiting any more. ./nightyard person list shows who has paired.")
        return
    click.echo(f"Paired: {', '.join(sorted(map(clean_line, new)))}. Say something there.")


def _people_on(name: str) -> frozenset[str]:
    ids = (each for one in ask("person_list")["people"] for each in (one["person"], *one["identities"]))
    return frozenset(each for each in ids if each.startswith(f"{name}:"))


def _check_names(name: str, group: str = "main") -> None:
    for given, what in ((name, "channel"), (group, "agent")):
        if not is_group_id(given):
            text = f"{clean_line(given)!r} cannot be a {what}'s name: 1-32 of a-z, 0-9 and inner hyphens"
            raise CliProblem(text, "./nightyard channel add --help", NOT_UNDERSTOOD)


def _reload() -> None:
    for problem in ask("reload")["problems"]:
        click.echo(clean_line(problem))


def _read_token(platform: str) -> str:
    """Return what is typed without echo, or as many lines of a standard input that is no terminal."""
    from cli.vault_link import type_hidden

    parts = []
    for what in PROMPTS[platform]:
        typed = type_hidden(f"{what} (not shown): ")
        parts.append(sys.stdin.readline().strip() if typed is None else typed)
    token = " ".join(part for part in parts if part)
    if not token:
        raise CliProblem("no token was given", WHERE[platform], NOT_UNDERSTOOD)
    return token


def _refuse_known(name: str) -> None:
    """Find out before anything is stored whether this name is taken."""
    if any(one["channel"] == name for one in ask("channel_list")["channels"]):
        raise _taken(name)


def _taken(name: str) -> CliProblem:
    text = f"there is a channel {name!r} already"
    return CliProblem(text, f"./nightyard channel remove {name}, or give this one another --name")


def edit_settings(fork: Path, name: str, settings: dict[str, str] | None) -> None:
    """Add a channel to nightyard.yaml, or take it out; the file is replaced as a whole or not at all."""
    from cli.settings_edit import CannotEdit, add_channel, remove_channel
    from runtime.config import SETTINGS_FILE, parse_settings

    path = fork / SETTINGS_FILE
    text = path.read_text("utf-8") if path.exists() else ""
    mend = f"edit `channels` in {path} by hand, then: ./nightyard config reload"
    try:
        changed = remove_channel(text, name) if settings is None else add_channel(text, name, settings)
    except CannotEdit as error:
        raise CliProblem(f"{path} was not changed: {error}", mend) from error
    known = {(problem.key, problem.message) for problem in parse_settings(text).problems}
    new = [problem for problem in parse_settings(changed).problems if (problem.key, problem.message) not in known]
    if new:
        raise CliProblem(f"{path} was not changed: it would say {new[0]}", mend)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(changed, "utf-8")
    if path.exists():
        fresh.chmod(path.stat().st_mode & 0o777)
    fresh.replace(path)
