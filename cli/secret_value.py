"""How a person gives a secret's value: typed without echo, from standard input, the environment or a file, or by naming
where the proxy shall read it each time. Never as an argument, which every process of the machine could read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.vault_link import type_hidden
from credproxy.admin_client.secrets import GivenSource, GivenValue
from credproxy.vault.types import TYPES, VALUE, Part, SecretType

MAX_INPUT_CHARS = 64 << 10
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
USUAL_CACHE_S = {"env": 0.0, "file": 5.0, "command": 300.0}

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What the command line says about where a value is."""

    from_stdin: bool = False
    variable: str | None = None
    parts: Sequence[str] = ()
    source_env: str | None = None
    source_file: str | None = None
    source_command: str | None = None
    cache: str | None = None
    field: str = ""


def value_options(command: Command) -> Command:
    """The options of every verb that takes a value; they come as keywords of `Ways`."""
    options = (
        click.option("--stdin", "from_stdin", is_flag=True, help="Read the value from standard input."),
        click.option("--env", "variable", metavar="VAR", help="Take the value from this environment variable, now."),
        click.option(
            "--part",
            "parts",
            metavar="NAME=…",
            multiple=True,
            help="A part: NAME=TEXT for a public one, NAME=@FILE for any. The others are asked for.",
        ),
        click.option("--from-env", "source_env", metavar="VAR", help="The proxy reads its environment each time."),
        click.option("--from-file", "source_file", metavar="PATH", help="The proxy reads this file each time."),
        click.option(
            "--from-command", "source_command", metavar="COMMAND", help="The proxy takes what this command prints."
        ),
        click.option("--cache", metavar="TIME", help="How long what was read is kept in memory: 90s, 5m, 1h."),
        click.option("--field", default="", metavar="NAME", help="Of JSON that is read, the member that counts."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_value(name: str, type_name: str, ways: Ways) -> GivenValue:
    """Return the value that a person gives, asking for it if nothing else is said. Raises CliProblem."""
    chosen = {
        "--stdin": ways.from_stdin,
        "--env": ways.variable,
        "--from-env": ways.source_env,
        "--from-file": ways.source_file,
        "--from-command": ways.source_command,
    }
    named = [option for option, value in chosen.items() if value]
    if len(named) > 1:
        raise CliProblem(
            f"{named[0]} and {named[1]} exclude each other", "./nightyard secret add --help", NOT_UNDERSTOOD
        )
    source = _source(ways)
    if source is not None:
        return GivenValue(source=source)
    if ways.cache is not None or ways.field:
        message = "--cache and --field go with --from-env, --from-file or --from-command"
        raise CliProblem(message, "./nightyard secret add --help", NOT_UNDERSTOOD)
    secret_type = TYPES[type_name]
    given = _named_parts(secret_type, ways.parts)
    if ways.variable is not None:
        text = os.environ.get(ways.variable, "").strip()
        if not text:
            raise CliProblem(
                f"the environment variable {ways.variable} is empty or not set", f"export {ways.variable}=…"
            )
        return GivenValue(parts={**_spelled_parts(secret_type, text), **given})
    if ways.from_stdin:
        text = sys.stdin.read(MAX_INPUT_CHARS).strip()
        return GivenValue(parts={**_spelled_parts(secret_type, text), **given})
    return GivenValue(parts=_ask(name, secret_type, given))


def read_seconds(text: str, option: str) -> float:
    """Return what `90s`, `10m`, `8h`, `2d` or `0` says; raises CliProblem."""
    found = re.fullmatch(r"([0-9]{1,7})([smhd]?)", text)
    if found is None or (not found[2] and int(found[1]) != 0):
        raise CliProblem(f"{option} {text[:20]!r} is no time", f"{option} 10m", NOT_UNDERSTOOD)
    return float(int(found[1]) * SECONDS.get(found[2], 1))


def _source(ways: Ways) -> GivenSource | None:
    if ways.source_env:
        return _spell_source(GivenSource(kind="env", place=ways.source_env), ways)
    if ways.source_file:
        path = Path(ways.source_file).expanduser().absolute()
        return _spell_source(GivenSource(kind="file", place=str(path)), ways)
    if ways.source_command:
        try:
            command = tuple(shlex.split(ways.source_command))
        except ValueError as error:
            raise CliProblem(f"--from-command is not understood: {error}", "close its quotes", NOT_UNDERSTOOD) from None
        return _spell_source(GivenSource(kind="command", command=command), ways)
    return None


def _spell_source(source: GivenSource, ways: Ways) -> GivenSource:
    cache_s = USUAL_CACHE_S[source.kind] if ways.cache is None else read_seconds(ways.cache, "--cache")
    return GivenSource(kind=source.kind, place=source.place, command=source.command, cache_s=cache_s, field=ways.field)


def _named_parts(secret_type: SecretType, texts: Sequence[str]) -> dict[str, str]:
    """Return what `--part NAME=TEXT` and `--part NAME=@FILE` say."""
    parts = {}
    for text in texts:
        name, separator, said = text.partition("=")
        part = secret_type.find(name)
        if part is None or not separator or not said:
            known = ", ".join(each.name for each in secret_type.parts)
            message = f"--part {name[:40]}: a secret of type {secret_type.name} has the parts {known}"
            raise CliProblem(message, f"--part {secret_type.parts[0].name}=@FILE", NOT_UNDERSTOOD)
        if said.startswith("@"):
            parts[name] = _read_file(Path(said[1:]))
        elif part.is_public:
            parts[name] = said
        else:
            message = f"--part {name}=…: {part.what} is no argument, other processes could read it"
            raise CliProblem(message, f"--part {name}=@FILE", NOT_UNDERSTOOD)
    return parts


def _read_file(path: Path) -> str:
    try:
        return path.expanduser().read_text("utf-8")[: MAX_INPUT_CHARS + 1].strip().replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise CliProblem(f"{path} cannot be read: {reason}", f"ls -l {path}") from None


def _spelled_parts(secret_type: SecretType, text: str) -> Mapping[str, str]:
    """Return what one text says: a plain value as it is, a type of several parts as a JSON object of them."""
    if secret_type.is_plain and not (len(secret_type.parts) > 1 and text.startswith("{")):
        return {VALUE: text}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        example = json.dumps({part.name: "…" for part in secret_type.parts if part.is_needed}, ensure_ascii=False)
        raise CliProblem(f"a secret of type {secret_type.name} is given as a JSON object of texts", example)
    return found


def _ask(name: str, secret_type: SecretType, given: Mapping[str, str]) -> dict[str, str]:
    """Ask for each part that is not there yet; what is not public is typed without echo."""
    parts = dict(given)
    for part in secret_type.parts:
        if part.name in parts or not (part.is_needed or part.is_asked):
            continue
        typed = _ask_part(name, secret_type, part)
        if typed:
            parts[part.name] = typed
    return parts


def _ask_part(name: str, secret_type: SecretType, part: Part) -> str:
    if part.has_lines:
        raise CliProblem(f"{part.what} is read from a file", f"./nightyard secret add {name} --part {part.name}=@FILE")
    what = "Value" if secret_type.is_plain and part.name == VALUE else part.what[:1].upper() + part.what[1:]
    hint = " (it is not shown)" if not part.is_public else ""
    prompt = f"{what} of {name}{hint}{'' if part.is_needed else ', or nothing'}: "
    typed = _type_shown(prompt) if part.is_public else type_hidden(prompt)
    if typed is None:
        mend = f"./nightyard secret add {name} --stdin < FILE"
        raise CliProblem("there is no terminal to ask for the value", mend)
    return typed


def _type_shown(prompt: str) -> str | None:
    """Return what a person types; None where standard input is no terminal."""
    return input(prompt).strip() if sys.stdin.isatty() else None
