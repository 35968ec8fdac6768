"""Conflicts as rows: what is written and told, how they are resolved, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tenure.model.access import SCHEDULER, Role
from tenure.model.commands import Applied, Caller, CancelJob, Refused, ResolveConflict
from tenure.model.conflict import Conflict, ConflictKind
from tenure.store import SqlStore, open_sqlite
from tenure.store.conflicts import ALL, ConflictRow, open_to, past_to
from tenure.store.settings import StoreSettings
from tenure.testing.store_rig import ADA, BEN, StoreRig

DAY_MS = 86_400_000


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[StoreRig]:
    path = str(tmp_path / "tenure.db")
    rig = StoreRig(lambda: open_sqlite(path, StoreSettings(ballast_bytes=0, keep_events_ms=DAY_MS)))
    yield rig
    rig.store.close()


def competing(*jobs: int, severity: int = 3) -> Conflict:
    return Conflict("resource-gpu", ConflictKind.RESOURCE, severity, jobs, room="gpu")


def rows(rig: StoreRig, limit: int = 0) -> list[ConflictRow]:
    assert isinstance(rig.store, SqlStore)
    with closing(rig.store.queries()) as queries:
        if limit:
            return queries.read(lambda link: past_to(link, SCHEDULER, ALL, (), limit)).rows
        return queries.read(lambda link: open_to(link, SCHEDULER)).rows


def told(rig: StoreRig) -> list[str]:
    return [kind for kind in rig.kinds() if kind.startswith("conflict.")]


def resolved(rig: StoreRig, way: str, favour: int = 0, caller: Caller = ADA) -> Applied | Refused:
    return rig.apply(ResolveConflict(rig.key(), caller, "resource-gpu", way, favour))


def priorities(rig: StoreRig, *jobs: int) -> list[int]:
    found = [rig.pending(job) for job in jobs]
    return [job.priority for job in found if job is not None]


def test_only_what_changed_is_written_and_a_cut_plan_closes_nothing(rig: StoreRig) -> None:
    one, two = rig.submit(), rig.submit()
    rig.commit(conflicts=(competing(one, two),))
    assert told(rig) == ["conflict.opened"]
    before = rig.store.snapshot(rig.now_ms).revision
    rig.commit(conflicts=(competing(one, two),))
    rig.commit(truncated_at=1)
    assert rig.store.snapshot(rig.now_ms).revision == before
    rig.reopen()
    rig.commit(conflicts=(competing(one),))
    assert told(rig) == ["conflict.opened"], "another contender alone is no news"
    assert [(row.key, row.contenders, row.opened_ms) for row in rows(rig)] == [("resource-gpu", (one,), rig.now_ms)]
    rig.commit(conflicts=(competing(one, severity=5),))
    rig.commit()
    assert told(rig) == ["conflict.opened", "conflict.updated", "conflict.closed"]
    assert rows(rig) == []
    rig.commit(conflicts=(competing(one, two),))
    rig.commit()
    assert [row.id for row in rows(rig, 10)] == [2, 1]
    rig.sound()


def test_by_priority_one_contender_goes_before_the_others(rig: StoreRig) -> None:
    one, two, three = rig.submit(), rig.submit(priority=7), rig.submit()
    rig.commit(conflicts=(competing(one, two, three),))
    answer = resolved(rig, "priority", favour=three)
    assert isinstance(answer, Applied)
    assert answer.note == f"priority: job {three} has priority 8"
    assert priorities(rig, one, two, three) == [5, 7, 8]
    assert rows(rig) == []
    rig.commit(conflicts=(competing(one, two, three),))
    assert rows(rig) == [], "resolved as long as it is found"
    (row,) = rows(rig, 10)
    assert (row.resolution, row.resolved_by, row.resolved_ms) == (answer.note, ADA.user, rig.now_ms)
    assert told(rig) == ["conflict.opened", "conflict.resolved"]
    again = resolved(rig, "priority")
    assert isinstance(again, Refused)
    assert again.code == "not_found"


def test_at_the_end_of_the_scale_the_others_come_down(rig: StoreRig) -> None:
    one, two = rig.submit(priority=10), rig.submit(priority=10)
    rig.commit(conflicts=(competing(one, two),))
    assert isinstance(resolved(rig, "priority", favour=two), Applied)
    assert priorities(rig, one, two) == [9, 10]


def test_without_a_favourite_the_one_that_is_ahead_anyway_is_put_ahead(rig: StoreRig) -> None:
    one, two = rig.submit(), rig.submit()
    rig.commit(conflicts=(competing(one, two),))
    assert isinstance(resolved(rig, "priority"), Applied)
    assert priorities(rig, one, two) == [6, 5]


def test_by_fair_sharing_who_holds_less_goes_first(rig: StoreRig) -> None:
    holding = rig.submit()
    rig.run(holding)
    one, two = rig.submit(), rig.submit(caller=BEN)
    rig.commit(conflicts=(competing(one, two),))
    refused = resolved(rig, "fair")
    assert isinstance(refused, Refused)
    assert refused.code == "not_yours"
    assert priorities(rig, one, two) == [5, 5]
    assert isinstance(resolved(rig, "fair", caller=Caller(0, "root", Role.ADMIN)), Applied)
    assert priorities(rig, one, two) == [5, 6]


def test_what_cannot_resolve_it_says_why(rig: StoreRig) -> None:
    one, two = rig.submit(), rig.submit()
    rig.commit(conflicts=(competing(one, two),))
    codes = [
        answer.code
        for answer in (
            resolved(rig, "time-slicing"),
            resolved(rig, "priority", favour=99),
            resolved(rig, "fair"),
            resolved(rig, "dice"),
        )
        if isinstance(answer, Refused)
    ]
    assert codes == ["not_available", "not_a_contender", "one_contender", "malformed"]
    for job in (one, two):
        rig.act(CancelJob, job)
    late = resolved(rig, "priority")
    assert isinstance(late, Refused)
    assert late.code == "not_waiting"
    assert len(rows(rig)) == 1


def test_what_is_long_over_goes(rig: StoreRig) -> None:
    one, two = rig.submit(), rig.submit()
    rig.commit(conflicts=(competing(one, two),))
    rig.store.retain(rig.now_ms + 2 * DAY_MS)
    assert len(rows(rig, 10)) == 1, "an open one stays"
    rig.commit()
    rig.store.retain(rig.now_ms + 2 * DAY_MS)
    assert rows(rig, 10) == []
