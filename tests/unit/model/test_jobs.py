"""The table of waiting jobs: columns in chunks that successive tables share."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.job import CHUNK_SPAN, JOB_COLUMNS, JobChunk, JobTable, PendingJob
from tenure.model.shape import Shape
from tenure.model.snapshot import Changes, Snapshot


def job(job_id: int, shape: int = 1) -> PendingJob:
    return PendingJob(job_id, shape, 1, submitted_ms=job_id * 7, limit_ms=2**40)


def test_a_table_gives_back_its_jobs_by_id() -> None:
    jobs = [job(CHUNK_SPAN + 2), job(3), job(1), job(5 * CHUNK_SPAN)]
    table = JobTable.of(jobs)
    assert list(table.jobs()) == sorted(jobs, key=lambda item: item.id)
    assert len(table) == 4
    assert [chunk.number for chunk in table.chunks] == [0, 1, 5]
    assert table.job(3) == job(3)
    assert table.job(2) is None
    assert table.job(9 * CHUNK_SPAN) is None


def test_a_column_is_plain_64_bit_integers() -> None:
    chunk = JobTable.of([job(1), job(2)]).chunks[0]
    column = array("q")
    column.frombytes(chunk.columns[JOB_COLUMNS.index("limit_ms")])
    assert list(column) == [2**40, 2**40]
    assert list(JobChunk.of(4, ()).jobs()) == []


def test_a_change_shares_the_chunks_it_does_not_touch() -> None:
    table = JobTable.of([job(1), job(CHUNK_SPAN), job(2 * CHUNK_SPAN)])
    changed = table.changed({1: job(1, shape=9), 2: job(2)}, [2 * CHUNK_SPAN])
    assert [item.id for item in changed.jobs()] == [1, 2, CHUNK_SPAN]
    assert changed.chunks[1] is table.chunks[1]
    assert changed.job(1) == job(1, shape=9)
    assert table.job(1) == job(1)


@given(
    st.sets(st.integers(1, 3 * CHUNK_SPAN)),
    st.dictionaries(st.integers(1, 3 * CHUNK_SPAN), st.integers(1, 5)),
    st.sets(st.integers(1, 3 * CHUNK_SPAN)),
)
def test_changing_a_table_is_building_another(ids: set[int], upserts: dict[int, int], removed: set[int]) -> None:
    table = JobTable.of([job(i) for i in sorted(ids)])
    values = {i: job(i, shape) for i, shape in upserts.items()}
    expected = {**{i: job(i) for i in ids}, **values}
    kept = [expected[i] for i in expected if i not in removed]
    assert table.changed(values, removed) == JobTable.of(kept)


def test_a_snapshot_finds_a_waiting_job_and_changes_know_when_they_are_none() -> None:
    snapshot = Snapshot(3, 0, pending=JobTable.of([job(4)]))
    assert snapshot.job(4) == job(4)
    assert snapshot.job(5) is None
    assert Changes(3, 3, 0).is_empty
    assert not Changes(3, 4, 0).is_empty


def test_a_fraction_takes_its_share_of_a_device_a_whole_one_all_of_it() -> None:
    assert Shape(gpu_milli=250).device_share(80) == (250, 20)
    assert Shape(gpu_milli=250, gpu_memory_bytes=7).device_share(80) == (250, 7)
    assert Shape(gpu_milli=2000, gpu_memory_bytes=7).device_share(80) == (1000, 80)
    assert (Shape(gpu_milli=250).gpu_count, Shape(gpu_milli=2000).gpu_count, Shape().gpu_count) == (1, 2, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"gpu_milli": 1500},
        {"gpu_milli": -1},
        {"gpu_memory_bytes": 1},
        {"gpu_model": "A100"},
        {"tasks": 0},
        {"tasks": 2, "nodes": 3},
        {"nodes": -1},
    ],
)
def test_a_shape_that_means_nothing_is_refused(fields: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        Shape(**fields)  # type: ignore[arg-type]
