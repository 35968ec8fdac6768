"""Histories by pages: what a page reads does not grow with what is kept, and the pages together are what a naive reader finds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.model.access import SCHEDULER, Caller, Role
from tenure.store import SqlStore, StoreSettings, anomalies, conflicts, guided, open_sqlite, windows
from tenure.store.queries import Queries
from tenure.testing.store_rig import StoreRig, node
from tests.support.counting import Counting
from tests.support.examples import examples

NOW_MS, PAGE = 50_000, 20
FEW, MANY = 500, 10_000
UIDS, PROJECTS = (1, 2), ("p", "q")
PLAIN = Caller(1, "user-1", Role.USER)
KINDS = ("resource_competition", "priority_conflict")
COLUMNS = {
    "conflict": ("id", "key", "kind", "severity", "contenders", "holders", "opened_ms", "updated_ms", "closed_ms"),
    "anomaly": ("id", "key", "kind", "job_id", "opened_ms", "closed_ms"),
    "guidance": ("id", "steps", "project_id", "user_id", "name", "uid", "made_ms", "until_ms", "ended_ms"),
    "reservation": ("id", "name", "project_id", "from_ms", "until_ms", "made_ms", "uid", "removed_ms"),
    "reservation_part": ("reservation_id", "node_id"),
}


class Kept(NamedTuple):
    """A store with histories of some length, their rows by table, and whose each job is."""

    store: SqlStore
    rows: dict[str, list[dict[str, Any]]]
    owners: dict[int, tuple[int, str]]


def kept(path: Path, length: int) -> Kept:
    """Histories whose rows are drawn, the same for each length."""
    rig = StoreRig(lambda: open_sqlite(str(path), StoreSettings(ballast_bytes=0)), [node("n1"), node("n2")])
    owners = {rig.submit(caller=Caller(uid, f"user-{uid}"), project=name): (uid, name) for uid in UIDS for name in PROJECTS}
    store = rig.store
    assert isinstance(store, SqlStore)
    rows, draw = {}, Random(7)
    for table, names in COLUMNS.items():
        made = [_drawn(table, number, draw, sorted(owners)) for number in range(1, length + 1)]
        with closing(sqlite3.connect(path, timeout=30)) as database, database:
            marks = ", ".join("?" * len(names))
            written = [[json.dumps(row[name]) if isinstance(row[name], list) else row[name] for name in names] for row in made]
            database.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", written)
        rows[table] = made
    return Kept(store, rows, owners)


def _drawn(table: str, number: int, draw: Random, jobs: list[int]) -> dict[str, Any]:
    """A row in which everything that a list goes by is some value."""
    at_ms = 10 * number
    return {
        "id": number,
        "key": f"{table}-{number}",
        "name": draw.choice(("", "x")) if table == "guidance" else f"r{number}",
        "kind": draw.choice(KINDS),
        "severity": draw.randint(1, 10),
        "contenders": draw.sample(jobs, draw.randint(1, 2)),
        "holders": draw.sample(jobs, draw.randint(0, 1)),
        "job_id": draw.choice((0, *jobs)),
        "steps": 1,
        "project_id": draw.choice((0, 1, 2)),
        "user_id": draw.choice((0, 1, 2)),
        "uid": draw.choice(UIDS),
        **dict.fromkeys(("opened_ms", "updated_ms", "made_ms", "from_ms"), at_ms),
        **dict.fromkeys(("closed_ms", "ended_ms", "until_ms"), at_ms + 5),
        "removed_ms": draw.choice((None, at_ms)),
        "reservation_id": number,
        "node_id": draw.choice((1, 2)),
    }


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kept, Kept]]:
    folder = tmp_path_factory.mktemp("histories")
    found = kept(folder / "few.db", FEW), kept(folder / "many.db", MANY)
    yield found
    for one in found:
        one.store.close()


def conflicts_after(caller: Caller, by_severity: bool = False, **how: Any) -> Callable[..., list[Any]]:
    wanted = conflicts.Wanted(by_severity=by_severity, **how)
    return lambda link, after: conflicts.past_to(link, caller, wanted, after, PAGE).rows


def _at(numbers: Callable[[Any, int], object], length: int) -> Callable[[Queries], object]:
    return lambda queries: queries.read(lambda link: numbers(link, length))


PAGES: dict[str, Callable[[Any, int], object]] = {
    "conflicts": lambda link, last: conflicts_after(SCHEDULER)(link, (last,)),
    "conflicts by severity": lambda link, last: conflicts_after(SCHEDULER, True)(link, (6, last)),
    "conflicts for some": lambda link, last: conflicts_after(PLAIN)(link, (last,)),
    "anomalies": lambda link, last: anomalies.past_to(link, SCHEDULER, anomalies.ALL, last, PAGE),
    "anomalies for some": lambda link, last: anomalies.past_to(link, PLAIN, anomalies.ALL, last, PAGE),
    "guidance": lambda link, last: guided.past_to(link, SCHEDULER, guided.Wanted(), last, PAGE),
    "reservations": lambda link, last: windows.past(link, windows.ALL, NOW_MS, last, PAGE),
}


@pytest.mark.parametrize("part", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("name", list(PAGES))
def test_a_page_of_a_history_reads_a_page(stores: tuple[Kept, Kept], name: str, part: float) -> None:
    costs = []
    for one, length in zip(stores, (FEW, MANY), strict=True):
        counting = Counting(one.store)
        with closing(counting.queries):
            costs.append(counting.cost(_at(PAGES[name], int(part * length))))
    few, many = costs
    assert few > 0
    assert many < 1.5 * few, "twenty times as many are kept"


def test_who_sees_nothing_does_not_read_it_all(stores: tuple[Kept, Kept]) -> None:
    stranger, looked, after = Caller(9, "user-9", Role.USER), 0, (MANY,)
    with closing(stores[1].store.queries()) as queries:
        while True:
            page = queries.read(lambda link: conflicts.past_to(link, stranger, conflicts.ALL, after, PAGE))  # noqa: B023
            looked += 1
            assert page.rows == []
            if not page.after:
                break
            assert after[0] - page.after[0] >= conflicts.LOOKED_AT
            assert after[0] - page.after[0] < 3 * conflicts.LOOKED_AT
            after = page.after
    assert looked > 2


CALLERS = st.builds(
    Caller,
    st.sampled_from((*UIDS, 9)),
    st.just("somebody"),
    st.sampled_from((Role.USER, Role.OPERATOR)),
    st.lists(st.tuples(st.sampled_from(PROJECTS), st.just(Role.VIEWER)), max_size=1).map(tuple),
)
SPANS = st.tuples(st.integers(0, 10 * FEW), st.just(0) | st.integers(1, 10 * FEW))


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(caller=CALLERS, span=SPANS, kind=st.sampled_from(("", *KINDS)), limit=st.integers(1, 300), severe=st.booleans())
def test_pages_of_conflicts_are_what_a_naive_reader_finds(
    stores: tuple[Kept, Kept], caller: Caller, span: tuple[int, int], kind: str, limit: int, severe: bool
) -> None:
    store, rows, owners = stores[0]
    wanted = conflicts.Wanted(kind, *span, severe)
    allowed = {number for number, owner in owners.items() if caller.sees(*owner)}
    naive = [
        row
        for row in rows["conflict"]
        if _fits(row, kind, span) and (caller.sees_all or allowed.intersection(row["contenders"] + row["holders"]))
    ]
    found, after = list[int](), ()
    with closing(store.queries()) as queries:
        while True:
            page = queries.read(lambda link: conflicts.past_to(link, caller, wanted, after, limit))  # noqa: B023
            assert len(page.rows) <= limit
            assert page.jobs <= set(owners) if caller.sees_all else page.jobs <= allowed
            found += [row.id for row in page.rows]
            after = page.after
            if not after:
                break
    assert found == [row["id"] for row in sorted(naive, key=lambda row: (-row["severity"] if severe else 0, -row["id"]))]


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(caller=CALLERS, span=SPANS, kind=st.sampled_from(("", *KINDS)), limit=st.integers(1, 300))
def test_pages_of_anomalies_are_what_a_naive_reader_finds(
    stores: tuple[Kept, Kept], caller: Caller, span: tuple[int, int], kind: str, limit: int
) -> None:
    store, rows, owners = stores[0]
    naive = [
        row["key"]
        for row in reversed(rows["anomaly"])
        if _fits(row, kind, span) and (not row["job_id"] or caller.sees(*owners[row["job_id"]]))
    ]
    with closing(store.queries()) as queries:
        wanted = anomalies.Wanted(kind, *span)
        found = _whole(lambda before: queries.read(lambda link: anomalies.past_to(link, caller, wanted, before, limit)))
    assert [one.key for _, one in found] == naive


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(caller=CALLERS, project=st.sampled_from(("", *PROJECTS, "none")), limit=st.integers(1, 300))
def test_pages_of_guidance_are_what_a_naive_reader_finds(stores: tuple[Kept, Kept], caller: Caller, project: str, limit: int) -> None:
    store, rows, _ = stores[0]
    with closing(store.queries()) as queries:
        numbers = {name: number for number, name in queries.sharers()[0].items()}
        wanted = guided.Wanted(project=project)
        found = _whole(
            lambda before: [(row.id, row) for row in queries.read(lambda link: guided.past_to(link, caller, wanted, before, limit))]
        )
    naive = [
        row["id"]
        for row in reversed(rows["guidance"])
        if (not project or row["project_id"] == numbers.get(project, -1))
        and (caller.sees_all or row["uid"] == caller.uid or not (row["user_id"] or row["project_id"] or row["name"]))
    ]
    assert [number for number, _ in found] == naive


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(state=st.sampled_from(("", "over", "removed", "planned")), at=st.sampled_from(("", "n1", "n2")), span=SPANS)
def test_pages_of_reservations_are_what_a_naive_reader_finds(
    stores: tuple[Kept, Kept], state: str, at: str, span: tuple[int, int]
) -> None:
    store, rows, _ = stores[0]
    now_ms, limit = 5 * FEW, 37
    wanted = windows.Wanted(state=state, node=at, since_ms=span[0], until_ms=span[1])
    with closing(store.queries()) as queries:
        found = _whole(
            lambda before: [(row.id, row) for row in queries.read(lambda link: windows.past(link, wanted, now_ms, before, limit))]
        )
    on_node = {row["reservation_id"]: row["node_id"] for row in rows["reservation_part"]}
    naive = [
        row["id"]
        for row in reversed(rows["reservation"])
        if state in ("", _state(row, now_ms))
        and at in ("", f"n{on_node[row['id']]}")
        and row["until_ms"] > span[0]
        and (not span[1] or row["from_ms"] < span[1])
    ]
    assert [number for number, _ in found] == naive
    assert all([part.node_id for part in row.parts] == [on_node[number]] for number, row in found)


def _state(row: dict[str, Any], now_ms: int) -> str:
    if row["removed_ms"] is not None:
        return "removed"
    return "over" if row["until_ms"] <= now_ms else "active" if row["from_ms"] <= now_ms else "planned"


def _fits(row: dict[str, Any], kind: str, span: tuple[int, int]) -> bool:
    return kind in ("", row["kind"]) and row["opened_ms"] >= span[0] and (not span[1] or row["opened_ms"] < span[1])


def _whole(page: Callable[[int], list[tuple[int, Any]]]) -> list[tuple[int, Any]]:
    """All pages of a list, each asked for from before the last number."""
    found, before = list[tuple[int, Any]](), 0
    while more := page(before):
        found += more
        before = more[-1][0]
    return found
