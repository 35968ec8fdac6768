"""The benchmarks run and print what they promise. The figures mean nothing here: small numbers on a busy machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.house import tree
from tests.require import require

UNWATCHED = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
"""Without coverage: a benchmark should not be measured while it measures."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("name", "only", "figures"),
    [
        ("throughput", "tenure array, no groups, 2 slots", {"per_s", "cpu_ms"}),
        ("throughput", "xargs", {"per_s", "cpu_ms"}),
        ("latency", "tenure, no groups", {"p50_ms", "p99_ms"}),
        ("monitor", "5 s", {"cpu_percent", "pss_mb"}),
        ("idle", "", {"cpu_percent", "pss_mb"}),
        ("cli", "tenure ps, ", {"p50_ms", "p99_ms"}),
        ("joining", "", {"p50_ms", "p99_ms"}),
        ("leases", "", {"p50_ms", "p99_ms"}),
        ("reads", "tenure", {"p50_ms", "p99_ms", "per_s", "cpu_us"}),
        ("reads_tcp", "", {"p50_ms", "p99_ms", "per_s", "cpu_us"}),
        ("push", "10 followers", {"p50_ms", "daemon_grew_mb"}),
        ("what_if", "what-if", {"p50_ms", "p99_ms"}),
    ],
)
def test_a_benchmark_prints_one_line_per_case(name: str, only: str, figures: set[str]) -> None:
    command = [sys.executable, "-m", f"bench.{name}", "--json", "--quick", "--only", only]
    done = subprocess.run(command, cwd=tree.ROOT, env=UNWATCHED, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    machine, *rows = map(json.loads, done.stdout.splitlines())
    assert machine["cpus"] >= 1
    if needed := {"joining": "cgroups", "reads_tcp": "wrk"}.get(name):
        require(needed, bool(rows), done.stderr)
    assert rows, done.stderr
    for row in rows:
        assert figures <= set(row)
        assert all(row[figure] >= 0 for figure in figures)


@pytest.mark.timeout(60)
def test_the_growth_of_a_cycle_is_told_case_by_case() -> None:
    command = [sys.executable, "-m", "bench.scale", "--json", "--quick"]
    done = subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["kind"] for row in rows] == ["cold", "warm"]
    assert all(row["cpu_p50_ms"] > 0 and row["peak_mb"] > 0 for row in rows)
    assert rows[1]["starts"] > 0
    assert "warm rounds" in done.stderr
