"""Generated workloads: the published marginals, the settings, and the same jobs for the same seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.shape import Shape
from tenure.sim.generate import GENERATORS, generate
from tenure.sim.generate.lublin import KINDS, day_weights
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload, Workload, offered_load
from tests.unit.sim.outcome import outcome


def sizes_of(workload: Workload) -> list[int]:
    return [job.shape.amounts.cpu_milli // MILLI * job.shape.tasks for job in workload.jobs]


@pytest.mark.parametrize("text", ["lublin:jobs=300,seed=7", "poisson:jobs=300,seed=7"])
def test_a_seed_gives_the_same_jobs_and_another_seed_others(text: str) -> None:
    assert generate(text) == generate(text)
    assert generate(text) != generate(text.replace("seed=7", "seed=8"))


@pytest.mark.parametrize("name", GENERATORS)
def test_jobs_are_numbered_in_the_order_of_their_arrival(name: str) -> None:
    jobs = generate(f"{name}:jobs=200").jobs
    assert [job.number for job in jobs] == list(range(1, 201))
    assert jobs[0].submitted_ms == 0
    assert all(job.run_ms >= 1 and job.requested_ms >= job.run_ms for job in jobs)


@pytest.mark.parametrize(("kind", "serial", "powers"), [("batch", 0.2927, 0.96), ("interactive", 0.1541, 0.80), ("all", 0.244, 0.84)])
def test_lublin_sizes_follow_the_published_shares(kind: str, serial: float, powers: float) -> None:
    workload = generate(f"lublin:jobs=20000,nodes=128,kind={kind}")
    sizes = sizes_of(workload)
    assert np.mean([size == 1 for size in sizes]) == pytest.approx(serial, abs=0.015)
    assert np.mean([size & (size - 1) == 0 for size in sizes]) > powers
    assert max(sizes) <= 128
    assert workload.nodes[0].capacity.cpu_milli == 128_000


def test_lublin_run_times_are_the_published_mixture() -> None:
    workload = generate("lublin:jobs=20000,nodes=128")
    logs = np.log([job.run_ms / 1000 for job in workload.jobs])
    kind = KINDS["batch"]
    short = np.clip(kind.slope * np.array(sizes_of(workload)) + kind.intercept, 0, 1)
    expected = np.mean(short * kind.short[0] * kind.short[1] + (1 - short) * kind.long[0] * kind.long[1])
    assert np.mean(logs) == pytest.approx(expected, abs=0.1)
    assert max(logs) <= 12.0


def test_lublin_larger_jobs_run_longer() -> None:
    workload = generate("lublin:jobs=20000,nodes=256")
    pairs = list(zip(sizes_of(workload), (math.log(job.run_ms) for job in workload.jobs), strict=True))
    assert np.mean([log for size, log in pairs if size >= 64]) > np.mean([log for size, log in pairs if size <= 4]) + 0.3


def test_lublin_arrivals_keep_the_day() -> None:
    workload = generate("lublin:jobs=20000,load=0.9")
    hours = [job.submitted_ms / 3_600_000 % 24 for job in workload.jobs]
    offset = min(range(24), key=lambda start: sum((hour - start) % 24 < 6 for hour in hours))
    assert sum((hour - offset) % 24 < 6 for hour in hours) < 0.12 * len(hours)
    assert sum((hour - offset - 9) % 24 < 9 for hour in hours) > 0.45 * len(hours)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_day_has_48_half_hours_that_average_one(kind: str) -> None:
    weights = day_weights(KINDS[kind])
    assert weights.shape == (48,)
    assert weights.mean() == pytest.approx(1.0)
    assert 8 <= np.argmin(weights) <= 11
    assert 24 <= np.argmax(weights) <= 34


@pytest.mark.parametrize("load", [0.5, 0.9, 1.4])
def test_lublin_load_is_what_was_asked_for(load: float) -> None:
    assert offered_load(generate(f"lublin:jobs=5000,load={load}")) == pytest.approx(load, rel=0.03)


def test_lublin_estimates_are_between_the_run_and_its_multiple() -> None:
    exact, rough = generate("lublin:jobs=500"), generate("lublin:jobs=500,estimates=4")
    assert all(job.requested_ms == job.run_ms for job in exact.jobs)
    factors = [job.requested_ms / job.run_ms for job in rough.jobs]
    assert 1.0 <= min(factors) < 1.5
    assert 4.5 < max(factors) < 5.1


def test_lublin_on_nodes_makes_gangs() -> None:
    workload = generate("lublin:jobs=500,nodes=64", parse_nodes("8x8c"))
    assert max(job.shape.amounts.cpu_milli for job in workload.jobs) <= 8000
    assert max(job.shape.tasks for job in workload.jobs) > 1
    with pytest.raises(BadWorkload, match="have 64 cores and the model is set for 65"):
        generate("lublin:nodes=65", parse_nodes("8x8c"))


def test_a_tiny_machine_is_never_exceeded() -> None:
    for kind in KINDS:
        assert set(sizes_of(generate(f"lublin:jobs=500,nodes=2,kind={kind}"))) <= {1, 2}


def test_poisson_arrivals_and_runs_have_the_means_asked_for() -> None:
    workload = generate("poisson:jobs=20000,rate=120,run=30m,sigma=1,seed=3")
    gaps = np.diff([job.submitted_ms for job in workload.jobs])
    assert gaps.mean() == pytest.approx(30_000, rel=0.03)
    assert gaps.std() == pytest.approx(30_000, rel=0.05)
    assert np.mean([job.run_ms for job in workload.jobs]) == pytest.approx(1_800_000, rel=0.05)


def test_a_poisson_mix_has_fractions_gangs_and_jobs_without_gpus() -> None:
    workload = generate("poisson:jobs=4000,gpus=0:1|0.5:1|4:1|12:1,users=3", parse_nodes("4x8xA100"))
    shapes = {job.shape for job in workload.jobs}
    assert shapes == {
        Shape(Amounts(1000, 4 * GIB)),
        Shape(Amounts(2000, 16 * GIB), gpu_milli=500),
        Shape(Amounts(16_000, 128 * GIB), gpu_milli=4000),
        Shape(Amounts(24_000, 192 * GIB), gpu_milli=6000, tasks=2),
    }
    counts = {user: sum(job.user == user for job in workload.jobs) for user in ("u0", "u1", "u2")}
    assert counts["u0"] > counts["u1"] > counts["u2"] > 0


def test_a_job_larger_than_the_machines_is_refused() -> None:
    with pytest.raises(BadWorkload, match="16 GPUs is larger than the machines, which have 8"):
        generate("poisson:gpus=16", parse_nodes("1x8xA100"))


@pytest.mark.parametrize(
    "text",
    [
        *("gauss", "", "lublin:jobs", "lublin:jobs=many", "lublin:job=5", "lublin:jobs=1,jobs=2", "lublin:jobs=0", "lublin:nodes=1"),
        *("lublin:kind=none", "lublin:load=nan", "lublin:load=-1", "lublin:seed=-1", "lublin:jobs=99999999", "poisson:rate=0"),
        *("poisson:run=soon", "poisson:gpus=", "poisson:gpus=1.5", "poisson:gpus=1:heavy", "poisson:gpus=1:0", "poisson:sigma=inf"),
    ],
)
def test_a_bad_setting_shows_what_may_be_written(text: str) -> None:
    with pytest.raises(BadWorkload, match=r"lublin|the settings are|default is"):
        generate(text)


@given(st.sampled_from(GENERATORS), st.text(alphabet="jobsrategpun=,.:|0123456789", max_size=25))
def test_any_settings_give_jobs_or_a_clear_refusal(name: str, text: str) -> None:
    found = outcome(lambda: generate(f"{name}:jobs=5,{text.replace('jobs=', '')}"))
    assert isinstance(found, Workload) or found
