"""The benchmarks on published logs run and print what they promise; without the logs they say so in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHES = {
    "bound": {"list", "accepted_until", "bound"},
    "easy": {"policy", "runtimes", "avebsld", "published", "max_wait_s", "cpu_s"},
    "lublin": {"order", "avebsld", "published"},
    "queueing": {"log", "policy", "knows", "mean_turnaround_h", "p99_turnaround_h", "deadline_hit_pct", "jain"},
}


def bench(name: str, traces: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one on few jobs."""
    command = [sys.executable, "-m", f"bench.{name}", "--json", "--quick", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")} | {"TENURE_TRACES": traces}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_it_prints_one_line_per_case(name: str) -> None:
    traces = os.environ.get("TENURE_TRACES", "")
    if not traces:
        pytest.skip("TENURE_TRACES names no folder with the published logs")
    done = bench(name, traces)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) >= 4
    for row in rows:
        assert BENCHES[name] <= set(row) or row["policy"] == "bound"
        assert row.get("avebsld", 1) >= 1
        assert row.get("bound", 96) < 100


def test_no_policy_goes_below_the_bound_of_its_log() -> None:
    traces = os.environ.get("TENURE_TRACES", "")
    if not traces:
        pytest.skip("TENURE_TRACES names no folder with the published logs")
    rows = [json.loads(line) for line in bench("queueing", traces, "--policy=sjf-easy,tenure", "--runtimes=exact").stdout.splitlines()]
    bounds = {row["log"]: row["mean_turnaround_h"] for row in rows if row["policy"] == "bound"}
    assert sorted(bounds) == ["chronus", "philly"]
    assert all(row["mean_turnaround_h"] >= bounds[row["log"]] > 0 for row in rows)


@pytest.mark.parametrize(("traces", "sentence"), [("", "TENURE_TRACES is not set"), ("/nowhere", "does not exist")])
@pytest.mark.parametrize("name", sorted(BENCHES))
def test_it_says_where_the_logs_are_looked_for(name: str, traces: str, sentence: str) -> None:
    done = bench(name, traces)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_planning_at_scale_prints_one_line_per_case() -> None:
    done = bench("scale", "")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["kind"] for row in rows] == ["cold", "warm"]
    assert all(row["p50_ms"] >= 0 and row["peak_mb"] > 0 for row in rows)


@pytest.mark.timeout(400)
def test_searches_are_measured_beside_rules_and_the_solver() -> None:
    done = bench("optimisers", "")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    fitness = {(row["case"], row["search"]): row["fitness"] for row in rows if "search" in row}
    for (case, search), found in fitness.items():
        assert 0 < fitness[case, "incumbent"] <= found <= 1, search
    assert {row["policy"] for row in rows if row["case"].startswith("replay")} >= {
        "easy",
        "tenure",
        "annealed:base=tenure,units=1000,window=12",
    }
    for row in rows:
        assert row.get("delay_gap_pct", 0) >= -1
        assert row.get("packed_gap_pct", 0) <= 0
