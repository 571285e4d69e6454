"""`nightyard secret login`: log in at a service in a browser, and keep the login in the vault.

The proxy makes the address and takes what the browser comes to; this file only shows and asks.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.vault_link import ask_proxy, type_hidden
from credproxy.admin_client.logins import LOGIN_TIMEOUT_S, begin_login, finish_login, take_over_login

MAX_FILE_BYTES = 64 << 10


@click.command()
@click.argument("name")
@click.option("--service", help="Where: claude, chatgpt, google. NAME itself, if it is one of them.")
@click.option("--client-id", help="Of an OAuth client of your own.")
@click.option("--client-secret-env", metavar="VAR", help="Take the client's secret from this environment variable.")
@click.option("--ask-client-secret", is_flag=True, help="Ask for the client's secret, without echo.")
@click.option("--scope", help="What the login may do, in the service's words.")
@click.option("--authorize-url", metavar="URL", help="Where a person logs in, at a service that is not known by name.")
@click.option("--token-url", metavar="URL", help="Where tokens are got, at a service that is not known by name.")
@click.option("--redirect-url", metavar="URL", help="Where the browser ends, as the client is registered.")
@click.option("--found", metavar="FILE", help="Take over the login of Claude Code or Codex from its file instead.")
@click.option("--reserve", is_flag=True, help="Keep it as a further value of NAME, used where the others are refused.")
@click.option("--replace", is_flag=True, help="Put it in place of a secret of another type.")
def login(
    name: str,
    *,
    service: str | None,
    client_id: str | None,
    client_secret_env: str | None,
    ask_client_secret: bool,
    scope: str | None,
    authorize_url: str | None,
    token_url: str | None,
    redirect_url: str | None,
    found: str | None,
    reserve: bool,
    replace: bool,
) -> None:
    """Log in at a service, and keep the login as NAME. With your browser; its tokens are renewed by the proxy."""
    if found is not None:
        text = _read(Path(found))
        used_by = ask_proxy(lambda admin: take_over_login(admin, name, text, replace=replace, reserve=reserve))
        _say_kept(name, used_by)
        click.echo("Now log out in the tool that had it: a login that two renew is soon lost to both.")
        return
    parts = {
        "client_id": client_id or "",
        "client_secret": _client_secret(name, client_secret_env, asks=ask_client_secret),
        "scope": scope or "",
        "authorize_url": authorize_url or "",
        "token_url": token_url or "",
        "redirect_url": redirect_url or "",
    }
    address = ask_proxy(
        lambda admin: begin_login(admin, name, service=service, parts=parts, replace=replace, reserve=reserve)
    )
    click.echo("Open this address in a browser and log in:\n")
    click.echo(f"{address}\n")
    click.echo("Then paste the code that the page shows, or the whole address that the browser ends at (a page that")
    click.echo("cannot be reached is what you should see there).")
    pasted = _read_pasted(name)
    used_by = ask_proxy(lambda admin: finish_login(admin, name, pasted), answer_timeout_s=LOGIN_TIMEOUT_S)
    _say_kept(name, used_by)


def _say_kept(name: str, used_by: tuple[str, ...]) -> None:
    users = f"used by {', '.join(used_by)}" if used_by else "no route or grant names it yet"
    click.echo(f"The login {name} is in the vault; {users}.")


def _client_secret(name: str, variable: str | None, *, asks: bool) -> str:
    if variable is not None:
        value = os.environ.get(variable, "").strip()
        if not value:
            raise CliProblem(f"the environment variable {variable} is empty or not set", f"export {variable}=…")
        return value
    if not asks:
        return ""
    typed = type_hidden(f"Client secret of {name} (it is not shown): ")
    if typed is None:
        raise CliProblem("there is no terminal to ask for the client's secret", "--client-secret-env VAR")
    return typed


def _read_pasted(name: str) -> str:
    """Without a terminal the code comes as a line of standard input. It is good for nobody without the proxy."""
    if sys.stdin.isatty():
        click.echo("Pasted: ", nl=False)
    line = sys.stdin.readline().strip()
    if not line:
        raise CliProblem("nothing was pasted, so nothing was kept", f"./nightyard secret login {name}")
    return line


def _read(path: Path) -> str:
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise CliProblem(f"{path} cannot be read: {error.strerror}", "--found ~/.claude/.credentials.json") from None
    if len(content) > MAX_FILE_BYTES:
        raise CliProblem(f"{path} is too large to be a login", "--found ~/.codex/auth.json", NOT_UNDERSTOOD)
    return content.decode("utf-8", "replace")
