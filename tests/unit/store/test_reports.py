"""Sums of the past against a naive reference: drawn runs, drawn times, every key; clipped at both ends, running ones until now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.access import Caller, Role
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.anomaly import Anomaly
from tenure.model.commands import SetQueue, UpdateJob
from tenure.model.measures import COARSE_MS, Point
from tenure.model.observations import EndReason, Resized, SignalAction, TaskEnded
from tenure.model.plan import Decision, Evict
from tenure.model.shape import Shape
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.store.reports import SAMPLED_MS, Wasted
from tenure.testing.store_rig import ADA, BEN, StoreRig, ended, node
from tenure.testing.store_turns_suite import go_on, rest
from tests.support.examples import examples

HOUR = 3_600_000
FIRST_MS = 1_700_000_400_000 // COARSE_MS * COARSE_MS
NOW_MS = FIRST_MS + 30 * HOUR
ROOT = Caller(0, "root", Role.ADMIN)
MEMORY = 4 * GIB
SIZE = node("n1", cpus=64, gpus=6, labels=("price_per_hour=6",))


@dataclass(frozen=True)
class Run:
    """A drawn run; ``end_ms`` None runs still. Times after `FIRST_MS`."""

    user: Caller
    project: str
    queue: str
    gpus: int
    start_ms: int
    end_ms: int | None


RUNS = st.lists(
    st.builds(
        lambda user, project, queue, gpus, start, length: Run(
            user, project, queue, gpus, start, None if length is None else start + length
        ),
        st.sampled_from([ADA, BEN]),
        st.sampled_from(["p", "q"]),
        st.sampled_from(["default", "night"]),
        st.integers(0, 1),
        st.integers(0, 29 * HOUR),
        st.one_of(st.none(), st.integers(1, HOUR)),
    ),
    max_size=6,
)


@dataclass
class Told:
    """A store with runs in it."""

    rig: StoreRig

    @property
    def store(self) -> SqlStore:
        assert isinstance(self.rig.store, SqlStore)
        return self.rig.store

    def run(self, number: int, run: Run) -> int:
        rig = self.rig
        shape = Shape(Amounts(2 * MILLI, MEMORY), gpu_milli=run.gpus * MILLI)
        job = rig.submit(shape, caller=run.user, project=run.project, queue=run.queue)
        rig.now_ms = FIRST_MS + run.start_ms
        launch = rig.run(job, shape, devices=[[number + 1] * run.gpus] if run.gpus else [[]])
        if run.end_ms is not None:
            rig.now_ms = FIRST_MS + run.end_ms
            rig.record(ended(launch, started_at_ms=FIRST_MS + run.start_ms, ended_at_ms=rig.now_ms))
        return job


@pytest.fixture
def told() -> Iterator[Told]:
    with fresh() as found:
        yield found


@contextmanager
def fresh() -> Iterator[Told]:
    with TemporaryDirectory() as folder:
        rig = StoreRig(lambda: open_sqlite(f"{folder}/tenure.db", StoreSettings(ballast_bytes=0)), [SIZE])
        rig.apply(SetQueue(rig.key(), ROOT, "night"))
        yield Told(rig)
        rig.store.close()


def naive(runs: list[Run], span: tuple[int, int], key: str) -> dict[str, tuple[int, int, int, int, float]]:
    """Jobs, cpu, memory, GPU and cost by key, one run after the other."""
    found: dict[str, list[float]] = {}
    for run in runs:
        begin, end = FIRST_MS + run.start_ms, NOW_MS if run.end_ms is None else FIRST_MS + run.end_ms
        length = min(end, span[1]) - max(begin, span[0])
        if length > 0:
            name = {"user": run.user.user, "project": run.project, "queue": run.queue, "day": ""}[key]
            row = found.setdefault(name, [0, 0, 0, 0, 0.0])
            share = max(2 / 64, MEMORY / (64 * GIB), run.gpus / 6)
            for at, amount in enumerate((1, 2000 * length, MEMORY * length, 1000 * run.gpus * length, 6000 * share * length)):
                row[at] += amount
    return {name: (int(a), int(b), int(c), int(d), e) for name, (a, b, c, d, e) in found.items()}


@settings(max_examples=examples(30), deadline=None)
@given(
    runs=RUNS,
    edges=st.lists(st.integers(0, 30 * HOUR), min_size=2, max_size=4, unique=True),
    by=st.sampled_from(["user", "project", "queue", "day"]),
)
def test_sums_are_those_of_a_naive_count(runs: list[Run], edges: list[int], by: str) -> None:
    with fresh() as told:
        for number, run in enumerate(runs):
            told.run(number, run)
        moments = sorted(FIRST_MS + edge for edge in edges)
        spans = list(pairwise(moments))
        found = told.store.queries().held(spans, by, ROOT, NOW_MS)
        for number, span in enumerate(spans):
            rows = {row.key: (row.jobs, row.cpu_milli_ms, row.memory_byte_ms, row.gpu_milli_ms) for row in found if row.span == number}
            expected = naive(runs, span, by)
            assert rows == {key: row[:4] for key, row in expected.items()}
            for row in found:
                if row.span == number:
                    assert row.cost_milli == pytest.approx(expected[row.key][4])
                    assert not row.unpriced
        whole = told.store.queries().held([(moments[0], moments[-1])], by, ROOT, NOW_MS)
        assert sum(row.gpu_milli_ms for row in whole) == sum(row.gpu_milli_ms for row in found)


def one_gpu(told: Told, **changes: object) -> int:
    """A run on one GPU from hour 1 to hour 3."""
    return told.run(0, replace(Run(ADA, "p", "default", 1, HOUR, 3 * HOUR), **changes))  # type: ignore[arg-type]


def busy(told: Told, job: int, percents: list[int]) -> None:
    """What its GPU was seen to do, from its start on, one figure for ten minutes."""
    points = [Point(job, 0, "gpu_percent", False, FIRST_MS + HOUR + n * COARSE_MS, float(p)) for n, p in enumerate(percents)]
    told.store.keep(points, [], NOW_MS)


def waste(told: Told, since_ms: int = 0, until_ms: int = 30 * HOUR, by: str = "user") -> dict[str, Wasted]:
    found = told.store.queries().wasted([(FIRST_MS + since_ms, FIRST_MS + until_ms)], by, ROOT, NOW_MS)
    return {key: row for (_, key), row in found.items()}


def test_idle_and_over_asked_are_told_apart_and_clipped(told: Told) -> None:
    job = one_gpu(told)
    busy(told, job, [0, 5, 40, 60, 30])
    found = waste(told)["ada"]
    assert found.idle == 2 * COARSE_MS * MILLI
    assert found.over_asked == pytest.approx(3 * COARSE_MS * MILLI * 0.4)
    half = waste(told, HOUR + COARSE_MS // 2, HOUR + 2 * COARSE_MS, "project")["p"]
    assert (half.idle, half.over_asked) == (1.5 * COARSE_MS * MILLI, 0)


def test_a_run_that_was_busy_wastes_nothing(told: Told) -> None:
    busy(told, one_gpu(told), [100, 90, 95])
    assert waste(told) == {}


def test_hung_is_what_was_held_while_it_was_seen_to_hang(told: Told) -> None:
    job = one_gpu(told, end_ms=None)
    trouble = Anomaly("hung:1", "hung", "stands", "kill it", job, opened_ms=FIRST_MS + 2 * HOUR)
    told.store.note_anomalies([trouble], NOW_MS)
    assert waste(told)["ada"].hung == 28 * HOUR * MILLI
    told.store.note_anomalies([replace(trouble, closed_ms=FIRST_MS + 5 * HOUR)], NOW_MS)
    assert waste(told)["ada"].hung == 3 * HOUR * MILLI


def test_what_was_displaced_is_lost(told: Told) -> None:
    rig = told.rig
    job = one_gpu(told, end_ms=None)
    shape = Shape(Amounts(2 * MILLI, MEMORY), gpu_milli=MILLI)
    other = rig.submit(shape, priority=9)
    running = rig.running(job)
    assert running is not None
    rig.now_ms = FIRST_MS + 2 * HOUR
    rig.commit(Decision(evicts=(Evict(job, running.attempt_id, other, "for another"),)))
    (signal,) = rig.due()
    gone = TaskEnded(
        signal.attempt_id, 0, signal.fence, EndReason.STOPPED, None, 15, FIRST_MS + HOUR, rig.now_ms, stop_reason="preempted"
    )
    rig.record(gone)
    assert waste(told)["ada"].preempted == HOUR * MILLI


def test_free_gpus_beside_nothing_are_stranded(told: Told) -> None:
    rig = told.rig
    shape = Shape(Amounts(64 * MILLI, MEMORY), gpu_milli=2 * MILLI)
    job = rig.submit(shape)
    rig.now_ms = FIRST_MS + HOUR
    rig.run(job, shape, devices=[[1, 2]])
    rig.store.retain(rig.now_ms)
    found = waste(told)
    assert found[""].stranded == 4 * MILLI * SAMPLED_MS
    assert waste(told, 0, HOUR + SAMPLED_MS // 2)[""].stranded == 2 * MILLI * SAMPLED_MS


def test_nobody_is_told_of_what_he_may_not_see(told: Told) -> None:
    one_gpu(told)
    told.run(1, Run(BEN, "q", "default", 1, HOUR, 2 * HOUR))
    queries, span = told.store.queries(), [(FIRST_MS, NOW_MS)]

    def keys(caller: Caller) -> list[str]:
        return [row.key for row in queries.held(span, "user", caller, NOW_MS)]

    assert keys(ROOT) == ["ada", "ben"]
    assert keys(ADA) == ["ada"]
    assert keys(replace(BEN, projects=(("p", Role.VIEWER),))) == ["ada", "ben"]
    assert keys(replace(BEN, projects=(("p", Role.VIEWER),), only=("p",))) == ["ada"]
    assert keys(replace(ADA, role=Role.NOBODY)) == []


def test_a_run_that_rested_counts_its_cpus_while_it_ran(told: Told) -> None:
    rig, shape = told.rig, Shape(Amounts(4 * MILLI, 8 * GIB))
    rig.now_ms = FIRST_MS
    launch = rig.run(rig.submit(shape), shape)
    for hour in (1, 4):
        rig.now_ms = FIRST_MS + hour * HOUR
        rest(rig, launch)
        if hour == 1:
            rig.now_ms += 2 * HOUR
            assert rig.commit(go_on(launch)).rejections == (None,)
    rig.now_ms = FIRST_MS + 5 * HOUR
    rig.record(ended(launch, ended_at_ms=rig.now_ms))
    spans = [(FIRST_MS, FIRST_MS + 5 * HOUR), *((FIRST_MS + n * HOUR, FIRST_MS + (n + 1) * HOUR) for n in range(5))]
    found = {row.span: (row.cpu_milli_ms, row.memory_byte_ms) for row in told.store.queries().held(spans, "user", ROOT, NOW_MS)}
    assert [found[n][0] // (MILLI * HOUR) for n in range(6)] == [8, 4, 0, 0, 4, 0]
    assert [found[n][1] // (GIB * HOUR) for n in range(6)] == [40, 8, 8, 8, 8, 8]
    rig.sound()


def test_a_run_counts_with_what_it_held_at_each_time(told: Told) -> None:
    rig, shape = told.rig, Shape(Amounts(4 * MILLI, 8 * GIB))
    rig.now_ms = FIRST_MS
    job = rig.submit(shape)
    launch = rig.run(job, shape)
    steps = ((2 * MILLI, GIB), (MILLI, GIB), (4 * MILLI, 8 * GIB))
    for number, (cpu_milli, memory_bytes) in enumerate(steps, 1):
        rig.now_ms = FIRST_MS + number * HOUR
        rig.act(UpdateJob, job, cpu_milli=cpu_milli, memory_bytes=memory_bytes)
        for signal in [one for one in rig.due() if one.action is SignalAction.RESIZE]:
            key = (signal.attempt_id, signal.task, signal.fence, signal.number)
            rig.record(Resized(*key, signal.cpu_milli, signal.memory_bytes))
    rig.now_ms = FIRST_MS + 4 * HOUR
    rig.record(ended(launch, ended_at_ms=rig.now_ms))
    spans = [(FIRST_MS, FIRST_MS + 4 * HOUR), *((FIRST_MS + n * HOUR + HOUR // 2, FIRST_MS + (n + 1) * HOUR) for n in range(4))]
    found = {row.span: (row.cpu_milli_ms, row.memory_byte_ms) for row in told.store.queries().held(spans, "user", ROOT, NOW_MS)}
    assert found[0] == ((4 + 2 + 1 + 4) * MILLI * HOUR, (8 + 1 + 1 + 8) * GIB * HOUR)
    for number, (cpus, gib) in enumerate(((4, 8), (2, 1), (1, 1), (4, 8)), 1):
        assert found[number] == (cpus * MILLI * HOUR // 2, gib * GIB * HOUR // 2)
    rig.sound()
