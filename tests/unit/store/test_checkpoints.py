"""What jobs told of their checkpoints: kept with the run in which it was, seen by plans and by people, and never taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenure.model.commands import RequeueJob
from tenure.model.measures import MINUTE_MS
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_rig import ONE_CPU, StoreRig, ended


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[StoreRig]:
    made = StoreRig(lambda: open_sqlite(str(tmp_path / "t.db"), StoreSettings(ballast_bytes=0)))
    yield made
    made.store.close()


def note(rig: StoreRig, job: int, at_ms: int) -> None:
    assert isinstance(rig.store, SqlStore)
    rig.store.note_checkpoints([(job, at_ms)], rig.now_ms)


def seen(rig: StoreRig, job: int) -> int:
    """What a plan knows, which is what changes tell as well."""
    running = rig.running(job)
    assert running is not None
    return running.checkpoint_ms


def shown(rig: StoreRig, job: int) -> list[int]:
    """What people are shown of each run."""
    assert isinstance(rig.store, SqlStore)
    queries = rig.store.queries()
    try:
        detail = queries.detail(job)
        assert detail is not None
        return [attempt.checkpoint_ms for attempt in detail.attempts]
    finally:
        queries.close()


def test_the_last_one_counts_and_survives_a_crash(rig: StoreRig) -> None:
    job = rig.submit(ONE_CPU)
    rig.run(job, ONE_CPU)
    assert seen(rig, job) == 0
    before = rig.store.snapshot(rig.now_ms).revision
    rig.now_ms += MINUTE_MS
    note(rig, job, rig.now_ms - 5)
    changes = rig.store.changes(before, rig.now_ms)
    assert changes is not None
    assert changes.running[job].checkpoint_ms == seen(rig, job) == rig.now_ms - 5
    note(rig, job, rig.now_ms - 10)
    assert seen(rig, job) == rig.now_ms - 5
    rig.reopen()
    assert (seen(rig, job), shown(rig, job)) == (rig.now_ms - 5, [rig.now_ms - 5])


def test_telling_the_same_again_is_no_news(rig: StoreRig) -> None:
    job = rig.submit(ONE_CPU)
    rig.run(job, ONE_CPU)
    note(rig, job, rig.now_ms)
    before = rig.store.snapshot(rig.now_ms).revision
    note(rig, job, rig.now_ms)
    note(rig, 4711, rig.now_ms)
    assert rig.store.snapshot(rig.now_ms).revision == before


def test_what_an_earlier_run_left_counts_for_that_run_alone(rig: StoreRig) -> None:
    job = rig.submit(ONE_CPU)
    first = rig.run(job, ONE_CPU)
    assert isinstance(rig.store, SqlStore)
    note(rig, job, rig.now_ms)
    at_ms = rig.now_ms
    rig.act(RequeueJob, job)
    rig.record(ended(first))
    note(rig, job, at_ms + 1)  # written on TERM, seen when the job waits again
    rig.now_ms += MINUTE_MS
    rig.run(job, ONE_CPU)
    note(rig, job, at_ms + 2)  # seen only now
    assert (seen(rig, job), shown(rig, job)) == (0, [at_ms + 2, 0])
    note(rig, job, at_ms - MINUTE_MS)
    assert (seen(rig, job), shown(rig, job)) == (0, [at_ms + 2, 0])


def test_who_has_ended_is_not_open(rig: StoreRig) -> None:
    assert isinstance(rig.store, SqlStore)
    queries = rig.store.queries()
    job, waits = rig.submit(ONE_CPU), rig.submit(ONE_CPU)
    launch = rig.run(job, ONE_CPU)
    assert queries.still_open([job, waits, 4711]) == {job, waits}
    rig.record(ended(launch))
    assert queries.still_open([job, waits]) == {waits}
    queries.close()
