"""The credential proxy beside mitmdump, a bare CONNECT tunnel and no proxy at all, in interleaved rounds of one run.

Policy, audit and the search for the key in answers are on. Client and service are C programs (bench/native/), and the
client checks of every answer that the key arrived at the service. What was set in milliseconds is judged by what
mitmdump takes in the same run, against what it took where the targets were set.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from bench.certificates import BenchAuthority
from bench.credproxy_targets import (
    KEY,
    OurProxy,
    Target,
    bare_call_cpu_ms,
    bare_tunnel,
    direct,
    mitmdump,
    mitmproxy_version,
    our_proxy,
)
from bench.native_programs import (
    CannotBuild,
    Programs,
    Sample,
    build_programs,
    finish_load,
    service,
    start_load,
)
from bench.report import Metric, at_most, figure, publish

ROUNDS = 3
ROUND_S = 1.5
IDLE_S = 4.0
PAUSE_S = 0.2
"""Between two runs: a proxy closes what the last one left open."""
CONCURRENCY = (1, 16, 64)
MODEL_CONCURRENCY = 8
"""So many model calls are let through at once."""
TUNNEL_CONCURRENCY = 4
EVENT_STREAMS = 6
EVENTS = "GET /events/20/50"
SMALL = "GET /small"
MODEL_CALL = "POST /m/bench/v1/messages"
TEN_MIB, ONE_GIB = 10 << 20, 1 << 30
MANY_HOSTS = 10_000
FEW_RULES, MANY_RULES = 10, 10_000

MITM_ADDED_P50_MS, MITM_ADDED_P99_MS, MITM_CPU_MS, MITM_FIRST_EVENT_MS = 0.83, 1.57, 0.90, 1.17
"""What mitmdump took where the targets below were set: they hold in proportion to what it takes here."""
ADDED_P50_MS, ADDED_P99_MS, CPU_MS, MODEL_CPU_MS, FIRST_EVENT_MS = 0.25, 0.6, 0.18, 0.15, 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One run of the client, and the CPU that the proxy used for it."""

    sample: Sample
    cpu_ms: float
    """For each request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Street:
    """All that runs for the benchmark."""

    programs: Programs
    folder: Path
    port: int
    ca: Path


async def run() -> None:
    """Measure and publish."""
    await asyncio.to_thread(measure)


def measure() -> None:
    try:
        programs = build_programs()
    except CannotBuild as missing:
        raise click.ClickException(str(missing)) from missing
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ny-bench-")))
        authority = BenchAuthority(folder)
        authority.write_for_service(folder / "certificates", MANY_HOSTS)
        port, _ = stack.enter_context(service(programs, folder / "certificates", KEY))
        street = Street(programs=programs, folder=folder, port=port, ca=authority.file)
        metrics = [*_side_by_side(street), *_many_rules(street), *_many_hosts(street)]
        publish("credproxy", metrics, extra={"mitmproxy": mitmproxy_version()})


def grant_for(port: int) -> str:
    """Return the one grant that most of the benchmark needs."""
    place = f'host: localhost, port: {port}, addresses: [127.0.0.1, "::1"], body_cap: 2GB'
    return f"- {{{place}, secret: bench, inject: bearer}}\n"


def _side_by_side(street: Street) -> list[Metric]:
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(our_proxy(street.port, street.ca, grant_for(street.port)))
        mitm = stack.enter_context(mitmdump(street.folder, street.port, street.ca))
        streaming = stack.enter_context(mitmdump(street.folder, street.port, street.ca, streams=True))
        tunnel = stack.enter_context(bare_tunnel(street.port, street.ca))
        nightyard = ours.target(street.port)
        none = direct(street.port, street.ca)
        _say("idle memory")
        time.sleep(IDLE_S)
        metrics = [
            at_most("idle_nightyard", nightyard.rss_mb(), "MB", 42),
            figure("idle_mitmdump", mitm.rss_mb(), "MB"),
            figure("idle_tunnel", tunnel.rss_mb(), "MB"),
        ]
        ours.set_up()
        metrics += _requests(street, [none, tunnel, mitm, nightyard])
        metrics += _model_route(street, ours.model_route(), _find(metrics, "cpu_c16_mitmdump"))
        metrics += _tunnels(street, [none, tunnel, mitm, nightyard])
        metrics += _events(street, [none, tunnel, streaming, nightyard])
        metrics += _websocket(street, [none, tunnel, mitm, nightyard])
        metrics += _downloads(street, [none, tunnel, mitm, nightyard])
        metrics += _gibibyte(street, nightyard)
        metrics += _revoke(street, ours, nightyard)
        return metrics


def _requests(street: Street, targets: Sequence[Target]) -> list[Metric]:
    """One request after another on kept connections."""
    metrics: list[Metric] = []
    for clients in CONCURRENCY:
        taken = _interleaved(street, "requests", targets, clients, SMALL)
        for target in targets:
            key = f"c{clients}_{target.name}"
            metrics.append(figure(f"requests_{key}", _median(taken[target.name], lambda one: one.sample.per_s), "/s"))
            metrics.append(figure(f"p50_{key}", _median(taken[target.name], lambda one: one.sample.p50_ms), "ms"))
            metrics.append(figure(f"p99_{key}", _median(taken[target.name], lambda one: one.sample.p99_ms), "ms"))
            if target.pid:
                metrics.append(figure(f"cpu_{key}", _median(taken[target.name], lambda one: one.cpu_ms), "ms"))
    (ours,) = (target for target in targets if target.name == "nightyard")
    same = _interleaved(street, "same", [ours], 1, SMALL)[ours.name]
    metrics.append(figure("requests_c1_same_head_nightyard", _median(same, lambda one: one.sample.per_s), "/s"))

    def found(key: str) -> float:
        return _find(metrics, key)

    def beyond_ms(name: str) -> float:
        """Return what a request takes longer than through a proxy that only copies."""
        return 1000 / found(f"requests_c1_{name}") - 1000 / found("requests_c1_tunnel")

    rate = found("requests_c1_nightyard") / found("requests_c1_mitmdump")
    added = [("p50", ADDED_P50_MS, MITM_ADDED_P50_MS), ("p99", ADDED_P99_MS, MITM_ADDED_P99_MS)]
    metrics.append(_at_least("requests_c1_over_mitmdump", rate, "x", 4.5))
    metrics.append(figure("requests_c1_beyond_tunnel", beyond_ms("mitmdump") / beyond_ms("nightyard"), "x"))
    for name, limit_ms, reference_ms in added:
        bare = found(f"{name}_c1_direct")
        metrics.append(
            _scaled(
                f"added_{name}_c1",
                found(f"{name}_c1_nightyard") - bare,
                limit_ms,
                found(f"{name}_c1_mitmdump") - bare,
                reference_ms,
            )
        )
    cpu = found("cpu_c16_mitmdump")
    metrics.append(_scaled("cpu_per_request_c16", found("cpu_c16_nightyard"), CPU_MS, cpu, MITM_CPU_MS))
    return metrics


def _model_route(street: Street, target: Target, mitm_cpu_ms: float) -> list[Metric]:
    """A container's model calls, and the same calls by a bare client: what that takes is the upstream leg's own."""
    taken, own_cpu_ms = [], []
    for _ in range(ROUNDS):
        taken += _interleaved(street, "requests", [target], MODEL_CONCURRENCY, MODEL_CALL, rounds=1)[target.name]
        own_cpu_ms.append(bare_call_cpu_ms(street.port, street.ca, MODEL_CONCURRENCY, ROUND_S))
    over_ms = statistics.median(one.cpu_ms - own for one, own in zip(taken, own_cpu_ms, strict=True))
    return [
        figure("model_route_requests", _median(taken, lambda one: one.sample.per_s), "/s"),
        figure("model_route_p50", _median(taken, lambda one: one.sample.p50_ms), "ms"),
        figure("model_route_cpu", _median(taken, lambda one: one.cpu_ms), "ms"),
        figure("upstream_own_cpu", statistics.median(own_cpu_ms), "ms"),
        _scaled("model_route_cpu_over_upstream", over_ms, MODEL_CPU_MS, mitm_cpu_ms, MITM_CPU_MS),
    ]


def _tunnels(street: Street, targets: Sequence[Target]) -> list[Metric]:
    """A new tunnel with its handshakes for each request."""
    taken = _interleaved(street, "tunnels", targets, TUNNEL_CONCURRENCY, SMALL)
    metrics = []
    for target in targets:
        metrics.append(
            figure(f"tunnels_{target.name}", _median(taken[target.name], lambda one: one.sample.per_s), "/s")
        )
        if target.pid:
            metrics.append(
                figure(f"tunnel_cpu_{target.name}", _median(taken[target.name], lambda one: one.cpu_ms), "ms")
            )
    ratio = _find(metrics, "tunnels_nightyard") / _find(metrics, "tunnels_mitmdump")
    return [*metrics, _at_least("tunnels_over_mitmdump", ratio, "x", 6)]


def _events(street: Street, targets: Sequence[Target]) -> list[Metric]:
    """Streams of twenty events, 50 ms apart: the first one, and how late each of them is."""
    metrics = []
    for target in targets:
        _say(f"events: {target.name}")
        sample = _load(street, "events", target, 1, 0, EVENTS, EVENT_STREAMS)
        metrics.append(figure(f"first_event_{target.name}", sample.first_event_ms, "ms"))
        metrics.append(figure(f"event_lag_p50_{target.name}", sample.p50_ms, "ms"))
        metrics.append(figure(f"event_lag_max_{target.name}", sample.max_ms, "ms"))
    bare = _find(metrics, "first_event_direct")
    mitm = _find(metrics, "first_event_mitmdump-stream") - bare
    ours = _find(metrics, "first_event_nightyard") - bare
    return [*metrics, _scaled("first_event_over_direct", ours, FIRST_EVENT_MS, mitm, MITM_FIRST_EVENT_MS)]


def _websocket(street: Street, targets: Sequence[Target]) -> list[Metric]:
    """Frames of 64 bytes there and back."""
    taken = _interleaved(street, "websocket", targets, 1, "GET /echo", rounds=1)
    return [figure(f"websocket_p50_{target.name}", taken[target.name][0].sample.p50_ms, "ms") for target in targets]


def _downloads(street: Street, targets: Sequence[Target]) -> list[Metric]:
    metrics = []
    for target in targets:
        _say(f"10 MiB: {target.name}")
        sample = _load(street, "download", target, 1, 0, f"GET /bytes/{TEN_MIB}", 10)
        metrics.append(figure(f"download_10mib_{target.name}", TEN_MIB / 1e3 / sample.p50_ms, "MB/s"))
    return metrics


def _gibibyte(street: Street, target: Target) -> list[Metric]:
    """1 GiB each way, the resident memory watched meanwhile."""
    metrics = []
    for mode, ask, amount in (("download", f"GET /bytes/{ONE_GIB}", 1), ("upload", "POST /sink", ONE_GIB)):
        _say(f"1 GiB {mode}")
        before = most = target.rss_mb()
        running = start_load(street.programs, mode, target.route, ask, "1", "0", str(amount))
        while running.poll() is None:
            most = max(most, target.rss_mb())
            time.sleep(0.02)
        sample = finish_load(running)
        metrics.append(figure(f"{mode}_1gib", ONE_GIB / 1e3 / sample.p50_ms, "MB/s"))
        metrics.append(at_most(f"{mode}_1gib_growth", most - before, "MB", 10))
    return metrics


def _revoke(street: Street, ours: OurProxy, target: Target) -> list[Metric]:
    """From the word that a grant is gone to the last answer that still came through it, four clients at work."""
    _say("revoke")
    running = start_load(street.programs, "until-refused", target.route, SMALL, "4", "20")
    time.sleep(1.0)
    ours.write_grants("[]\n")
    revoked_at = time.monotonic()
    ours.ask(lambda admin: admin.reload())
    sample = finish_load(running, may_fail=True)
    if sample.failures != 4:
        raise RuntimeError(f"only {sample.failures} of 4 clients were refused after the grant was taken away")
    took_s = max(0.0, sample.last_good_at - revoked_at)
    return [replace(figure("revoke_to_effect", took_s * 1000, "ms"), target="<= 1000 ms")]


def _many_rules(street: Street) -> list[Metric]:
    """The same requests under ten rules and under ten thousand, half of them for the same host."""
    with contextlib.ExitStack() as stack:
        targets = []
        for rules in (FEW_RULES, MANY_RULES):
            grants = "".join(_other_rules(street.port, rules - 1)) + grant_for(street.port)
            ours = stack.enter_context(our_proxy(street.port, street.ca, grants))
            ours.set_up()
            targets.append(ours.target(street.port, f"{rules} rules"))
        taken = _interleaved(street, "requests", targets, 16, SMALL, rounds=2 * ROUNDS)
    few, many = (taken[target.name] for target in targets)
    ratios = [more.cpu_ms / less.cpu_ms for less, more in zip(few, many, strict=True)]
    return [
        figure(f"cpu_{FEW_RULES}_rules", _median(few, lambda one: one.cpu_ms), "ms"),
        figure(f"cpu_{MANY_RULES}_rules", _median(many, lambda one: one.cpu_ms), "ms"),
        at_most("rules_ratio", statistics.median(ratios), "x", 1.10, "cpu, 10,000 over 10 rules"),
    ]


def _other_rules(port: int, count: int) -> list[str]:
    here = f'host: localhost, port: {port}, addresses: [127.0.0.1, "::1"], secret: bench, inject: bearer'
    return [
        f"- {{{here}, paths: [/other/{number}/**]}}\n"
        if number % 2
        else f"- {{host: host-{number}.bench.example, paths: [/v1/**]}}\n"
        for number in range(count)
    ]


def _many_hosts(street: Street) -> list[Metric]:
    """Ten thousand hosts, each asked once through a tunnel of its own: what of that stays in memory."""
    hosts = [f"127.1.{number // 100}.{number % 100 + 1}" for number in range(MANY_HOSTS)]
    grants = "".join(f"- {{host: {host}, port: {street.port}}}\n" for host in hosts)
    with our_proxy(street.port, street.ca, grants + grant_for(street.port)) as ours:
        ours.set_up()
        target = ours.target(street.port)
        _say("ten thousand hosts")
        _load(street, "tunnels", target, TUNNEL_CONCURRENCY, ROUND_S, SMALL)
        _load(street, "requests", target, 16, ROUND_S, SMALL)
        time.sleep(1.0)
        before = target.rss_mb()
        sample = _load(street, "literals", target, TUNNEL_CONCURRENCY, 0, SMALL, MANY_HOSTS)
        time.sleep(1.0)
        growth = target.rss_mb() - before
    return [
        figure("hosts_cold_tunnels", sample.per_s, "/s"),
        at_most("hosts_growth", growth, "MB", 10, "10,000 distinct hosts"),
    ]


def _interleaved(
    street: Street, mode: str, targets: Sequence[Target], clients: int, ask: str, *, rounds: int = ROUNDS
) -> dict[str, list[Taken]]:
    """Run each target once in each round, so that a busy moment of the machine is nobody's alone."""
    taken: dict[str, list[Taken]] = {target.name: [] for target in targets}
    for number in range(rounds):
        for target in targets:
            _say(f"{mode}, {clients} at once, round {number + 1}/{rounds}: {target.name}")
            before = target.cpu_s()
            sample = _load(street, mode, target, clients, ROUND_S, ask)
            cpu_ms = (target.cpu_s() - before) * 1000 / max(1, sample.count)
            taken[target.name].append(Taken(sample=sample, cpu_ms=cpu_ms))
            time.sleep(PAUSE_S)
    return taken


def _load(street: Street, mode: str, target: Target, clients: int, seconds: float, ask: str, amount: int = 0) -> Sample:
    more = [str(clients), str(seconds), *([str(amount)] if amount else [])]
    return finish_load(start_load(street.programs, mode, target.route, ask, *more))


def _median(taken: Sequence[Taken], read: Callable[[Taken], float]) -> float:
    return statistics.median(read(one) for one in taken)


def _find(metrics: Sequence[Metric], key: str) -> float:
    return next(metric.value for metric in metrics if metric.key == key)


def _at_least(key: str, value: float, unit: str, limit: float) -> Metric:
    return Metric(key=key, value=value, unit=unit, target=f">= {limit:.4g} {unit} mitmdump", ok=value >= limit)


def _scaled(key: str, value: float, limit_ms: float, mitm_ms: float, mitm_reference_ms: float) -> Metric:
    """Return a metric in ms whose limit grows and shrinks with what mitmdump takes here."""
    source = f"{limit_ms:g} ms where mitmdump takes {mitm_reference_ms:g}; {mitm_ms:.3g} here"
    return at_most(key, value, "ms", limit_ms * mitm_ms / mitm_reference_ms, source)


def _say(what: str) -> None:
    print(f"  … {what}", flush=True)
