"""The census answers as a sorting of all who run would, and says when its answer may have changed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tenure.core.census import Census
from tenure.model.job import RunningJob

events = st.lists(st.tuples(st.integers(1, 12), st.sampled_from([None, 1, 2, 3])), max_size=40)


def job(job_id: int, shape: int) -> RunningJob:
    return RunningJob(job_id, job_id, shape, 1, 0, 0, 5, 0, 0, ())


def by_sorting(running: dict[int, RunningJob]) -> Counter[int]:
    asked = 1 << (len(running).bit_length() - 1) if running else 0
    return Counter(running[job_id].shape for job_id in sorted(running)[:asked])


@given(events, st.integers(0, 40))
def test_the_oldest_are_those_of_a_sorting(happened: list[tuple[int, int | None]], unasked: int) -> None:
    running = dict[int, RunningJob]()
    census = Census(running)
    before, changes = None, -1
    for number, (job_id, shape) in enumerate(happened):
        if shape is not None:
            census.add(job_id, shape)
            running[job_id] = job(job_id, shape)
        elif job_id in running:
            del running[job_id]
            census.remove(job_id)
        assert len(census) == len(running)
        if number < unasked:
            continue
        found = by_sorting(running)
        assert census.oldest() == found
        assert census.changes > changes or found == before
        before, changes = found, census.changes


def test_a_start_behind_the_oldest_changes_nothing() -> None:
    census = Census({})
    assert not census.oldest()
    for job_id in range(4):
        census.add(job_id, 1)
    changes = census.changes
    for job_id in (4, 5, 6):
        census.add(job_id, 2)
    census.remove(5)
    assert census.changes == changes
    census.add(7, 2)
    census.add(8, 2)
    assert census.changes > changes
