"""Anomalies as rows: told twice is told once, one open row of a key, an event for each change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tenure.model.anomaly import Anomaly
from tenure.model.hint import Hint
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.store.settings import DAY_MS

SLOW = Anomaly("stalled:3:0", "stalled", "slow", "wait", 3, evidence={"throughput": 0.05}, action="requeue", opened_ms=100)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    opened = open_sqlite(str(tmp_path / "tenure.db"), StoreSettings(ballast_bytes=0))
    yield opened
    opened.close()


def test_an_anomaly_opens_and_closes_once(store: SqlStore) -> None:
    queries = store.queries()
    for _ in range(2):
        store.note_anomalies([SLOW], 100)
    assert queries.anomalies() == [SLOW]
    for _ in range(2):
        store.note_anomalies([replace(SLOW, closed_ms=200)], 200)
    assert queries.anomalies() == []
    store.note_anomalies([replace(SLOW, opened_ms=300)], 300)
    assert [(one.opened_ms, one.closed_ms) for one in queries.anomalies(job_id=3)] == [(300, 0), (100, 200)]
    told = [(event.kind, event.job_id) for event in store.events(0, 10)[0]]
    assert told == [("anomaly.opened", 3), ("anomaly.closed", 3), ("anomaly.opened", 3)]
    queries.close()


def test_what_closed_long_ago_goes(store: SqlStore) -> None:
    store.note_anomalies([SLOW, replace(SLOW, key="other")], 100)
    store.note_anomalies([replace(SLOW, closed_ms=200)], 200)
    store.retain(200 + 8 * DAY_MS)
    assert store.queries().anomalies(job_id=3) == [replace(SLOW, key="other")]


def test_hints_are_events_of_their_job(store: SqlStore) -> None:
    less = Hint("less:3", "memory", "it asks for 64 GB and used 3", "tenure update 3 --memory 8G", 3, figures={"used": 3.0})
    store.tell_hints([less], [], 100)
    store.tell_hints([], [less], 200)
    [given, withdrawn] = store.events(0, 10)[0]
    assert [(event.kind, event.job_id, event.at_ms) for event in (given, withdrawn)] == [
        ("hint.given", 3, 100),
        ("hint.withdrawn", 3, 200),
    ]
    assert json.loads(given.data)["remedy"] == "tenure update 3 --memory 8G"
