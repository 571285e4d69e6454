"""`nightyard token`: let a tool on this machine go through the credential proxy for a while, as a group's agent does.

A token is told once, to standard output, as lines that a shell can read; `token run` tells it to nobody but the command
that it starts, and revokes it when that ends. The door that takes tokens is open only where the settings name a port.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import click

from cli.place import find_fork, find_home
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table
from cli.vault_link import ask_proxy
from credproxy.admin_client.injection import placeholder_variables
from credproxy.admin_client.tokens import KnownToken, NewToken, add_token, list_tokens, revoke_token
from protocol.ids import GroupId
from protocol.task import Effects
from runtime.client_environment import OTHER_KEYS, build_client_environment, build_model_environment, with_placeholders
from runtime.config import task_limits
from runtime.group import Group
from runtime.group_reading import load_group
from runtime.settings_file import group_names, load_settings

USUAL = "1h"
SECONDS = {"s": 1, "m": 60, "h": 3600}
SHORTEST_S, LONGEST_S = 60, 24 * 3600
CANNOT_START = 127

effects_option = click.option(
    "--effects",
    type=click.Choice([effects.value for effects in Effects]),
    default=Effects.LIVE.value,
    show_default=True,
    help="What its calls may do: live; shadow: only reads and model calls go out; twin: to the configured twins only.",
)
for_option = click.option("--for", "duration", metavar="TIME", default=USUAL, show_default=True, help="90s, 30m, 8h.")


@click.group()
def token() -> None:
    """Let tools on this machine use what a group is granted, for a while."""


@token.command()
@click.argument("group")
@for_option
@click.option("--note", default="", metavar="TEXT", help="What it is for; shown by `token list`.")
@effects_option
@click.option("--json", "as_json", is_flag=True, help="For programs: {token_id, token, port, expires_at, environment}.")
def add(group: str, *, duration: str, note: str, effects: str, as_json: bool) -> None:
    """Make a token for GROUP. Prints what a shell needs to use it: eval "$(nightyard token add GROUP)"."""
    found = _find_group(group)
    made = _make(found, _read_duration(duration), effects, note)
    environment = _environment(found, made)
    if as_json:
        told = {"token_id": made.token_id, "token": made.text, "port": made.port, "expires_at": _when(made.expires_at)}
        click.echo(json.dumps({**told, "environment": environment}, indent=2))
        return
    click.echo(f"# {made.token_id}: what {found.group_id} may do, until {_when(made.expires_at)}.")
    click.echo(f"# It is shown once. To end it: ./nightyard token revoke {made.token_id}")
    for name in sorted(_unset_by(environment)):
        click.echo(f"unset {name}")
    for name, value in sorted(environment.items()):
        click.echo(f"export {name}={shlex.quote(value)}")


@token.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs: {port, problem, tokens}.")
def list_all(as_json: bool) -> None:
    """List the valid tokens, and whether their door is open. Never a token itself."""
    state = ask_proxy(list_tokens)
    if as_json:
        told = {"port": state.port, "problem": state.problem, "tokens": [_told(one) for one in state.tokens]}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    closed = state.problem or "The door is closed: nightyard.yaml has no host_door_port."
    click.echo(f"The door is open at 127.0.0.1 port {state.port}." if state.port else clean_line(closed))
    if state.tokens:
        click.echo(table([_row(one) for one in state.tokens]))
    else:
        click.echo("No token is valid.")


@token.command()
@click.argument("token_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "is_all", is_flag=True, help="Every token.")
def revoke(token_ids: Sequence[str], *, is_all: bool) -> None:
    """End tokens, and what goes on under them, at once. ID is as `token list` gives it, or its beginning."""
    if is_all == bool(token_ids):
        raise CliProblem("name the tokens to be revoked, or say --all", "./nightyard token list", NOT_UNDERSTOOD)
    valid = [one.token_id for one in ask_proxy(list_tokens).tokens]
    chosen = valid if is_all else [_find_token(each, valid) for each in token_ids]
    for token_id in chosen:
        ask_proxy(partial(revoke_token, token_id=token_id))
        click.echo(f"{token_id} is revoked.")
    if not chosen:
        click.echo("No token is valid.")


@token.command(context_settings={"ignore_unknown_options": True})
@click.argument("group")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@for_option
@effects_option
def run(group: str, command: Sequence[str], *, duration: str, effects: str) -> None:
    """Run COMMAND as GROUP's agent would. Its HTTP goes through the proxy, under a token that ends with it."""
    found = _find_group(group)
    made = _make(found, _read_duration(duration), effects, f"run {clean_line(command[0])}"[:80])
    try:
        environment = _environment(found, made)
        own = {name: value for name, value in os.environ.items() if name not in _unset_by(environment)}
        code = _run(command, own | environment)
    finally:
        ask_proxy(partial(revoke_token, token_id=made.token_id))
    raise SystemExit(code)


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a command in this terminal; Ctrl-C is its own to take."""
    # A handler, and not to ignore it: the command would inherit that.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with subprocess.Popen(command, env=environment) as running:
            code = running.wait()
    except OSError as error:
        message = f"{clean_line(command[0])} cannot be run: {error.strerror}"
        raise CliProblem(message, "check its name", CANNOT_START) from error
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def _make(group: Group, for_s: int, effects: str, note: str) -> NewToken:
    ask = partial(
        add_token,
        group_id=group.group_id,
        for_s=for_s,
        limits=task_limits(group.limits),
        routes=(group.model.route,),
        effects=Effects(effects),
        note=note,
    )
    return ask_proxy(ask)


def _environment(group: Group, made: NewToken) -> dict[str, str]:
    address = f"127.0.0.1:{made.port}"
    authority = str(find_home().path / "ca" / "ca.pem")
    variables = {
        **build_client_environment(f"http://nightyard:{made.text}@{address}", authority),
        **build_model_environment(group.model, f"http://{address}", made.text),
    }
    placeholders = ask_proxy(partial(placeholder_variables, group_id=group.group_id))
    return with_placeholders(variables, sorted(placeholders.items()))


def _unset_by(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the variables of the shell that would be shown instead of the token."""
    return OTHER_KEYS if "ANTHROPIC_AUTH_TOKEN" in environment else frozenset()


def _find_group(name: str) -> Group:
    fork = find_fork()
    names = group_names(fork)
    if name not in names:
        known = ", ".join(names) or "none"
        raise CliProblem(f"there is no agent {clean_line(name)!r}; known: {known}", "./nightyard group list")
    group, problems = load_group(fork, GroupId(name), load_settings(fork).settings)
    if problems:
        raise CliProblem(f"the agent {name} is suspended: {problems[0]}", "./nightyard config check")
    return group


def _find_token(beginning: str, valid: Sequence[str]) -> str:
    found = [each for each in valid if each.startswith((beginning, f"token_{beginning}"))] if beginning else []
    if len(found) != 1:
        which = "no valid token is" if not found else "more than one token is"
        raise CliProblem(f"{which} called {clean_line(beginning)!r}", "./nightyard token list")
    return found[0]


def _read_duration(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([smh])", text)
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not SHORTEST_S <= seconds <= LONGEST_S:
        message = f"--for {clean_line(text)!r}: a token is valid for 60s to 24h"
        raise CliProblem(message, "--for 30m", NOT_UNDERSTOOD)
    return seconds


def _row(one: KnownToken) -> list[str]:
    effects = "" if one.effects is Effects.LIVE else one.effects.value
    busy = f"{one.connections} open" if one.connections else ""
    return [one.token_id, one.group_id, f"until {_when(one.expires_at)}", effects, busy, clean_line(one.note)]


def _told(one: KnownToken) -> dict[str, object]:
    return {
        "token_id": one.token_id,
        "group": one.group_id,
        "effects": one.effects.value,
        "routes": list(one.routes),
        "note": one.note,
        "created_at": _when(one.created_at),
        "expires_at": _when(one.expires_at),
        "connections": one.connections,
    }


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
