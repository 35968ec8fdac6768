"""Many waiting jobs cost nothing to whoever lists them by priority, and how many there are in a queue is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenure.model.access import SCHEDULER, Caller
from tenure.model.commands import SetQueue
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.store.listing import counts_by_state, filter_of
from tenure.store.queries import Queries
from tenure.testing.store_rig import ADA, StoreRig
from tenure.wire.cursors import cursor_of
from tenure.wire.dto import Selection
from tests.support.counting import Counting, repeat

MANY, FEW, PAGE = 20_000, 400, 50


def waiting(path: Path, jobs: int) -> Counting:
    """A store in which so many wait in one queue, of all priorities, and one in another."""
    rig = StoreRig(lambda: open_sqlite(str(path), StoreSettings(ballast_bytes=0)))
    rig.apply(SetQueue(rig.key(), SCHEDULER, "night"))
    job = rig.submit(name="one")
    rig.submit(queue="night", name="other")
    assert isinstance(rig.store, SqlStore)
    repeat(rig.store.database.link.cursor, "job", "id", job, jobs, priority="1 + n % 10")
    rig.reopen()
    assert isinstance(rig.store, SqlStore)
    return Counting(rig.store)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Counting, Counting]]:
    folder = tmp_path_factory.mktemp("waiting")
    found = waiting(folder / "few.db", FEW), waiting(folder / "many.db", MANY)
    yield found
    for one in found:
        one.queries.close()


def first(_jobs: int) -> Selection:
    return Selection(limit=PAGE, order="priority")


def deep(jobs: int) -> Selection:
    return Selection(limit=PAGE, order="priority", states=["pending"], cursor=cursor_of("jobs-priority", (5, jobs // 2)))


def of_his_own(jobs: int) -> Selection:
    return Selection(limit=PAGE, order="priority", mine=True, cursor=cursor_of("jobs-priority", (3, jobs // 2)))


@pytest.mark.parametrize(("caller", "asked"), [(SCHEDULER, first), (ADA, first), (SCHEDULER, deep), (ADA, deep), (ADA, of_his_own)])
def test_a_page_by_priority_reads_a_page(stores: tuple[Counting, Counting], asked: Callable[[int], Selection], caller: Caller) -> None:
    few, many = (store.cost(lambda queries: queries.jobs(asked(jobs), caller)) for store, jobs in zip(stores, (FEW, MANY), strict=True))  # noqa: B023
    assert 0 < many < 1.5 * few


@pytest.mark.parametrize("caller", [SCHEDULER, ADA])
def test_how_many_are_in_a_queue_is_not_counted(stores: tuple[Counting, Counting], caller: Caller) -> None:
    def read(queries: Queries) -> dict[str, int]:
        return queries.read(lambda link: counts_by_state(link, filter_of(link, Selection(queue="default"), caller)))

    few, many = (store.cost(read) for store in stores)
    assert 0 < many < 1.5 * few
    assert read(stores[1].queries) == {"pending": MANY + 1}


def test_what_has_to_be_counted_comes_with_the_first_page(stores: tuple[Counting, Counting]) -> None:
    queries = stores[0].queries
    page = queries.jobs(Selection(name="one", limit=PAGE), SCHEDULER)
    assert page.counts == {"pending": FEW + 1}
    again = queries.jobs(Selection(name="one", limit=PAGE, cursor=page.next), SCHEDULER)
    assert len(again.jobs) == PAGE
    assert again.counts == {}
    kept = queries.jobs(Selection(queue="default", limit=PAGE, cursor=page.next), SCHEDULER)
    assert kept.counts == {"pending": FEW + 1}
