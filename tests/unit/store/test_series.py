"""Figures over time: every bucket is what its values come to, what was reported counts once, and what is old goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.model.access import SCHEDULER
from tenure.model.commands import LEASE, AcquireLease, Holder, JobRequest, JobSpec, SuspendJob, UpdateJob
from tenure.model.measures import COARSE_MS, FINE_MS, MINUTE_MS, STEPS_MS, Holding, LiveTask, Point, Reported
from tenure.model.plan import Decision, Start
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.store.series import MOST_NAMES
from tenure.testing.store_resizes_suite import resized
from tenure.testing.store_rig import ADA, ONE_CPU, ONE_GPU, StoreRig, ended, started
from tests.support.examples import examples

BASE_MS = 1_700_000_400_000
SETTINGS = StoreSettings(ballast_bytes=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_sqlite(str(tmp_path / "tenure.db"), SETTINGS)
    yield opened
    opened.close()


def point(name: str, at_ms: int, value: float, *, job: int = 1, task: int = 0, reported: bool = False) -> Point:
    return Point(job, task, name, reported, BASE_MS + at_ms, value)


def shown(store: SqlStore, step_ms: int, name: str = "a", job: int = 1) -> list[tuple[int, int, float, float, float, float]]:
    (found,) = [one for one in store.queries().series(job, 0, step_ms) if one.name == name]
    return [(b.at_ms - BASE_MS, b.values, b.total, b.low, b.high, b.last) for b in found.buckets]


def test_a_value_is_in_one_bucket_of_each_width(store: SqlStore) -> None:
    store.keep([point("a", 1_000, 3.0), point("a", 4_000, 1.0)], [], BASE_MS)
    store.keep([point("a", 4_999, 2.0), point("a", 5_000, 9.0), point("a", 61_000, 0.5)], [], BASE_MS)
    assert shown(store, FINE_MS) == [(0, 3, 6.0, 1.0, 3.0, 2.0), (5_000, 1, 9.0, 9.0, 9.0, 9.0), (60_000, 1, 0.5, 0.5, 0.5, 0.5)]
    assert shown(store, MINUTE_MS) == [(0, 4, 15.0, 1.0, 9.0, 9.0), (60_000, 1, 0.5, 0.5, 0.5, 0.5)]
    assert shown(store, COARSE_MS) == [(0, 5, 15.5, 0.5, 9.0, 0.5)]


@settings(max_examples=examples(25), deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1_500_000), st.integers(-50, 50)), max_size=12), max_size=6
    )
)
def test_buckets_are_what_their_values_come_to(batches: list[list[tuple[str, int, int]]]) -> None:
    store = open_sqlite(":memory:", SETTINGS)
    try:
        for batch in batches:
            store.keep([point(name, at_ms, value) for name, at_ms, value in batch], [], BASE_MS)
        for step_ms in STEPS_MS:
            expected: dict[tuple[str, int], list[int]] = {}
            for name, at_ms, value in [one for batch in batches for one in batch]:
                expected.setdefault((name, (BASE_MS + at_ms) // step_ms * step_ms), []).append(value)
            with store._read() as link:
                link.cursor.execute(
                    "SELECT name, at_ms, count, total, low, high, last FROM sample JOIN series ON id = series_id WHERE step_ms = ?",
                    (step_ms,),
                )
                found = {(row[0], row[1]): tuple(row[2:]) for row in link.cursor.fetchall()}
            assert found == {key: (len(v), sum(v), min(v), max(v), v[-1]) for key, v in expected.items()}
    finally:
        store.close()


def test_what_was_reported_counts_once(store: SqlStore) -> None:
    first = Reported(7, 0, 0, 100, (point("loss", 0, 1.0, reported=True),))
    assert store.keep([], [first], BASE_MS) == {(7, 0): 100}
    # A daemon that did not learn that it was kept reads it again, and so does one that starts anew at 0.
    assert store.keep([], [first], BASE_MS) == {(7, 0): 100}
    assert store.keep([], [Reported(7, 0, 100, 150, (point("loss", 0, 3.0, reported=True),))], BASE_MS) == {(7, 0): 150}
    assert shown(store, FINE_MS, "loss") == [(0, 2, 4.0, 1.0, 3.0, 3.0)]
    store.forget_reports([(7, 0)], BASE_MS)
    assert store.keep([], [Reported(7, 0, 150, 160)], BASE_MS) == {(7, 0): 0}


def test_a_job_that_makes_up_names_does_not_fill_the_store(store: SqlStore) -> None:
    many = [point(f"n{n:03}", 0, 1.0, reported=True) for n in range(MOST_NAMES + 10)]
    store.keep([point("cpu_percent", 0, 1.0)], [Reported(7, 0, 0, 1, tuple(many))], BASE_MS)
    names = [one.name for one in store.queries().series(1)]
    assert len(names) == MOST_NAMES + 1
    assert names[0] == "cpu_percent"


def test_an_own_figure_and_a_reported_one_of_the_same_name_are_apart(store: SqlStore) -> None:
    store.keep([point("a", 0, 1.0), point("a", 0, 2.0, reported=True), point("a", 0, 3.0, task=1)], [], BASE_MS)
    found = [(one.reported, one.task, one.buckets[0].last) for one in store.queries().series(1)]
    assert found == [(False, 0, 1.0), (False, 1, 3.0), (True, 0, 2.0)]


def test_the_finest_width_that_reaches_back_is_chosen(tmp_path: Path) -> None:
    store = open_sqlite(str(tmp_path / "t.db"), replace(SETTINGS, keep_steps_ms=(600_000, 10**12, 10**12)))
    try:
        store.keep([point("a", minute * 60_000, 1.0) for minute in range(60)], [], BASE_MS)
        queries = store.queries()
        assert queries.series(1)[0].step_ms == FINE_MS
        assert queries.series(1, limit=30)[0].step_ms == COARSE_MS
        store.retain(BASE_MS + 3_600_000)
        assert queries.series(1)[0].step_ms == MINUTE_MS
        assert queries.series(1, BASE_MS + 3_060_000)[0].step_ms == FINE_MS
        queries.close()
    finally:
        store.close()


def test_what_is_old_goes_width_by_width_and_then_the_series(tmp_path: Path) -> None:
    store = open_sqlite(str(tmp_path / "t.db"), replace(SETTINGS, keep_steps_ms=(10_000, 120_000, 1_200_000)))
    try:
        store.keep([point("a", 0, 1.0), point("a", 1_000_000, 1.0)], [], BASE_MS)
        store.retain(BASE_MS + 1_000_000)
        assert [len(shown(store, step_ms)) for step_ms in STEPS_MS] == [1, 1, 2]
        store.retain(BASE_MS + 5_000_000)
        assert store.queries().series(1) == []
        store.keep([point("a", 6_000_000, 1.0)], [], BASE_MS)  # whose number was forgotten with it
        assert len(shown(store, FINE_MS)) == 1
    finally:
        store.close()


def test_tasks_that_live_are_told_with_their_devices(tmp_path: Path) -> None:
    rig = StoreRig(lambda: open_sqlite(str(tmp_path / "t.db"), SETTINGS))
    job = rig.submit(ONE_GPU)
    launch = rig.run(job, ONE_GPU, devices=((2,),))
    store = rig.store
    assert isinstance(store, SqlStore)
    queries = store.queries()
    key = (launch.attempt_id, 0)
    assert queries.live_tasks() == [LiveTask(*key, job, ("GPU-n1-1",), (1000,), Holding(1000, 0, 1000, 0))]
    assert queries.writers_of([key, (99, 0)]) == {key: (job, True)}
    rig.record(ended(launch, empty=False))
    assert queries.live_tasks() == []
    assert queries.writers_of([key]) == {key: (job, False)}
    queries.close()
    store.close()


@pytest.mark.parametrize(
    ("what", "holding"),
    [
        ("runs", Holding(1000, 0, 1000, 0)),
        ("lowered unasked", Holding(500, 0, 1000, 0, is_lowered=True)),
        ("unanswered", None),
        ("lowered by its owner", None),
        ("suspended", None),
        ("shares its room", None),
        ("lease", None),
    ],
)
def test_what_may_be_lowered_is_told_of_whom_nobody_has_said_anything(rig: StoreRig, what: str, holding: Holding | None) -> None:
    if what == "lease":
        spec = JobSpec(("tool",), "/", holder=Holder(41, 7))
        rig.apply(AcquireLease(rig.key(), ADA, JobRequest("l", ONE_CPU, kind=LEASE, limit_ms=60_000), spec, "token", 60_000))
        rig.run(1)
    elif what == "shares its room":
        array = rig.submit(array=((0, 1, 1),))
        start = Start(array, rig.placements(ONE_CPU, (1,)), 0, successors=(1,))
        rig.record(started(rig.commit(Decision((start,))).launches[0]))
    else:
        rig.run(rig.submit())
    if what == "suspended":
        rig.act(SuspendJob, 1)
    elif "lowered" in what or what == "unanswered":
        rig.act(UpdateJob, 1, ADA if what == "lowered by its owner" else SCHEDULER, cpu_milli=500)
    if "lowered" in what:
        rig.record(*(resized(signal) for signal in rig.due()))
    queries = rig.store.queries()  # type: ignore[attr-defined]
    assert [task.holding for task in queries.live_tasks()] == [holding]
    queries.close()
