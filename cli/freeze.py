"""`freeze` and `unfreeze`: everything stopped, and let go on. A freeze works with the host down, as far as it can."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Callable
from dataclasses import dataclass

import click

from cli.place import ask, find_home
from cli.problem import NOT_RUNNING, CliProblem
from cli.screen import clean_line
from credproxy.admin_client.link import ProxyError, connect
from runtime.home import Home
from runtime.store.errors import StoreError
from runtime.store.store import open_store


@click.command()
def freeze() -> None:
    """Stop all agents and all they may reach, until unfrozen. Messages are kept waiting.

    With the host down, what can be done without it is done, and the rest is named.
    """
    try:
        answer = ask("freeze")
    except CliProblem as problem:
        if problem.exit_code != NOT_RUNNING or not find_home().path.is_dir():
            raise
        _freeze_without_host(find_home(), problem)
        return
    click.echo(f"Frozen. Tasks stopped: {len(answer['tasks'])}. Messages are kept; `nightyard unfreeze` lifts it.")
    if answer["egress"] != "stopped":
        raise CliProblem(f"the agents are stopped, but {clean_line(answer['egress'])}", "./nightyard logs credproxy")


@click.command()
def unfreeze() -> None:
    """Lift the freeze. What waited goes on."""
    answer = ask("unfreeze")
    click.echo(f"Unfrozen. Messages waiting: {answer['waiting']}.")


@dataclass(frozen=True, slots=True)
class _Step:
    done: str
    """What is so now."""
    failed: str = ""
    """What could not be done, and why; then nothing is done."""


def _freeze_without_host(home: Home, away: CliProblem) -> None:
    """Stop egress, note the freeze where the host will find it, end the agents; say what of it was done."""
    click.echo(clean_line(f"{str(away)[:1].upper()}{str(away)[1:]}. Without it:"))
    steps = [step(home) for step in _STEPS]
    for step in steps:
        if not step.failed:
            click.echo(f"  {step.done}")
    failed = [step.failed for step in steps if step.failed]
    if failed:
        raise CliProblem(clean_line("; ".join(failed)), "./nightyard down")


def _stop_egress(home: Home) -> _Step:
    async def tell() -> None:
        async with connect(home.proxy_socket) as proxy:
            await proxy.freeze(True)

    try:
        asyncio.run(tell())
    except ProxyError as error:
        return _Step("", f"egress was not stopped: {error}")
    return _Step("Egress is stopped: the credential proxy lets nothing out, until `nightyard unfreeze`.")


def _note_freeze(home: Home) -> _Step:
    """Set the store's flag under the home's lock: no host may start meanwhile, and one that holds it has the store."""

    async def note() -> None:
        async with open_store(home.path) as store:
            await store.set_frozen(True, "cli")

    with home.lock.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            asyncio.run(note())
        except BlockingIOError:
            return _Step("", "the freeze was not noted: a host holds the home and does not answer")
        except StoreError as error:
            return _Step("", f"the freeze was not noted: {error}")
    return _Step("It is noted: the host will be frozen when it is back. Messages are kept until `nightyard unfreeze`.")


def _end_agents(home: Home) -> _Step:
    from cli.up_leftovers import remove_containers
    from cli.up_progress import SetupFailed

    try:
        ended = remove_containers(home)
    except SetupFailed as error:
        return _Step("", f"agents were not ended: {error}")
    return _Step(f"Agents ended: {ended}. Their tasks end as stopped when the host is back.")


_STEPS: tuple[Callable[[Home], _Step], ...] = (_stop_egress, _note_freeze, _end_agents)
"""Egress first: what cannot be ended can at least reach nothing."""
