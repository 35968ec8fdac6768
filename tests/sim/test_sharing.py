"""Fair shares over time: the same sums in the store as in the simulator, and figures that no change may move unseen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tenure.model.amounts import Amounts
from tenure.model.commands import Caller
from tenure.model.node import Node
from tenure.model.observations import Launch
from tenure.model.project import NO_BOUNDS, Bundle, Project
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.sim.generate import generate
from tenure.sim.metrics import figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.results import Replayed
from tenure.sim.runtimes import Requested
from tenure.sim.workload import TraceJob, Workload, workload_of
from tenure.store.opening import open_sqlite
from tenure.store.settings import StoreSettings
from tenure.testing.store_rig import StoreRig, ended, node

FAIR = policy_by_name("fair")
SETTINGS = PlanSettings(half_life_ms=40_000)
PROJECTS = (Project(0, "p0", weight_milli=2000), Project(0, "p1", maximum=NO_BOUNDS._replace(cpu_milli=6000)))


def _small() -> Workload:
    """Forty jobs of three users and two projects on eight cpus."""
    jobs = [
        TraceJob(
            number=number,
            name=str(number),
            shape=Shape(Amounts(1000 * (1 + number % 3))),
            submitted_ms=1000 * (number // 2),
            run_ms=3000 + 1700 * (number * 7 % 5),
            user=f"u{number % 3}",
            project=f"p{number % 5 % 2}",
        )
        for number in range(40)
    ]
    return workload_of("small", [Node(1, "n1", Amounts(8000, 2**36))], jobs)


class _Production:
    """The same workload on a store: each moment's ends, then its submissions, then one plan."""

    def __init__(self, path: Path, workload: Workload) -> None:
        settings = StoreSettings(plan=SETTINGS, projects=PROJECTS, ballast_bytes=0)
        self.rig = StoreRig(lambda: open_sqlite(str(path / "tenure.db"), settings), [node("n1", 8)])
        self.rig.store.define_projects(0)  # type: ignore[attr-defined]
        self.jobs = workload.jobs
        self.begin_ms = self.rig.now_ms
        self.numbers: dict[int, int] = {}
        self.ends: dict[int, list[Launch]] = {}
        self.started: dict[int, int] = {}

    def run(self) -> None:
        times = {job.submitted_ms for job in self.jobs}
        while times:
            now_ms = min(times)
            times.remove(now_ms)
            times.update(self._step(now_ms))

    def _step(self, now_ms: int) -> Iterator[int]:
        rig = self.rig
        rig.now_ms = self.begin_ms + now_ms
        for launch in self.ends.pop(now_ms, []):
            rig.record(ended(launch, empty=True))
        for position, job in enumerate(self.jobs):
            if job.submitted_ms == now_ms:
                who = Caller(int(job.user[1:]) + 1000, job.user)
                self.numbers[rig.submit(job.shape, caller=who, project=job.project)] = position
        plan = FAIR.plan(rig.store.snapshot(rig.now_ms))
        committed = rig.store.commit(plan, rig.epoch, rig.now_ms)
        for launch in committed.launches:
            position = self.numbers[launch.job_id]
            self.started[position] = now_ms
            at_ms = now_ms + self.jobs[position].run_ms
            self.ends.setdefault(at_ms, []).append(launch)
            yield at_ms


def test_production_and_simulator_decide_and_count_alike(tmp_path: Path) -> None:
    workload = _small()
    replay = Replay(workload, FAIR, rules=Rules(settings=SETTINGS, projects=PROJECTS))
    replayed = replay.run()
    living = _Production(tmp_path, workload)
    living.run()
    assert [living.started[position] for position in range(len(workload.jobs))] == replayed.started_ms
    rig = living.rig
    rig.sound()
    found = {(usage.project, usage.user): usage for usage in rig.store.snapshot(rig.now_ms).usage}
    assert len(found) == 6
    for (project, user), mine in replay.ledger.used.items():
        theirs = found[project, user]
        assert (theirs.cpu_milli_ms, theirs.as_of_ms) == (mine.cpu_milli_ms, mine.as_of_ms + living.begin_ms)
    rig.store.close()


# --- golden figures: the Lublin-Feitelson model's jobs, dealt out to ten users of three projects, one of which sends most of them


def _owned(number: int, job: TraceJob) -> TraceJob:
    project = (0, 0, 0, 1, 0, 2)[number % 6]
    return replace(job, project=f"p{project}", user=f"u{project}{number % 4}")


@cache
def _replayed(policy: str, half_life_ms: int = 604_800_000) -> Replayed:
    drawn = generate("lublin:jobs=200,nodes=64,seed=5,load=0.95")
    workload = replace(drawn, jobs=tuple(_owned(number, job) for number, job in enumerate(drawn.jobs)))
    rules = Rules(settings=replace(Rules().settings, half_life_ms=half_life_ms))
    return Replay(workload, policy_by_name(policy), Requested(), rules).run()


GOLDEN = [
    ("easy", 604_800_000, 68.8670, 0.8005),
    ("fair", 604_800_000, 1370.3141, 0.3360),
    ("fair-easy", 604_800_000, 51.0254, 0.6449),
    ("fair-easy", 0, 51.3602, 0.7455),
    ("fair-easy", 3_600_000, 53.5144, 0.6894),
    ("fair-easy-sjbf", 604_800_000, 49.0594, 0.8796),
]


@pytest.mark.parametrize(("policy", "half_life_ms", "avebsld", "jain"), GOLDEN)
def test_the_figures_of_fair_share(policy: str, half_life_ms: int, avebsld: float, jain: float) -> None:
    found = figures_of(_replayed(policy, half_life_ms))
    assert found["avebsld"] == pytest.approx(avebsld, abs=1e-4)
    assert found["fairness_jain_projects"] == pytest.approx(jain, abs=1e-4)


def test_those_who_use_little_wait_less_than_in_the_order_of_submission() -> None:
    waits = {}
    for policy in ("easy", "fair-easy"):
        result = _replayed(policy)
        pairs = zip(result.workload.jobs, result.started_ms, strict=True)
        waits[policy] = sum(started - job.submitted_ms for job, started in pairs if job.project != "p0")
    assert waits["fair-easy"] * 2 < waits["easy"]


def test_a_maximum_is_never_exceeded() -> None:
    bounded = Project(0, "p0", maximum=Bundle(16_000, -1, -1))
    drawn = generate("lublin:jobs=120,nodes=64,seed=5,load=0.95")
    jobs = tuple(_owned(number, job) for number, job in enumerate(drawn.jobs))
    jobs = tuple(job for job in jobs if job.shape.tasks * job.shape.amounts.cpu_milli <= 16_000)
    result = Replay(replace(drawn, jobs=jobs), policy_by_name("easy"), rules=Rules(projects=(bounded,))).run()
    held = most = 0
    for action in result.actions:
        job = jobs[action.job]
        if job.project == "p0":
            held += (1 if action.kind == "start" else -1) * job.shape.tasks * job.shape.amounts.cpu_milli
            most = max(most, held)
    assert most == 16_000
    assert held == 0
