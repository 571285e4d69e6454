"""`nightyard secret`: put keys into the vault, see which are there, take them out. A value is never shown.

A value comes from a prompt without echo, from standard input or from an environment variable: never from an argument,
which every process of the machine could read and the shell would keep.
"""

from __future__ import annotations

import os
import sys
from typing import Literal, cast

import click

from cli.lazy_group import LazyGroup
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.vault_link import ask_proxy, type_hidden
from credproxy.admin_client.link import StoredSecret

MAX_INPUT_CHARS = 64 << 10


ELSEWHERE: dict[str, str] = {"log": "cli.audit:log"}
"""Commands of `secret` that are written in other files: name to "module:command"."""


@click.group(cls=LazyGroup, elsewhere=ELSEWHERE)
def secret() -> None:
    """Keep keys in the vault, where no agent sees them."""


@secret.command()
@click.argument("name")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the value from standard input.")
@click.option("--env", "variable", metavar="VAR", help="Take the value from this environment variable.")
@click.option("--replace", is_flag=True, help="Put it in place of one that is there.")
@click.option(
    "--kind",
    type=click.Choice(("key", "channel")),
    default="key",
    help="key: put into requests, told to nobody. channel: a chat platform's bot token, which the host may fetch.",
)
def add(name: str, *, from_stdin: bool, variable: str | None, replace: bool, kind: str) -> None:
    """Store a secret as NAME. Asks for its value without echo, unless told where to take it from."""
    if from_stdin and variable is not None:
        raise CliProblem("--stdin and --env exclude each other", "./nightyard secret add --help", NOT_UNDERSTOOD)
    value = _read_value(name, from_stdin=from_stdin, variable=variable)
    chosen = cast(Literal["key", "channel"], kind)  # click has checked the choice
    used_by = ask_proxy(lambda admin: admin.secret_add(name, value, chosen, replace=replace))
    click.echo(f"{name} is in the vault; {_users(used_by)}.")


@secret.command("list")
def list_secrets() -> None:
    """List the secrets: names, kinds, times, and who uses them. Never a value."""
    secrets = ask_proxy(lambda admin: admin.secret_list())
    if not secrets:
        click.echo("The vault is empty. Put a key into it with: ./nightyard secret add NAME")
        return
    width = max(len(each.name) for each in secrets)
    for each in secrets:
        click.echo(_line(each, width))


@secret.command()
@click.argument("name")
def remove(name: str) -> None:
    """Take NAME out of the vault. Requests that need it fail from then on."""
    ask_proxy(lambda admin: admin.secret_remove(name))
    click.echo(f"{name} is no longer in the vault.")


def _read_value(name: str, *, from_stdin: bool, variable: str | None) -> str:
    if variable is not None:
        value = os.environ.get(variable, "")
        if not value:
            raise CliProblem(f"the environment variable {variable} is empty or not set", f"export {variable}=…")
        return value.strip()
    if from_stdin:
        return sys.stdin.read(MAX_INPUT_CHARS).strip()
    typed = type_hidden(f"Value of {name} (it is not shown): ")
    if typed is None:
        mend = f"./nightyard secret add {name} --stdin < FILE"
        raise CliProblem("there is no terminal to ask for the value", mend)
    return typed


def _users(used_by: tuple[str, ...]) -> str:
    return f"used by {', '.join(used_by)}" if used_by else "no route or grant names it yet"


def _line(each: StoredSecret, width: int) -> str:
    changed = each.changed_at[:16].replace("T", " ")
    return f"{each.name:<{width}}  {each.kind:<7}  changed {changed}  {_users(each.used_by)}"
