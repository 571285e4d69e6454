"""`nightyard allow`: let a group reach hosts, bundles of hosts, or the open web, without any key; and take it back.

With a key it is `nightyard secret grant` (`grants_secret.py`). Each shows what it changes in the group's grants.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from cli.grants_edit import Wish, add_grant, grants_in, remove_grants
from cli.grants_file import change_grants, file_name, read_grants, read_group
from cli.grants_options import place_options, read_terms, split_place, sure_option, term_options
from cli.place import find_fork
from cli.problem import CliProblem
from cli.screen import clean_line
from cli.settings_edit import CannotEdit
from credproxy.policy.bundles import bundle_names, bundle_title, read_bundle
from credproxy.policy.own_files import use_own_files


@click.group()
def allow() -> None:
    """Let a group reach a host, a bundle of hosts, or the open web, without a key."""
    use_own_files(find_fork())


@allow.command()
@click.argument("group")
@click.argument("host")
@place_options
@click.option("--scheme", type=click.Choice(("https", "http")), default="https", help="Plain http only if asked for.")
@term_options
@sure_option
def host(
    group: str,
    host: str,
    scheme: str,
    *,
    port: int | None,
    addresses: tuple[str, ...],
    methods: tuple[str, ...],
    paths: tuple[str, ...],
    is_sure: bool,
    **terms: Any,
) -> None:
    """Let GROUP reach HOST (`*.example.org`: all below it). Without --method and --path: all of it."""
    group_id = read_group(group)
    name, given_scheme, given_port, given_paths = split_place(host)
    wish = Wish(
        host=name,
        scheme=given_scheme or scheme,
        port=port or given_port,
        methods=tuple(method.upper() for method in methods),
        paths=paths or given_paths,
        addresses=addresses,
        terms=read_terms(terms),
    )
    if not change_grants(group_id, lambda text, *place: add_grant(text, wish, *place), is_sure=is_sure):
        click.echo(f"{group_id} may do that already.")


@allow.command()
@click.argument("group")
@click.argument("name", required=False)
@click.option("--expires", metavar="DAY", help="Until the end of this day (UTC), or an instant.")
@sure_option
def bundle(group: str, name: str | None, *, expires: str | None, is_sure: bool) -> None:
    """Let GROUP reach what a ready-made bundle names. Without NAME: list the bundles."""
    if name is None:
        _list_bundles()
        return
    group_id = read_group(group)
    if read_bundle(name) is None:
        raise CliProblem(f"there is no bundle {clean_line(name)!r}", f"./nightyard allow bundle {group_id}")
    wish = Wish(bundle=name, terms=read_terms({"expires": expires}))
    change_grants(group_id, lambda text, *place: add_grant(text, wish, *place), is_sure=is_sure)


@allow.command("web-read")
@click.argument("group")
@click.option("--rate", metavar="N/m", help="How many pages per s, m, h or d; 60/m.")
@click.option("--daily", type=int, help="How many pages a day; 2000.")
@click.option("--expires", metavar="DAY", help="Until the end of this day (UTC), or an instant.")
@sure_option
def web_read(group: str, *, is_sure: bool, **terms: Any) -> None:
    """Let GROUP read the open web, within quotas. GET without credentials, to public addresses."""
    group_id = read_group(group)
    wish = Wish(is_web_read=True, terms=read_terms(terms))
    change_grants(group_id, lambda text, *place: add_grant(text, wish, *place), is_sure=is_sure)


@allow.command()
@click.argument("group")
@click.argument("what")
@sure_option
def remove(group: str, what: str, *, is_sure: bool) -> None:
    """Take back what GROUP was allowed. A HOST, a bundle's name, or `web-read`; calls under way end too.

    Grants with a key stay: `nightyard secret revoke` takes those.
    """
    group_id = read_group(group)

    def is_meant(values: Mapping[str, str]) -> bool:
        if "secret" in values:
            return False
        return what in (values.get("host", "").lower(), values.get("bundle")) or (
            what in ("web-read", "web_read") and "web_read" in values
        )

    if not change_grants(group_id, lambda text, *place: remove_grants(text, is_meant, *place), is_sure=is_sure):
        raise CliProblem(
            f"{file_name(group_id)} has no grant without a key for {clean_line(what)!r}",
            f"./nightyard allow list {group_id}",
        )


@allow.command("list")
@click.argument("group")
def list_grants(group: str) -> None:
    """Say what GROUP may reach, in the file's order."""
    group_id = read_group(group)
    try:
        grants = grants_in(read_grants(group_id))
    except CannotEdit as reason:
        raise CliProblem(f"{file_name(group_id)}: {reason}", "./nightyard config check") from reason
    if not grants:
        click.echo(f"{group_id} may reach nothing but its model: ./nightyard allow host {group_id} HOST")
    for values in grants:
        click.echo(clean_line(_grant_line(values)))


def _grant_line(values: Mapping[str, str]) -> str:
    if "bundle" in values:
        return f"bundle {values['bundle']}: {bundle_title(values['bundle'])}"
    if "web_read" in values:
        return "the open web, to read"
    place = f"{values.get('scheme', 'https')}://{values.get('host', '?')}"
    place += f":{values['port']}" if "port" in values else ""
    secret = f" with {values['secret']}" if "secret" in values else ""
    rest = ", ".join(key for key in values if key not in ("host", "scheme", "port", "secret", "inject"))
    return f"{place}{secret}" + (f" (limited by {rest})" if rest else "")


def _list_bundles() -> None:
    width = max(map(len, bundle_names()))
    for name in bundle_names():
        click.echo(f"{name:<{width}}  {bundle_title(name)}")
