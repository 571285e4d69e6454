"""What a benchmark prints and keeps: a table for people, one JSON line for programs, a file under bench/results/."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure. `target` is a text as performance tables write it; `ok` is None where there is no target."""

    key: str
    value: float
    unit: str
    target: str = ""
    ok: bool | None = None


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile, e.g. 95; the median for 50."""
    if percent == 50:
        return statistics.median(values)
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def at_most(key: str, value: float, unit: str, limit: float, source: str = "") -> Metric:
    """Return a metric that is ok up to the limit."""
    target = f"<= {limit:.4g} {unit}" + (f" ({source})" if source else "")
    return Metric(key=key, value=value, unit=unit, target=target, ok=value <= limit)


def at_least(key: str, value: float, unit: str, limit: float, source: str = "") -> Metric:
    """Return a metric that is ok from the limit on."""
    target = f">= {limit:.4g} {unit}".rstrip() + (f" ({source})" if source else "")
    return Metric(key=key, value=value, unit=unit, target=target, ok=value >= limit)


def figure(key: str, value: float, unit: str) -> Metric:
    """Return a metric without a target."""
    return Metric(key=key, value=value, unit=unit)


def describe_machine() -> dict[str, Any]:
    """Return what a reader needs to judge absolute figures: processor, cores, memory, kernel, Python, load."""
    return {
        "cpu": _first_line("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory_mb": int(_first_line("/proc/meminfo", "MemTotal").split()[0]) // 1024,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def kept(bench: str, *, but: Collection[str]) -> list[Metric]:
    """Return the figures that were kept of a benchmark before, but those that were measured anew."""
    path = RESULTS / f"{bench}.json"
    found = json.loads(path.read_text("utf-8"))["metrics"] if path.exists() else {}
    return [
        Metric(key=key, value=each["value"], unit=each["unit"], target=each["target"] or "", ok=each["ok"])
        for key, each in found.items()
        if key not in but
    ]


def publish(bench: str, metrics: Sequence[Metric], *, extra: dict[str, Any] | None = None, keep: bool = True) -> None:
    """Print the table and, last, the JSON line; keep the line under bench/results/ too."""
    _print_table(bench, metrics)
    line = json.dumps(
        {
            "bench": bench,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {**describe_machine(), **(extra or {})},
            "metrics": {
                metric.key: {
                    "value": round(metric.value, 3),
                    "unit": metric.unit,
                    "target": metric.target or None,
                    "ok": metric.ok,
                }
                for metric in metrics
            },
        }
    )
    if keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{bench}.json").write_text(line + "\n", "utf-8")
    print(line, flush=True)


def _print_table(bench: str, metrics: Sequence[Metric]) -> None:
    print(f"\n{bench}")
    width = max(len(metric.key) for metric in metrics)
    for metric in metrics:
        verdict = {None: "", True: "ok", False: "MISSED"}[metric.ok]
        print(f"  {metric.key:<{width}}  {metric.value:>10.2f} {metric.unit:<6} {metric.target:<48} {verdict}".rstrip())
    print()


def _first_line(path: str, name: str) -> str:
    with Path(path).open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return "unknown 0"
