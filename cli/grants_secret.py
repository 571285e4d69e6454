"""`nightyard secret grant`, `revoke` and `why`: which group may use which key where, and what a request would meet.

The commands are listed in `secrets.py`. Without a key it is `nightyard allow` (`allow.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click
import yaml

from cli.grants_edit import Wish, add_grant, grants_in, remove_grants
from cli.grants_file import change_grants, file_name, read_grants, read_group
from cli.grants_options import place_options, read_terms, split_place, sure_option, term_options
from cli.place import find_home
from cli.problem import NOT_RUNNING, NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line
from cli.settings_edit import CannotEdit
from cli.style import BOLD, GREEN, RED, YELLOW, paint
from cli.vault_link import ask_proxy
from credproxy.admin_client.policy import Why
from credproxy.admin_client.policy import why as ask_why
from protocol.ids import GroupId


@click.command()
@click.argument("name")
@click.argument("group")
@click.argument("host")
@place_options
@click.option("--inject", metavar="HOW", help="bearer, basic, aws, a provider's name, or YAML such as '{query: key}'.")
@click.option("--header", metavar="HEADER", help="Short for --inject '{header: HEADER}'.")
@click.option("--must-carry", is_flag=True, help="Only requests that carry the group's placeholder get the key.")
@term_options
@sure_option
def grant(
    name: str,
    group: str,
    host: str,
    *,
    port: int | None,
    addresses: tuple[str, ...],
    methods: tuple[str, ...],
    paths: tuple[str, ...],
    inject: str | None,
    header: str | None,
    is_sure: bool,
    **terms: Any,
) -> None:
    """Let GROUP use the secret NAME at HOST. Where no provider is known by the host, say how with --inject."""
    group_id = read_group(group)
    place, scheme, given_port, given_paths = split_place(host)
    how = _read_inject(inject, header) or _known_inject(group_id, name, place.lower())
    wish = Wish(
        host=place,
        scheme=scheme or "https",
        port=port or given_port,
        methods=tuple(method.upper() for method in methods),
        paths=paths or given_paths,
        addresses=addresses,
        secret=name,
        inject=how,
        terms=read_terms(terms),
    )
    mend = "" if how else "the same command with --inject bearer, --header NAME, or another --inject HOW"
    if not change_grants(group_id, lambda text, *place: add_grant(text, wish, *place), is_sure=is_sure, mend=mend):
        click.echo(f"{group_id} may use {clean_line(name)} there already.")
    _say_if_absent(name)


@click.command()
@click.argument("name")
@click.argument("group")
@click.argument("host", required=False)
@sure_option
def revoke(name: str, group: str, host: str | None, *, is_sure: bool) -> None:
    """Take the secret NAME away from GROUP. At HOST, or everywhere; what is sent with it right now is cut off."""
    group_id = read_group(group)

    def is_meant(values: Mapping[str, str]) -> bool:
        return values.get("secret") == name and (host is None or values.get("host", "").lower() == host.lower())

    if not change_grants(group_id, lambda text, *place: remove_grants(text, is_meant, *place), is_sure=is_sure):
        where = f" at {clean_line(host)}" if host else ""
        raise CliProblem(
            f"{file_name(group_id)} grants no use of {clean_line(name)}{where}", f"./nightyard allow list {group_id}"
        )


@click.command()
@click.argument("group")
@click.argument("url")
@click.option("--method", default="GET", help="GET, unless said otherwise.")
@click.option(
    "--effects", type=click.Choice(("live", "shadow", "twin")), default="live", help="As a task with these effects."
)
def why(group: str, url: str, *, method: str, effects: str) -> None:
    """Say what GROUP would be answered for URL. The decision, the rule, the key, what would be put in and where."""
    group_id = read_group(group)
    told = _ask_or_judge(group_id, url, method.upper(), effects)
    for line in why_lines(told):
        click.echo(line)
    if not told.is_allowed or told.secret_state or told.is_frozen:
        raise SystemExit(1)


def why_lines(told: Why) -> list[str]:
    """Return the answer for a person."""
    verdict = paint("allowed", BOLD, GREEN) if told.is_allowed else paint("denied", BOLD, RED)
    lines = [f"{verdict}: {clean_line(f'{told.method} {told.target}')}"]
    rows = [("rule", told.rule), ("because", told.sentence), ("code", told.code), ("secret", told.secret)]
    rows += [("put in", line) for line in told.injected]
    rows += [("if", line) for line in told.conditions]
    rows += [("used today", line) for line in told.used_today]
    if told.grant_with:
        command = f"./{told.grant_with}" if told.grant_with.startswith("nightyard ") else told.grant_with
        rows.append(("to allow it", command))
    if told.secret_state:
        rows.append(("but", paint(clean_line(f"the secret {told.secret}: {told.secret_state}"), YELLOW)))
        rows.append(("mend", f"./nightyard secret add {told.secret}"))
    if told.is_frozen:
        rows.append(("but", paint("everything is frozen: ./nightyard unfreeze", YELLOW)))
    lines += [
        f"  {label:<11}  {text if text.startswith(chr(27)) else clean_line(text)}" for label, text in rows if text
    ]
    return lines


def _say_if_absent(name: str) -> None:
    """A grant of a secret that is not there yet is no mistake, and rarely what was meant."""
    if find_home().proxy_socket.exists():
        secrets = ask_proxy(lambda admin: admin.secret_list())
        if name not in {each.name for each in secrets}:
            click.echo(f"There is no secret {clean_line(name)} in the vault yet: ./nightyard secret add {name}")


def _ask_or_judge(group_id: GroupId, url: str, method: str, effects: str) -> Why:
    """Ask the proxy, which knows the vault; where it is down, judge by the file alone, and say so."""
    if find_home().proxy_socket.exists():
        try:
            return ask_proxy(lambda admin: ask_why(admin, group_id, url, method, effects))
        except CliProblem as problem:
            if problem.exit_code != NOT_RUNNING:
                raise
    if effects != "live" or url.startswith("/m/"):
        raise CliProblem("only the proxy knows that, and it does not run", "./nightyard up", NOT_RUNNING)
    return _judge_file(group_id, url, method)


def _judge_file(group_id: GroupId, url: str, method: str) -> Why:
    from credproxy.policy.check import judge_url

    told = judge_url(read_grants(group_id), file_name(group_id), group_id, method, url, time.time())
    if isinstance(told, list):
        raise CliProblem(clean_line("; ".join(map(str, told))), "./nightyard config check")
    click.echo("The proxy does not run: judged by the file; whether the secret is in the vault is not known.")
    return Why(
        method=told.method,
        target=told.target,
        is_allowed=told.is_allowed,
        code=told.code,
        sentence=told.sentence,
        grant_with=told.grant_with,
        rule=told.rule,
        secret=told.secret,
        injected=told.injected,
        conditions=told.conditions,
    )


def _read_inject(inject: str | None, header: str | None) -> str:
    if inject is not None and header is not None:
        raise CliProblem("--inject and --header exclude each other", "./nightyard secret grant --help", NOT_UNDERSTOOD)
    text = f"{{header: {header}}}" if header is not None else inject or ""
    try:
        one_line = yaml.safe_load(text) if "\n" not in text else None
    except yaml.YAMLError:
        one_line = None
    if text and not isinstance(one_line, (str, dict, list)):
        raise CliProblem(f"{text[:60]!r} does not say how", "./nightyard secret grant --help", NOT_UNDERSTOOD)
    return text


def _known_inject(group_id: GroupId, name: str, host: str) -> str:
    """Return how the group's file sends the secret to that host already, as YAML; empty: not said there."""
    try:
        grants = grants_in(read_grants(group_id))
    except CannotEdit:
        return ""
    known = (values for values in grants if values.get("secret") == name and values.get("host", "").lower() == host)
    return next((values.get("inject", "") for values in known), "")
