"""Settings: what `nightyard.yaml` in the fork says, as frozen records. Pure.

Every key has a default, so that an empty file works; every key is described in docs/configuration.md (a test compares
the two). The file itself is read by `settings_file.py`; what one group says about itself is `group.py`; how YAML
becomes records is `yaml_record.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import urlsplit

from protocol.ids import is_group_id
from protocol.task import Limits, ModelRoute
from runtime.engine_address import check_engine
from runtime.model_facts import facts_of
from runtime.yaml_record import ConfigProblem, key, parse_record

SETTINGS_FILE = "nightyard.yaml"
REHEARSAL = "rehearsal"
"""The route, and its url's word, that the rehearsal model of `twins/models` answers."""
REHEARSAL_NOTICE = (
    "This is a rehearsal: a script answers, not a model, and nothing is spent. "
    "For a real one: `nightyard up --model ROUTE/MODEL`."
)
"""Said wherever somebody might take the script's answers for a model's."""
TERMINAL = "terminal"
WEBHOOK = "webhook"
"""The platform of a channel that listens for signed requests of services elsewhere."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_name(name: str) -> str | None:
    return None if is_group_id(name) else "should be 1-32 of a-z, 0-9 and inner hyphens"


def _check_url(url: str) -> str | None:
    if url in ("", REHEARSAL):
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"should be an http or https address, but it is {url[:60]!r}"
    if parts.username or parts.password:
        return "should not hold a user or password: store it with `nightyard secret add`"
    return None


def check_model(model: str) -> str | None:
    route, slash, name = model.partition("/")
    return None if slash and route and name else f"should be ROUTE/MODEL-NAME, but it is {model[:60]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """Where models answer: one provider, or one server."""

    api: Literal["anthropic", "openai", "responses"] = "anthropic"
    url: str = key("", check=_check_url)
    secret: str | None = key(None, check=check_name)
    """The name of the key in the vault; None: the server wants none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """One account on one platform."""

    platform: str = key("", check=check_name)
    """Empty: as the channel is called."""
    secret: str | None = key(None, check=check_name)
    """The name of its token in the vault."""
    group: str = key("main", check=check_name)
    """Who answers in its chats."""
    url: str = key("", check=_check_url)
    """The platform's server when it is not its own: a self-hosted one, or a twin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What a task, or a day, may use. A group may have its own."""

    model_calls: int = key(100, least=1)
    input_tokens: int = key(4_000_000, least=1)
    output_tokens: int = key(200_000, least=1)
    cost_usd: float | None = key(None, least=0)
    rounds: int = key(50, least=1)
    wall_s: float = key(1800.0, least=1)
    calls_per_day: int = key(1000, least=0)
    """Model calls of all tasks of a group in one day (UTC)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """What all groups together may spend in one day (UTC). A group's own is in its group.yaml."""

    usd_per_day: float | None = key(None, least=0)
    """Counts calls whose price is known."""
    tokens_per_day: int | None = key(None, least=0)
    """Into and out of models, together; counts where no price is known."""
    calls_per_day: int | None = key(None, least=0)
    """Counts all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The OpenAI-compatible endpoint for programs of this machine."""

    port: int = key(0, least=0, most=65535)
    """Of 127.0.0.1; 0: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSettings:
    """What one agent's container gets, and how many there may be."""

    engine: str = key("", check=check_engine)
    """The engine's socket; empty: the first that answers."""
    memory_mb: int = key(1024, least=32)
    cpus: float = key(1.0, least=0.05)
    pids: int = key(256, least=16)
    file_mb: int = key(2048, least=1)
    """The largest file that an agent may write."""
    tmp_mb: int = key(256, least=1)
    disk_mb: int = key(4096, least=16)
    """What a group's workspace, memory and home folder may hold together."""
    max_running: int = key(32, least=1)
    """Tasks that run at once on this machine."""
    spare_idle_s: float = key(900.0, least=0)
    """How long after its last task a group keeps a started spare; 0: none."""
    disk_floor_mb: int = key(512, least=0)
    """No new task with less disk free under the home."""
    memory_floor_mb: int = key(128, least=0)
    """No new task with less memory available."""
    host_absence_s: float = key(900.0, least=5)
    """How long an agent works on without its host before it writes its last word and ends."""
    silence_s: float = key(30.0, least=5)
    """An agent that gives no sign of life for so long is taken for hung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of nightyard.yaml."""

    model: str = key("rehearsal/guide", check=check_model)
    """`route/model-name`, for every group that names none."""
    routes: Mapping[str, RouteSettings] = field(default_factory=dict, metadata={"check": check_name})
    channels: Mapping[str, ChannelSettings] = field(default_factory=dict, metadata={"check": check_name})
    limits: LimitSettings = LimitSettings()
    budgets: BudgetSettings = BudgetSettings()
    api: ApiSettings = ApiSettings()
    containers: ContainerSettings = ContainerSettings()
    delivery_attempts: int = key(40, least=1, most=1000)
    """How often a message is handed to its platform before it is given up."""
    attachments_mb: int = key(50, least=0)
    """The largest file taken from, or sent to, a person."""
    shutdown_grace_s: float = key(30.0, least=0)
    """How long `nightyard down` lets running tasks finish."""
    keep_days: int = key(0, least=0)
    """How long the words of messages, tasks and conversations are kept; 0: for ever."""
    audit_days: int = key(90, least=0)
    """How long the credential proxy keeps its audit's rows; 0: for ever."""
    host_door_port: int = key(0, least=0, most=65535)
    """The port of 127.0.0.1 where tools of this machine reach the credential proxy with a token; 0: none."""
    time_zone: str = "UTC"
    """The zone of the times that agents are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedSettings:
    """What could be read, and what was wrong. A key with a fault keeps its default."""

    settings: Settings
    problems: tuple[ConfigProblem, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    """Dotted key to line, for the keys that the text gives."""


def parse_settings(text: str, file: str = SETTINGS_FILE) -> ParsedSettings:
    """Return the settings in a text, with the rehearsal route and the terminal channel that are always there."""
    reading = parse_record(text, file, Settings())
    settings = _complete(reading.value)
    missing = [
        ConfigProblem(file=file, line=reading.lines.get(path, 1), key=path, message=message)
        for path, message in _unanswered(settings)
        if not any(problem.key.startswith(path) for problem in reading.problems)
    ]
    return ParsedSettings(settings=settings, problems=(*reading.problems, *missing), lines=reading.lines)


def _complete(settings: Settings) -> Settings:
    """Add what is there without being named: the rehearsal route and the terminal."""
    return replace(
        settings,
        routes={REHEARSAL: RouteSettings(api="anthropic", url=REHEARSAL), **settings.routes},
        channels={TERMINAL: ChannelSettings(), **settings.channels},
    )


def _unanswered(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (key, message) where one key needs another that is not there."""
    for name, route in settings.routes.items():
        if not route.url:
            yield f"routes.{name}", "has no url"
    for name, channel in settings.channels.items():
        if channel_platform(name, channel) == TERMINAL:
            if name != TERMINAL:
                yield f"channels.{name}", "there is one terminal channel, and it is called `terminal`"
        elif channel_platform(name, channel) == WEBHOOK:
            if urlsplit(channel.url).scheme != "http" or urlsplit(channel.url).hostname not in LOOPBACK:
                yield f"channels.{name}", "should have a `url` of loopback that it listens at: http://127.0.0.1:8742"
        elif channel.secret is None:
            yield f"channels.{name}", "names no secret; `nightyard channel add` stores a token and names it"
    if resolve_model(settings.model, settings.routes) is None:
        known = ", ".join(settings.routes)
        yield (
            "model",
            f"names the route {settings.model.partition('/')[0]!r}, which is not under routes (known: {known})",
        )


def problem_section(problem: ConfigProblem) -> tuple[str, str] | None:
    """Return (`channels` or `routes`, name) for a problem that concerns only that one, None if it concerns all."""
    section, _, rest = problem.key.partition(".")
    name = rest.partition(".")[0]
    return (section, name) if section in ("channels", "routes") and name else None


def resolve_model(model: str, routes: Mapping[str, RouteSettings]) -> ModelRoute | None:
    """Return the route that `route/model-name` means, None if there is no such route."""
    route, _, name = model.partition("/")
    found = routes.get(route)
    if found is None or not name:
        return None
    facts = facts_of(name)
    return ModelRoute(
        route=route,
        api=found.api,
        model=name,
        context_tokens=facts.context_tokens,
        sees=facts.sees,
        thinks=facts.thinks,
        patches=facts.patches,
    )


def unknown_route(model: str, routes: Mapping[str, RouteSettings]) -> str:
    """Say that a model's route is not known."""
    return f"names the route {model.partition('/')[0]!r}, which is not under routes (known: {', '.join(routes)})"


def task_limits(limits: LimitSettings) -> Limits:
    """Return the limits of one task as the lease carries them."""
    return Limits(
        model_calls=limits.model_calls,
        input_tokens=limits.input_tokens,
        output_tokens=limits.output_tokens,
        cost_usd=limits.cost_usd,
        rounds=limits.rounds,
        wall_s=limits.wall_s,
    )


def channel_platform(name: str, channel: ChannelSettings) -> str:
    return channel.platform or name
