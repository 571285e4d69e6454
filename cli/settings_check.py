"""All that is wrong with a fork's settings, by the very parsers that host and proxy use: nothing needs to run.

nightyard.yaml, groups and skills are the host's; routes and grants the proxy's, whose pure parsers are the only files
of it, besides its admin client, that the command knows (.importlinter).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from channels.registry import PLATFORMS
from cli.place import ROOT
from credproxy.audit.prices import Prices, find_price, parse_prices
from credproxy.policy.grants import parse_grants
from credproxy.policy.own_files import use_own_files
from credproxy.policy.routes import build_route
from protocol.ids import GroupId
from runtime.config import REHEARSAL, SETTINGS_FILE, WEBHOOK, ParsedSettings
from runtime.group import Groups
from runtime.group_reading import load_groups, settings_problems
from runtime.settings_file import group_names, load_settings
from runtime.spaces.declared import load_spaces
from runtime.yaml_record import ConfigProblem

OUR_PRICES = "credproxy/audit/prices.yaml"
PRICES_FILE = "prices.yaml"
"""In the fork: what a person has written counts over ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSettings:
    """The settings of a fork and what is to be said about them."""

    parsed: ParsedSettings
    groups: Groups
    faults: tuple[str, ...]
    """Each names file, line and key, and the nearest known one; something does not run because of it."""
    warnings: tuple[str, ...]
    """What runs, and does not do what it seems to."""


def check_settings(fork: Path) -> CheckedSettings:
    """Read everything that a person has written."""
    parsed = load_settings(fork, (*PLATFORMS, WEBHOOK))
    groups = load_groups(fork, parsed)
    prices, price_faults = read_prices(fork)
    own_faults = use_own_files(fork)
    faults = [
        *settings_problems(parsed, groups),
        *_route_faults(parsed),
        *own_faults,
        *_grant_faults(fork),
        *(problem for space in load_spaces(fork).values() for problem in space.problems),
        *price_faults,
    ]
    return CheckedSettings(
        parsed=parsed,
        groups=groups,
        faults=tuple(dict.fromkeys(map(str, faults))),
        warnings=tuple(
            f"groups/{group.group_id}: {warning}"
            for group in groups.ready.values()
            if (warning := unpriced_warning(group.model.route, group.model.model, group.limits.cost_usd, prices))
        ),
    )


def read_prices(fork: Path) -> tuple[Prices, list[object]]:
    """Return the prices that the proxy goes by, and what is wrong with the fork's: then ours alone count, as there."""
    ours = parse_prices((ROOT / OUR_PRICES).read_text("utf-8"), OUR_PRICES)
    known = {} if isinstance(ours, list) else ours
    try:
        theirs = parse_prices((fork / PRICES_FILE).read_text("utf-8"), PRICES_FILE)
    except FileNotFoundError:
        return known, []
    except (OSError, UnicodeDecodeError) as error:
        return known, [f"{PRICES_FILE}:1: cannot be read: {error}"]
    return (known, list(theirs)) if isinstance(theirs, list) else ({**known, **theirs}, [])


def unpriced_warning(route: str, model: str, cost_usd: float | None, prices: Prices) -> str:
    """Return that a limit on money does nothing, if so: no price of the model is known."""
    if cost_usd is None or route == REHEARSAL or find_price(model, prices) is not None:
        return ""
    return (
        f"limits.cost_usd does nothing, because no price of the model {model!r} is known: "
        f"add it to {PRICES_FILE}, or rely on the limits of calls and tokens"
    )


def _route_faults(parsed: ParsedSettings) -> Iterator[ConfigProblem]:
    """Yield the addresses that the proxy would not take."""
    for name, route in parsed.settings.routes.items():
        if not route.url or route.url == REHEARSAL:
            continue
        built = build_route(name, route.api, route.url, route.secret)
        if isinstance(built, str):
            key = f"routes.{name}.url"
            message = built.partition(": ")[2]
            yield ConfigProblem(file=SETTINGS_FILE, line=parsed.lines.get(key, 1), key=key, message=message)


def _grant_faults(fork: Path) -> Iterator[object]:
    for name in group_names(fork):
        file = f"groups/{name}/grants.yaml"
        try:
            rules = parse_grants((fork / file).read_text("utf-8"), GroupId(name), file)
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            yield f"{file}:1: cannot be read: {error}"
            continue
        yield from rules if isinstance(rules, list) else ()
