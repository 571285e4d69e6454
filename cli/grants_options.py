"""Options of the commands that write grants, and what they become in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from cli.problem import NOT_UNDERSTOOD, CliProblem

Command = TypeVar("Command", bound=Callable[..., Any])

_TERMS = (
    ("--rate", "rate", "N/m", "At most so many requests per s, m, h or d."),
    ("--burst", "burst", "N", "How many of the rate may come at once."),
    ("--daily", "daily", "N", "At most so many requests a day (UTC)."),
    ("--expires", "expires", "DAY", "Until the end of this day (UTC), or an instant."),
    ("--body-cap", "body_cap", "SIZE", "The longest request body, such as 64KB."),
    ("--twin", "twin", "URL", "Where its twin stands, for tasks that talk to twins only."),
)
_FLAGS = (
    ("--approval", "approval", "A person must approve each request."),
    ("--idempotency", "idempotency", "Add an Idempotency-Key, the same when a call is made again."),
)


def place_options(command: Command) -> Command:
    """Where a grant leads."""
    command = click.option("--path", "paths", multiple=True, help="A path; `*` within a segment, `/**` all below.")(
        command
    )
    command = click.option("--method", "methods", multiple=True, help="GET, POST, …; may be given more than once.")(
        command
    )
    command = click.option(
        "--address", "addresses", multiple=True, help="A private address or network that the name stands for."
    )(command)
    return click.option("--port", type=int, help="The one port, if not the usual one.")(command)


def term_options(command: Command) -> Command:
    """On which conditions."""
    for option, name, metavar, text in reversed(_TERMS):
        command = click.option(option, name, metavar=metavar, help=text)(command)
    for option, name, text in reversed(_FLAGS):
        command = click.option(option, name, is_flag=True, help=text)(command)
    return command


def split_place(host: str) -> tuple[str, str | None, int | None, tuple[str, ...]]:
    """Return host, scheme, port and path of what was given for a host: an address is taken too, as it is pasted."""
    if "://" not in host:
        return host, None, None, ()
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError as error:
        raise CliProblem(f"{host[:60]!r} is no address: {error}", "give the host's name", NOT_UNDERSTOOD) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise CliProblem(f"{host[:60]!r} is no http or https address", "give the host's name", NOT_UNDERSTOOD)
    return parts.hostname, parts.scheme, port, (parts.path,) if parts.path not in ("", "/") else ()


def sure_option(command: Command) -> Command:
    return click.option("--yes", "is_sure", is_flag=True, help="Write it without asking.")(command)


def read_terms(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the terms that were given, as YAML."""
    terms = {}
    for name, value in given.items():
        if value is None or value is False:
            continue
        text = "true" if value is True else str(value)
        if not text.isprintable() or any(char in text for char in "{}[]#,&*!|>'\"%@`"):
            raise CliProblem(f"{text[:40]!r} is no value for {name}", "./nightyard allow host --help", NOT_UNDERSTOOD)
        terms[name] = text
    return terms
