"""Choose the model that answers: named on the command line, offered from what is here, else the settings' own.

Nothing is spent that nobody asked for: without a terminal only `--model` changes a model, and a key is taken from the
environment only for the model that was chosen. Keys go to the vault over the proxy's admin socket, nowhere else.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.settings_check import check_settings
from cli.up_progress import SetupFailed
from cli.up_settings import KNOWN_ROUTES, KnownRoute, known_route, route_lines, with_model
from credproxy.admin_client.answers import RouteState
from credproxy.admin_client.link import ProxyError, ProxyRefused, connect
from runtime.config import SETTINGS_FILE, ParsedSettings, check_model
from runtime.group_reading import load_groups
from runtime.home import Home

LOCAL_ANSWERS_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that could answer here."""

    model: str
    why: str


def find_offers(environment: Mapping[str, str], routes: Sequence[KnownRoute] = KNOWN_ROUTES) -> list[Offer]:
    """Return the models that keys in the environment, or a local server, make possible."""
    offers = [
        Offer(
            model=f"{route.name}/{route.model}", why=f"the key in {route.variable}, kept in the vault; calls cost money"
        )
        for route in routes
        if route.variable and environment.get(route.variable)
    ]
    for route in routes:
        if not route.secret and (name := _local_model(route)):
            offers.append(Offer(model=f"{route.name}/{name}", why=f"the server at {route.url}; costs nothing"))
    return offers


def choose_offer(offers: list[Offer], choose: Callable[[list[str]], int]) -> str | None:
    """Let the person choose; None is the rehearsal. `choose` is shown the lines and returns an index."""
    if not offers:
        return None
    lines = [f"{offer.model}: {offer.why}" for offer in offers]
    chosen = choose([*lines, "rehearsal: a script answers; costs nothing, sends nothing anywhere"])
    return offers[chosen].model if chosen < len(offers) else None


def set_model(fork: Path, model: str) -> None:
    """Write the model (and its route, if `up` knows it) into nightyard.yaml; raise SetupFailed."""
    path = fork / SETTINGS_FILE
    wrong = check_model(model)
    if wrong:
        raise SetupFailed(
            f"--model {model[:60]} {wrong}", "it names a route and a model on it", "./nightyard up --help"
        )
    text = path.read_text("utf-8")
    changed = with_model(text, model)
    if changed is None:
        route = known_route(model)
        lines = f"model: {model}\n" + (f"routes:\n{route_lines(route)}" if route else "routes: …")
        raise SetupFailed(
            f"the model {model} could not be set", f"{path} has no such route, or a fault", f"write:\n{lines}"
        )
    if changed != text:
        new = path.with_name(f".{path.name}.new")
        new.write_text(changed, "utf-8")
        new.replace(path)


def load_checked(fork: Path) -> ParsedSettings:
    """Return the settings; raise SetupFailed naming file, line, key and the nearest known key of what is wrong."""
    checked = check_settings(fork)
    if checked.faults:
        number = len(checked.faults)
        what = "the settings have a fault" if number == 1 else f"the settings have {number} faults"
        file = checked.faults[0].partition(":")[0]
        raise SetupFailed(what, "\n".join(checked.faults), f"$EDITOR {fork / file}")
    return checked.parsed


def rehearsing(fork: Path, parsed: ParsedSettings) -> list[str]:
    """Return the groups that the rehearsal model answers."""
    return list(load_groups(fork, parsed).rehearsing)


def store_key(home: Home, model: str, environment: Mapping[str, str]) -> str:
    """Put the key of the model's route into the vault, if it is in the environment and not there yet.

    Returns what was done, for people; empty if there was nothing to do. The proxy must be running.
    """
    route = known_route(model)
    value = environment.get(route.variable, "") if route and route.variable else ""
    if route is None or not value:
        return ""
    try:
        return asyncio.run(_store_key(home, route, value))
    except ProxyError as error:
        mend = f"./nightyard secret add {route.secret}"
        raise SetupFailed(f"the key of {route.name} could not be kept", str(error), mend) from error


async def _store_key(home: Home, route: KnownRoute, value: str) -> str:
    async with connect(home.proxy_socket) as admin:
        try:
            await admin.secret_add(route.secret, value, "key")
        except ProxyRefused as refusal:
            if refusal.code == "secret_exists":
                return ""
            raise
    return f"the key in {route.variable} is now in the vault as `{route.secret}`"


def route_problem(home: Home, model: str) -> str:
    """Return why the model's route cannot answer yet, with what mends it; empty when it can. The proxy must run."""
    try:
        states = asyncio.run(_routes(home))
    except ProxyError as error:
        return str(error)
    state = next((state for state in states if state.name == model.partition("/")[0]), None)
    if state is None or state.is_ready:
        return ""
    return f"{state.problem or 'the route is not ready'}\n  mend: ./nightyard secret add {state.secret or state.name}"


async def _routes(home: Home) -> tuple[RouteState, ...]:
    async with connect(home.proxy_socket) as admin:
        return await admin.routes()


def _local_model(route: KnownRoute) -> str:
    """Return the first model of a local OpenAI-compatible server, empty if none answers."""
    # Without the environment's proxies: a proxy's 127.0.0.1 is another machine's.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{route.url}/v1/models", timeout=LOCAL_ANSWERS_S) as answer:
            listed = json.loads(answer.read(1 << 20))
        return str(listed["data"][0]["id"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError):
        return ""
