"""One group's rules, found fast: ten thousand cost what ten do. Pure.

`grants.py` makes rules of a file, `decide.py` asks for those that may fit. A `Policy` is immutable: each request keeps
the one that it was decided with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from credproxy.injection.kinds import Injection
from credproxy.policy.path_glob import PathGlob
from credproxy.policy.verdict import Allow, Route
from credproxy.wire.addresses import Network
from credproxy.wire.target import Scheme, Target
from protocol.ids import GroupId

FEW = 8
"""Up to here rules are tried one after the other; above, only those whose beginning of the path fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One grant of one group."""

    scheme: Scheme
    host: str
    """For a wildcard what follows `*.`; empty for web-read."""
    is_wildcard: bool
    port: int
    methods: frozenset[str]
    paths: tuple[PathGlob, ...] | None
    """None: the whole host."""
    allow: Allow
    """What is answered when it fits."""
    twin: Allow | None = None
    """What is answered instead to a task that talks to twins only; None: no twin stands for it."""
    max_url_chars: int | None = None

    @property
    def name(self) -> str:
        """`group:line`, for audit and people; a bundle's has `/bundle.number` behind it."""
        return self.allow.rule

    @property
    def secret(self) -> str | None:
        return self.allow.secret

    @property
    def injection(self) -> Injection | None:
        return self.allow.injection

    @property
    def networks(self) -> tuple[Network, ...]:
        return self.allow.networks

    def covers(self, target: Target) -> bool:
        """Whether the target's path is the rule's. What servers may read in two ways fits only a whole host."""
        if self.paths is None:
            return True
        if target.is_ambiguous:
            return False
        path = target.path
        return any(glob.fits(path) for glob in self.paths)

    def has_expired(self, now: float) -> bool:
        return self.allow.expires_at is not None and self.allow.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The rules of one scheme, port and host (or wildcard), in the file's order."""

    rules: tuple[Rule, ...]
    by_stem: Mapping[str, tuple[tuple[int, Rule], ...]] | None
    """A path's beginning up to its first wildcard segment to rules with their number; None where there are few."""
    deepest: int = 0
    """How many segments the longest stem has."""

    def candidates(self, path: str) -> Iterable[Rule]:
        """Return the rules whose path may fit, in the file's order."""
        if self.by_stem is None:
            return self.rules
        found: dict[int, Rule] = {}
        for stem in _beginnings(path, self.deepest):
            found.update(self.by_stem.get(stem, ()))
        return [found[number] for number in sorted(found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRules:
    rules: tuple[Rule, ...] = ()
    problem: str = ""
    """Why the group's grants do not count: then nothing is granted."""
    by_place: Mapping[tuple[str, int, str], Place] = field(default_factory=dict)
    """(scheme, port, host) to its rules; wildcards stand under `*.` and their base."""
    has_wildcards: bool = False
    web_read: Rule | None = None
    """For what no other rule fits."""

    def places(self, scheme: Scheme, host: str, port: int) -> Iterator[Place]:
        """Yield the places that a host belongs to: its own first, then wildcards, the nearest first."""
        own = self.by_place.get((scheme, port, host))
        if own is not None:
            yield own
        if not self.has_wildcards:
            return
        labels = host.split(".")
        for index in range(1, len(labels) - 1):
            place = self.by_place.get((scheme, port, "*." + ".".join(labels[index:])))
            if place is not None:
                yield place


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """All rules at one moment."""

    routes: Mapping[str, Route] = field(default_factory=dict)
    groups: Mapping[GroupId, GroupRules] = field(default_factory=dict)
    dry_until: Mapping[GroupId, float] = field(default_factory=dict)
    """Groups with a dry run, and when it ends (epoch seconds)."""


def index_rules(rules: Iterable[Rule], web_read: Rule | None = None) -> GroupRules:
    """Return the rules with their index."""
    by_place: dict[tuple[str, int, str], list[Rule]] = {}
    kept = tuple(rules)
    for rule in kept:
        place = (rule.scheme, rule.port, f"*.{rule.host}" if rule.is_wildcard else rule.host)
        by_place.setdefault(place, []).append(rule)
    return GroupRules(
        rules=kept,
        by_place={place: _index_place(found) for place, found in by_place.items()},
        has_wildcards=any(rule.is_wildcard for rule in kept),
        web_read=web_read,
    )


def users_of_secret(name: str, policy: Policy) -> tuple[str, ...]:
    """Return who names a secret: `route anthropic`, `grant main:3`."""
    routes = [f"route {route.name}" for route in policy.routes.values() if route.secret == name]
    grants = [f"grant {rule.name}" for group in policy.groups.values() for rule in group.rules if rule.secret == name]
    return (*routes, *grants)


def _index_place(rules: list[Rule]) -> Place:
    if len(rules) <= FEW:
        return Place(rules=tuple(rules), by_stem=None)
    by_stem: dict[str, list[tuple[int, Rule]]] = {}
    for number, rule in enumerate(rules):
        stems = [""] if rule.paths is None else dict.fromkeys(glob.stem for glob in rule.paths)
        for stem in stems:
            by_stem.setdefault(stem, []).append((number, rule))
    return Place(
        rules=tuple(rules),
        by_stem={stem: tuple(numbered) for stem, numbered in by_stem.items()},
        deepest=max(stem.count("/") for stem in by_stem),
    )


def _beginnings(path: str, deepest: int) -> Iterator[str]:
    """Yield the path's beginnings that end where a segment ends, from none to the whole, none deeper than asked."""
    end = 0
    for _depth in range(deepest + 1):
        yield path[:end]
        if end == len(path):
            return
        end = path.find("/", end + 1)
        if end < 0:
            end = len(path)
