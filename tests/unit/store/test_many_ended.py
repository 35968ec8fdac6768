"""A hundred thousand jobs that have ended cost nothing to whoever follows events or lists what is not over; whoever lists all reads one
page of them, and how many there are is kept. The work of the database is counted in its own instructions, which grow with the
rows that are read and are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenure.model.access import SCHEDULER, Caller
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.store.listing import filter_of, page, records
from tenure.store.queries import Queries
from tenure.testing.store_rig import ADA, StoreRig, ended, node
from tenure.wire.dto import Selection
from tests.support.counting import Counting, repeat

MANY, FEW, PAGE = 100_000, 1_000, 100


class Counted:
    """A store with jobs that have ended, one that runs and one that waits, and what its reads cost."""

    def __init__(self, path: str, jobs: int) -> None:
        self.rig = StoreRig(lambda: open_sqlite(path, StoreSettings(ballast_bytes=0)), [node("n1")])
        job = self.rig.submit()
        self.rig.record(ended(self.rig.run(job)))
        store = self.rig.store
        assert isinstance(store, SqlStore)
        repeat(store.database.link.cursor, "job", "id", job, jobs)
        repeat(store.database.link.cursor, "event", "cursor", store.queries().last_cursor(), 2 * jobs)
        self.rig.reopen()
        self.rig.run(self.rig.submit())
        self.rig.submit()
        reopened = self.rig.store
        assert isinstance(reopened, SqlStore)
        counting = Counting(reopened)
        self.queries, self.cost = counting.queries, counting.cost


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Counted, Counted]]:
    folder: Path = tmp_path_factory.mktemp("many")
    found = Counted(str(folder / "few.db"), FEW), Counted(str(folder / "many.db"), MANY)
    yield found
    for one in found:
        one.rig.store.close()


def newest(queries: Queries) -> object:
    return queries.events(queries.last_cursor() - 5, 500)


READS: dict[str, Callable[[Queries], object]] = {
    "the last cursor": lambda queries: queries.last_cursor(),
    "the newest events": newest,
    "a page of old events": lambda queries: queries.events(20, PAGE),
    "those that ended last": lambda queries: queries.jobs(Selection(limit=PAGE, order="ended"), SCHEDULER),
    "the first of them all": lambda queries: queries.jobs(Selection(limit=PAGE, order="oldest"), SCHEDULER),
    "the order of what is not over": lambda queries: queries.jobs(Selection(limit=PAGE, order="priority"), ADA),
    "what is not over": lambda queries: queries.jobs(Selection(limit=PAGE, states=["active"]), SCHEDULER),
    "what is not over of his own": lambda queries: queries.jobs(Selection(limit=PAGE, states=["active"]), ADA),
}


@pytest.mark.parametrize("read", list(READS))
def test_what_has_ended_is_not_read(stores: tuple[Counted, Counted], read: str) -> None:
    few, many = (store.cost(READS[read]) for store in stores)
    assert 0 < many < 2 * few


@pytest.mark.parametrize("caller", [SCHEDULER, ADA])
def test_a_page_of_all_jobs_reads_one_page(stores: tuple[Counted, Counted], caller: Caller) -> None:
    def read(queries: Queries) -> object:
        with queries._reader.read() as link:
            found = page(link, filter_of(link, Selection(), caller), PAGE)
            assert len(found) == PAGE
            return records(link, found)

    few, many = (store.cost(read) for store in stores)
    assert 0 < many < 2 * few


@pytest.mark.parametrize("caller", [SCHEDULER, ADA])
def test_how_many_there_are_is_known_without_counting(stores: tuple[Counted, Counted], caller: Caller) -> None:
    few, many = (store.cost(lambda queries: queries.jobs(Selection(limit=PAGE), caller)) for store in stores)
    assert 0 < many < 2 * few
    assert stores[1].queries.jobs(Selection(limit=PAGE), caller).counts == {"pending": 1, "running": 1, "succeeded": MANY + 1}
