"""Forecasts as rows: said while nobody knows, never changed, read beside the truth by who may see the job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tenure.model.access import SCHEDULER, Caller
from tenure.model.commands import CancelJob
from tenure.store import SqlStore
from tenure.store.forecasts import BATCH, ForecastRow, Wanted, forecasts
from tenure.store.queries import Queries
from tenure.testing.store_rig import ADA, StoreRig, emptied, ended
from tenure.wire.cursors import Key
from tests.support.counting import Counting, repeat

BEN = Caller(77, "ben")
WEEK_MS = 7 * 86_400_000


@pytest.fixture
def queries(rig: StoreRig) -> Iterator[Queries]:
    found = rig.store.queries()  # type: ignore[attr-defined]
    yield found
    found.close()


def run(rig: StoreRig, job: int, for_ms: int) -> None:
    """Let a job run for so long and end well."""
    launch = rig.run(job)
    rig.now_ms += for_ms
    rig.record(ended(launch, ended_at_ms=rig.now_ms), emptied(launch))


def told(queries: Queries, caller: Caller = SCHEDULER, limit: int = 100, **which: object) -> list[ForecastRow]:
    return queries.read(lambda link: forecasts(link, Wanted(**which), caller, (), limit))  # type: ignore[arg-type]


def test_what_was_said_stays_and_the_truth_comes_beside_it(rig: StoreRig, queries: Queries) -> None:
    first = rig.submit(name="train")
    assert not rig.store.foretell(rig.now_ms), "of the first nothing is known"
    run(rig, first, 1_000)
    job = rig.submit(name="train")
    rig.store.foretell(rig.now_ms)
    assert [(one.id, one.model, one.p50_ms, one.ran_ms) for one in told(queries)] == [
        (str(job), "last_two", 1_000, 0),
        (str(job), "same_name", 1_000, 0),
    ]
    run(rig, job, 3_000)
    rig.store.foretell(rig.now_ms)
    rig.reopen()
    rig.store.foretell(rig.now_ms)
    assert {(one.p50_ms, one.ran_ms, one.state) for one in told(queries)} == {(1_000, 3_000, "succeeded")}
    rig.store.retain(rig.now_ms + 5 * WEEK_MS)
    assert told(queries) == []


def test_nothing_is_said_of_what_is_over_nor_of_arrays(rig: StoreRig, queries: Queries) -> None:
    run(rig, rig.submit(), 1_000)
    run(rig, rig.submit(), 1_000)
    rig.submit(array=((0, 3, 1),))
    assert not rig.store.foretell(rig.now_ms)
    assert told(queries) == []


def test_what_was_looked_at_is_not_looked_at_again(rig: StoreRig) -> None:
    for _ in range(300):
        rig.apply(CancelJob(rig.key(), ADA, rig.submit(), why=""))
    looks: list[int] = []
    connection = rig.store.database.link.cursor.connection  # type: ignore[attr-defined]
    for _ in range(2):
        steps: list[int] = []
        connection.set_progress_handler(lambda steps=steps: steps.append(1), 10)
        rig.store.foretell(rig.now_ms)
        connection.set_progress_handler(None, 0)
        looks.append(len(steps))
    assert looks[1] * 5 < looks[0]


def test_a_run_by_a_clock_that_was_set_back_says_nothing(rig: StoreRig, queries: Queries) -> None:
    run(rig, rig.submit(), 1_000)
    rig.now_ms += 100_000
    run(rig, rig.submit(), -50_000)
    job = rig.submit()
    rig.store.foretell(rig.now_ms)
    assert {(one.p50_ms, one.p90_ms) for one in told(queries)} == {(1_000, 1_000)}
    run(rig, job, -50_000)
    assert {(one.ended_ms is None, one.ran_ms) for one in told(queries)} == {(False, 0)}


def test_pages_and_filters_and_who_may_see_it(rig: StoreRig, queries: Queries) -> None:
    run(rig, rig.submit(), 1_000)
    run(rig, rig.submit(caller=BEN, project="p"), 2_000)
    mine = rig.submit(group="sweep")
    his = rig.submit(caller=BEN, project="p")
    rig.store.foretell(rig.now_ms)
    assert [one.job_id for one in told(queries)] == [his, his, mine, mine]
    assert {one.job_id for one in told(queries, ADA)} == {mine}
    assert [(one.job_id, one.model) for one in told(queries, group="sweep", model="last_two")] == [(mine, "last_two")]
    assert told(queries, known=1) == told(queries, since_ms=rig.now_ms + 1) == told(queries, until_ms=1) == []
    assert {one.job_id for one in told(queries, user="ben")} == {one.job_id for one in told(queries, project="p")} == {his}
    whole, after = [], ()
    while page := queries.read(lambda link, after=after: forecasts(link, Wanted(), SCHEDULER, after, 1)):  # type: ignore[misc]
        whole += page
        after = (page[0].job_id, page[0].model)
    assert whole == told(queries)


def test_many_come_in_batches(rig: StoreRig, queries: Queries) -> None:
    run(rig, rig.submit(), 1_000)
    for _ in range(BATCH + 1):
        rig.submit()
    assert rig.store.foretell(rig.now_ms)
    assert not rig.store.foretell(rig.now_ms)
    assert len(told(queries, model="last_two", limit=2_000)) == BATCH + 1


def test_what_was_said_of_one_job_is_read_without_that_of_others(rig: StoreRig, store: SqlStore) -> None:
    first = rig.submit()
    cursor = store.database.link.cursor
    repeat(cursor, "job", "id", first, 2_000)
    cursor.execute("BEGIN IMMEDIATE")
    cursor.execute("INSERT INTO forecast SELECT id, model, 1, 2, 3 FROM job, (SELECT 'a' AS model UNION ALL SELECT 'b')")
    cursor.execute("COMMIT")
    counting, job = Counting(store), first + 10

    def pages(after: Key) -> list[tuple[int, str]]:
        found = counting.queries.read(lambda link: forecasts(link, Wanted(job=job), SCHEDULER, after, 1))
        return [(one.job_id, one.model) for one in found]

    assert pages(()) == pages((job + 1, "a")) == [(job, "a")], "whatever list the cursor is of"
    assert pages((job, "a")) == [(job, "b")]
    assert pages((job, "b")) == pages((job - 1, "a")) == []
    one, many = (counting.cost(lambda queries: told(queries, job=which)) for which in (first + 2_000, first + 1))  # noqa: B023
    assert 0 < many < 2 * one
    counting.queries.close()
