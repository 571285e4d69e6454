"""`nightyard secret`: put keys into the vault, see which are there, change them, try them out. No value is shown."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any, cast

import click

from cli.lazy_group import LazyGroup
from cli.place import find_fork
from cli.problem import NOT_UNDERSTOOD, CliProblem
from cli.screen import clean_line, table
from cli.secret_value import Ways, read_seconds, read_value, value_options
from cli.vault_link import ask_proxy
from credproxy.admin_client.answers import SecretKind, StoredSecret
from credproxy.admin_client.secrets import (
    TRIAL_TIMEOUT_S,
    PartState,
    SecretState,
    SecretTrial,
    ValueState,
    add_reserve,
    add_secret,
    promote_value,
    remove_value,
    rotate_secret,
    show_secret,
    try_secret,
)
from credproxy.injection.presets import load_preset, preset_names
from credproxy.policy.own_files import use_own_files
from credproxy.vault.types import TYPES

USUAL_OVERLAP = "10m"

ELSEWHERE: dict[str, str] = {
    "grant": "cli.grants_secret:grant",
    "log": "cli.audit:log",
    "login": "cli.login:login",
    "revoke": "cli.grants_secret:revoke",
    "why": "cli.grants_secret:why",
}
"""Commands of `secret` that are written in other files: name to "module:command"."""


@click.group(cls=LazyGroup, elsewhere=ELSEWHERE)
def secret() -> None:
    """Keep keys in the vault, where no agent sees them."""
    use_own_files(find_fork())


@secret.command()
@click.argument("name")
@value_options
@click.option("--type", "type_name", type=click.Choice(tuple(TYPES)), help="What it is made of; usually one value.")
@click.option("--preset", metavar="PROVIDER", help="The provider that it is for; see `secret presets`.")
@click.option(
    "--reserve", is_flag=True, help="Add it to NAME as a value in reserve, used where the others are refused."
)
@click.option("--replace", is_flag=True, help="Put it in place of one that is there, and of its values in reserve.")
@click.option(
    "--kind",
    type=click.Choice(("key", "channel")),
    default="key",
    help="key: put into requests, told to nobody. channel: a chat platform's bot token, which the host may fetch.",
)
def add(
    name: str, *, type_name: str | None, preset: str | None, reserve: bool, replace: bool, kind: str, **ways: Any
) -> None:
    """Store a secret as NAME. Asks for its value without echo, unless told where to take it from."""
    if reserve:
        _add_reserve(name, type_name, preset, replace, Ways(**ways))
        return
    known = load_preset(preset or name) if kind == "key" else None
    if preset is not None and known is None:
        raise CliProblem(f"no provider named {clean_line(preset)} is known", "./nightyard secret presets")
    chosen = type_name or (known.secret_type if known is not None else "key")
    given = read_value(name, chosen, Ways(**ways))
    added = ask_proxy(
        lambda admin: add_secret(
            admin,
            name,
            given,
            kind=cast(SecretKind, kind),  # click has checked the choice
            type_name=chosen,
            preset=preset,
            replace=replace,
        )
    )
    click.echo(f"{name} is in the vault; {_users(added.used_by)}.")


@secret.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_secrets(as_json: bool) -> None:
    """List the secrets. Their names, types and times, and who uses them; never a value."""
    secrets = ask_proxy(lambda admin: admin.secret_list())
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in secrets], indent=2))
        return
    if not secrets:
        click.echo("The vault is empty. Put a key into it with: ./nightyard secret add NAME")
        return
    width = max(len(each.name) for each in secrets)
    for each in secrets:
        click.echo(_line(each, width))


@secret.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def show(name: str, *, as_json: bool) -> None:
    """Tell all that may be known of NAME. Its type, its values' versions and times, who uses it; never a value."""
    state = ask_proxy(lambda admin: show_secret(admin, name))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(state), indent=2))
        return
    for line in _describe(state):
        click.echo(line)


@secret.command()
@click.argument("name")
@value_options
@click.option(
    "--overlap",
    metavar="TIME",
    default=USUAL_OVERLAP,
    show_default=True,
    help="How long the old value is still used where the new one is refused; 0: not at all.",
)
def rotate(name: str, *, overlap: str, **ways: Any) -> None:
    """Give NAME a new value. The old one goes when the overlap is over."""
    overlap_s = read_seconds(overlap, "--overlap")
    state = ask_proxy(lambda admin: show_secret(admin, name))
    given = read_value(name, state.type, Ways(**ways))
    version = ask_proxy(lambda admin: rotate_secret(admin, name, given, overlap_s))
    old = f"the old value is tried where it is refused, for {overlap}" if overlap_s else "the old value is gone"
    click.echo(f"{name} has a new value (version {version}); {old}.")


@secret.command()
@click.argument("name")
@click.argument("value")
def promote(name: str, value: str) -> None:
    """Make NAME's VALUE (reserve-1, previous) the current one. What was current goes."""
    version = ask_proxy(lambda admin: promote_value(admin, name, value))
    click.echo(f"{name} now uses what was {value} (version {version}).")


@secret.command()
@click.argument("name")
@click.option("--value", "label", metavar="VALUE", help="Only this one of its values: reserve-1, previous.")
def remove(name: str, *, label: str | None) -> None:
    """Take NAME out of the vault. Requests that need it fail from then on."""
    if label is not None:
        ask_proxy(lambda admin: remove_value(admin, name, label))
        click.echo(f"The value {label} of {name} is no longer in the vault.")
        return
    used_by = ask_proxy(lambda admin: show_secret(admin, name)).used_by
    ask_proxy(lambda admin: admin.secret_remove(name))
    click.echo(f"{name} is no longer in the vault.")
    if used_by:
        click.echo(f"What needs it is refused from now on: {', '.join(used_by)} still names it.")


@secret.command("test")
@click.argument("name")
@click.option("--url", metavar="URL", help="GET this instead; a grant or a route must let NAME go there.")
@click.option("--value", "label", metavar="VALUE", help="Another than the current value: reserve-1, previous.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def try_out(name: str, *, url: str | None, label: str | None, as_json: bool) -> None:
    """Make one cheap call with NAME and say what came back. Exit code 0 if the service took it."""
    trial = ask_proxy(lambda admin: try_secret(admin, name, url=url, label=label), answer_timeout_s=TRIAL_TIMEOUT_S)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(trial), indent=2))
    else:
        click.echo(_verdict(name, trial))
    if not trial.is_good:
        raise SystemExit(1)


@secret.command()
@click.argument("name", required=False)
def presets(name: str | None) -> None:
    """List the providers that are known by name, or tell of one."""
    if name is None:
        rows = [[found.name, found.secret_type, found.title] for found in map(load_preset, preset_names()) if found]
        click.echo(table(rows))
        return
    preset = load_preset(name)
    if preset is None:
        raise CliProblem(f"no provider named {clean_line(name)} is known", "./nightyard secret presets")
    click.echo(f"{preset.name}: {preset.title}")
    click.echo(f"  type      {preset.secret_type} ({TYPES[preset.secret_type].what})")
    click.echo(f"  hosts     {', '.join(preset.hosts)}")
    if preset.keys_at:
        click.echo(f"  keys at   {preset.keys_at}")
    if preset.environment:
        click.echo(f"  agents' tools find a placeholder in {', '.join(preset.environment)}")
    if preset.test is not None:
        click.echo(f"  test      {preset.test.method} {preset.test.url}")


def _add_reserve(name: str, type_name: str | None, preset: str | None, replace: bool, ways: Ways) -> None:
    if type_name is not None or preset is not None or replace:
        message = "--reserve adds to a secret that is there: type and provider are as they are"
        raise CliProblem(message, f"./nightyard secret add {name} --reserve", NOT_UNDERSTOOD)
    state = ask_proxy(lambda admin: show_secret(admin, name))
    given = read_value(name, state.type, ways)
    label = ask_proxy(lambda admin: add_reserve(admin, name, given))
    click.echo(f"{name} has one more value, {label}; it is used where those before it are refused.")


def _users(used_by: tuple[str, ...]) -> str:
    return f"used by {', '.join(used_by)}" if used_by else "no route or grant names it yet"


def _line(each: StoredSecret, width: int) -> str:
    changed = each.changed_at[:16].replace("T", " ")
    kind = each.kind if each.kind == "channel" or each.type == "key" else each.type
    more = [f"from {each.source}"] if each.source != "vault" else []
    more += [f"{each.reserves} in reserve"] if each.reserves else []
    more += ["previous value still used"] if each.has_previous else []
    return "  ".join(
        (f"{each.name:<{width}}", f"{kind:<7}", f"changed {changed}", ", ".join([*more, _users(each.used_by)]))
    )


def _describe(state: SecretState) -> list[str]:
    kind = "a channel's token" if state.kind == "channel" else f"{state.type}: {TYPES[state.type].what}"
    lines = [f"{state.name}: {kind}"]
    lines += [f"  for       {state.preset}"] if state.preset else []
    lines += [
        f"  added     {_when(state.created_at)}, changed {_when(state.changed_at)}",
        f"  {_users(state.used_by)}",
    ]
    for value in state.values:
        lines.append(f"  {value.label}: version {value.version}, since {_when(value.created_at)}{_limits(value)}")
        lines += [f"    {_part(part)}" for part in value.parts if part.is_there]
    return lines


def _limits(value: ValueState) -> str:
    facts = []
    if value.ends_at is not None:
        facts.append(f"used until {_when(datetime.fromtimestamp(value.ends_at, UTC).isoformat())}")
    if value.token_ends_at is not None:
        facts.append(f"its token is good until {_when(datetime.fromtimestamp(value.token_ends_at, UTC).isoformat())}")
    if value.source:
        facts.append(f"read from {clean_line(value.source)}")
    if value.is_broken:
        facts.append("it does not open: its row was changed; add the secret again with --replace")
    return "".join(f"; {fact}" for fact in facts)


def _part(part: PartState) -> str:
    return f"{part.name}: {clean_line(part.shown)}" if part.shown else f"{part.name}: is there"


def _verdict(name: str, trial: SecretTrial) -> str:
    word = {True: "good", False: "NOT good", None: "no verdict"}[trial.is_good]
    which = "" if trial.label == "current" else f" ({trial.label})"
    whose = f" It is {clean_line(trial.whose)}'s." if trial.whose else ""
    return (
        f"{name}{which}: {word}. {clean_line(trial.sentence)}, in {trial.took_ms} ms.{whose}\n  asked: {trial.target}"
    )


def _when(stamp: str) -> str:
    return stamp[:16].replace("T", " ")
