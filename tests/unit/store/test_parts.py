"""The store's small parts, one by one: statements, arrays, outcomes, log paths, the memory of recent events."""

from __future__ import annotations

from types import ModuleType

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from tenure.model.commands import JobSpec
from tenure.store import (
    acts,
    alive,
    apply,
    arrays,
    commit,
    create,
    deps,
    ending,
    holds,
    intern,
    listing,
    pending,
    recent,
    record,
    rows,
    snapshot,
    staging,
    stream,
    views,
    wishes,
)
from tenure.store.launches import log_paths
from tenure.store.outcome import GANG, TaskRow, back_off_ms, decisive
from tenure.store.rows import JobRow, read_jobs
from tenure.store.schema import job, metadata
from tenure.store.settings import StoreSettings
from tenure.store.sql import InList, Statement, insert, param
from tenure.store.store import SqlStore
from tenure.testing.store_rig import StoreRig

RANGES = "[[0,8,4],[100,101,1]]"


def job_row(**changes: object) -> JobRow:
    """A job row with what a test says, and zeros."""
    values = {name: "" if name in ("name", "kind", "state", "group_name", "array_ranges") else 0 for name in JobRow._fields}
    return JobRow(**{**values, "array_id": None, "ended_ms": None, **changes})  # type: ignore[arg-type]


def task(number: int, reason: str, exit_code: int | None = None, ended_ms: int = 0, why: str = "") -> TaskRow:
    """A task that ended."""
    return TaskRow(1, number, 1, (0, 0, 0, 0), 0, "released", 1, 1, 0, exit_code, 0, reason, why, 0, ended_ms, 0, 0)


def test_a_wrong_order_of_parameters_is_found_when_compiled() -> None:
    wrong = Statement(job.update().values(state=param("state")).where(job.c.id == param("id")), "id", "state")
    with pytest.raises(TypeError, match="declared as"):
        wrong.sql(sqlite.dialect())
    with pytest.raises(TypeError, match="declared as"):
        insert(job, "state", "id").sql(sqlite.dialect())


@pytest.mark.parametrize("module", [apply, arrays, commit, create, snapshot])
def test_statements_are_not_tied_to_one_database(module: object) -> None:
    dialect = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
    for value in vars(module).values():
        if isinstance(value, Statement):
            assert value.sql(dialect)
        elif isinstance(value, InList):
            assert value.sized(3)[0].sql(dialect)
    assert len(create.ddl(dialect)) >= len(metadata.tables)


BIG = ("job", "attempt", "allocation", "allocation_device", "event", "idempotency", "waiting")


@pytest.mark.parametrize(
    "module",
    [
        acts,
        alive,
        apply,
        arrays,
        commit,
        deps,
        ending,
        holds,
        intern,
        listing,
        pending,
        record,
        rows,
        snapshot,
        staging,
        stream,
        views,
        wishes,
    ],
)
def test_no_statement_reads_through_history(module: ModuleType, store: SqlStore) -> None:
    """Tables that grow with every job are only read by a key or by an index of what is alive."""
    link = store.database.link
    for name, value in sorted(vars(module).items()):
        statement = value.sized(2)[0] if isinstance(value, InList) else value
        if not isinstance(statement, Statement):
            continue
        text = link.text(statement)
        link.cursor.execute(f"EXPLAIN QUERY PLAN {text}", (1,) * text.count("?"))
        steps = [step[3] for step in link.cursor.fetchall()]
        assert not [step for step in steps if step.startswith("SCAN") and step.split()[1] in BIG and "INDEX" not in step], name


def test_a_list_of_keys_may_have_any_length(rig: StoreRig, store: SqlStore) -> None:
    ids = [rig.submit() for _ in range(3)]
    link = store.database.link
    for wanted in ([], ids[:1], ids, ids + list(range(1000, 1600))):
        assert sorted(read_jobs(link, wanted)) == [number for number in wanted if number in ids]
    names = InList(lambda keys: job.update().values(name=param("name")).where(job.c.id.in_(keys)), "name")
    assert link.write_in(names, ids + list(range(1000, 1600)), "x") == 3
    assert link.write_in(names, [], "x") == 0
    read = Statement(select(job.c.name).where(job.c.id == param("id")), "id")
    assert link.row(read, ids[0]) == ("x",)
    assert link.row(read, 99) is None


def test_positions_and_indices_of_an_array() -> None:
    assert [arrays.index_at(RANGES, position) for position in range(5)] == [0, 4, 8, 100, 101]
    assert [arrays.position_of(RANGES, index) for index in (0, 4, 8, 100, 101)] == [0, 1, 2, 3, 4]
    assert [arrays.position_of(RANGES, index) for index in (1, 9, 12, 99, 102, -4)] == [-1] * 6
    with pytest.raises(IndexError):
        arrays.index_at(RANGES, 5)


def test_the_next_position_skips_what_is_taken() -> None:
    template = job_row(array_size=5, array_next=1, array_left=3)
    assert arrays.next_after(template, [1, 3], [2]) == 4
    assert arrays.next_after(template, [], []) == 1


@pytest.mark.parametrize(
    ("tasks", "number"),
    [
        ([task(0, "exit", 0)], None),
        ([task(0, "exit", 0), task(1, "exit", 3, 5)], 1),
        ([task(0, "exit", 2, 9), task(1, "exit", 3, 5)], 1),
        ([task(0, "stopped", None, 1, GANG), task(1, "exit", 3, 5)], 1),
        ([task(0, "stopped", None, 1, GANG), task(1, "stopped", None, 1, GANG)], 0),
        ([task(0, "oom", None, 4), task(1, "timeout", None, 4)], 0),
    ],
)
def test_the_first_task_that_failed_by_itself_decides(tasks: list[TaskRow], number: int | None) -> None:
    found = decisive(tasks)
    assert (found.task if found else None) == number


def test_waits_between_retries_double_and_are_bounded() -> None:
    waits = [back_off_ms(StoreSettings(), times) for times in range(8)]
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    assert back_off_ms(StoreSettings(), 10**6) == 60_000


def test_log_paths_follow_slurms_patterns() -> None:
    element = job_row(id=12_345, array_id=12, array_index=7, name="fit")
    plain = JobSpec(("true",), "/data")
    assert log_paths("/logs", element, plain, 2, 0, 1) == ("/logs/12/12_7.2.log", "")
    assert log_paths("/logs", element, plain, 2, 3, 4) == ("/logs/12/12_7.2.3.log", "")
    named = JobSpec(("true",), "/data", stdout="/out/%A_%3a/%x%%%t-%8j.%q")
    assert log_paths("/logs", element, named, 1, 3, 4) == ("/out/12_007/fit%3-00012345.%q", "")
    only_errors = JobSpec(("true",), "/data", stderr="e.%j")
    assert log_paths("/logs", job_row(id=5), only_errors, 1, 0, 1) == ("/logs/0/5.1.log", "/data/e.5")


def test_recent_events_are_served_only_when_they_are_all_there() -> None:
    memory = recent.Recent()
    one, two, three = ("a", 1, None, False), ("b", 2, None, False), ("c", 3, None, True)
    assert memory.since(0, 2, []) is None
    memory.add([one, two], 12)
    assert list(memory.since(10, 12, []) or ()) == [one, two]
    assert list(memory.since(11, 13, [three]) or ()) == [two, three]
    assert list(memory.since(12, 13, [three]) or ()) == [three]
    assert memory.since(9, 12, []) is None
    assert memory.since(11, 15, []) is None
    memory.add([three], 20)
    assert memory.since(11, 20, []) is None
    assert list(memory.since(19, 20, []) or ()) == [three]
    memory.add([one] * 20_000, 20_020)
    assert memory.since(20, 20_020, []) is None
    assert len(list(memory.since(19_020, 20_020, []) or ())) == 1_000
    memory.add([three], 30_000)
    memory.add([three], 20)
    memory.add([], 21)
    assert list(memory.since(19, 20, []) or ()) == [three]
