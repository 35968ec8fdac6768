"""What every benchmark shares: system-wide cpu, interleaved rounds, medians, JSON lines.

Why cpu of the whole machine: a queue's work is spread over client, daemon, database and jobs, and only the sum is honest. The machine
must therefore be quiet. On a virtual machine the hypervisor steals time in bursts, which ruins wall times and spares cpu times: every
result carries the stolen seconds, medians are taken over interleaved rounds, and cpu per unit stands beside every rate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")


def busy_and_steal() -> tuple[float, float]:
    """Seconds that all cpus have worked, and that the hypervisor has kept from them, since boot."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + soft) / _TICKS, steal / _TICKS


@dataclass(slots=True)
class Span:
    """One measured stretch: wall, cpu of the whole machine and stolen time, in seconds; ``submit_s`` until all was handed in."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    steal_s: float = 0.0
    submit_s: float = 0.0
    began: float = 0.0
    _busy: float = 0.0
    _steal: float = 0.0

    def __enter__(self) -> Span:
        self._busy, self._steal = busy_and_steal()
        self.began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s = time.monotonic() - self.began
        busy, steal = busy_and_steal()
        self.cpu_s, self.steal_s = busy - self._busy, steal - self._steal

    def submitted(self) -> None:
        """Note that everything has been handed in."""
        self.submit_s = time.monotonic() - self.began


@dataclass(slots=True)
class Series:
    """The spans of one case, one per round; ``units`` is how much each round did."""

    name: str
    units: int
    spans: list[Span] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Medians over the rounds; a round of which more than 2 % was stolen is left out as long as another is left."""
        calm = [span for span in self.spans if span.steal_s <= 0.02 * span.wall_s] or self.spans
        return {
            "case": self.name,
            "units": self.units,
            "per_s": round(median(self.units / span.wall_s for span in calm), 1),
            "cpu_ms": round(median(1000 * span.cpu_s / self.units for span in calm), 3),
            "submit_s": round(median(span.submit_s for span in calm), 3),
            "rounds": len(self.spans),
            "left_out": len(self.spans) - len(calm),
            "steal_s": round(sum(span.steal_s for span in self.spans), 2),
        }


def interleave(cases: Sequence[tuple[Series, Callable[[Span], None]]], rounds: int) -> None:
    """Run every case once per round, so that a bad minute hits all of them. A case enters the span it is given around what counts; one
    that fails is told and left out from then on."""
    living = list(cases)
    for _ in range(rounds):
        for series, run in list(living):
            span = Span()
            try:
                run(span)
            except Exception as error:
                note(f"{series.name}: left out: {type(error).__name__}: {error}")
                living.remove((series, run))
                continue
            series.spans.append(span)


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency_summary(name: str, samples_ms: Sequence[float]) -> dict[str, Any]:
    """The usual quantiles of a list of latencies in milliseconds."""
    return {
        "case": name,
        "samples": len(samples_ms),
        "p50_ms": round(median(samples_ms), 3),
        "p90_ms": round(percentile(samples_ms, 0.9), 3),
        "p99_ms": round(percentile(samples_ms, 0.99), 3),
        "max_ms": round(max(samples_ms), 3),
    }


def arguments(description: str | None) -> argparse.Namespace:
    """The options that every benchmark takes; ``only`` is a part of a case's name."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    parser.add_argument("--quick", action="store_true", help="small numbers: does it run at all?")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    return parser.parse_args()


def note(text: str) -> None:
    """Tell whoever watches, without mixing it into the results."""
    print(text, file=sys.stderr, flush=True)


def report(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print the results: first the machine, then one line per case."""
    if as_json:
        for row in (machine(), *rows):
            print(json.dumps(row), flush=True)
        return
    if not rows:
        return
    columns = list(rows[0])
    cells = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        print(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )


def machine() -> dict[str, Any]:
    """What it ran on."""
    with open("/proc/loadavg") as file:
        load = float(file.read().split()[0])
    return {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(), "load1": load}
