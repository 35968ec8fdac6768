"""Lists that keep what is over: what a page of them costs, and that pages together are what is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tenure.store import conflicts
from tests.support.rest import Application, application

ROOT = "/api/v1"
_CONFLICT = (
    "INSERT INTO conflict (id, key, kind, severity, opened_ms, updated_ms, closed_ms, contenders) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """An application with a job and 30 conflicts about it, 20 of which are over."""
    folder = Path(tmp_path_factory.mktemp("histories"))
    with application(folder) as app:
        made = TestClient(app).post(
            f"{ROOT}/jobs", json={"argv": ["true"], "cwd": "/", "not_before_ms": 4_000_000_000_000, "key": "one"}
        )
        job = made.json()["id"]
        kinds = ("resource_competition", "priority_conflict")
        rows = [
            (n, f"c{n}", kinds[n % 2], 1 + n % 3, 1000 + n, 1000 + n, 2000 + n if n <= 20 else None, f"[{job}]") for n in range(1, 31)
        ]
        with sqlite3.connect(folder / "tenure.db", timeout=30) as database:
            database.executemany(_CONFLICT, rows)
        database.close()
        yield app


def test_a_page_of_conflicts_asks_once_whose_jobs_they_are_of(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, asked = TestClient(app), []
    seen = conflicts.seen
    monkeypatch.setattr(conflicts, "seen", lambda link, caller, numbers: asked.append(len(numbers)) or seen(link, caller, numbers))
    for path in ("conflicts?limit=5", "conflicts?limit=5&history=1", "conflicts/c25"):
        found = calls.get(f"{ROOT}/{path}").json()
        assert [one["contenders"] for one in found.get("conflicts", [found])] == [["1"]] * len(found.get("conflicts", [found]))
        assert asked == [1], path
        asked.clear()
    assert calls.get(f"{ROOT}/conflicts/c5").json()["code"] == "not_found", "it is over"


def test_a_span_has_its_beginning_and_not_its_end(app: Application) -> None:
    calls = TestClient(app)
    found = calls.get(f"{ROOT}/conflicts?since_ms=1022&until_ms=1025").json()["conflicts"]
    assert [one["id"] for one in found] == ["c22", "c23", "c24"]


def test_the_history_by_severity_has_the_newest_of_the_most_severe_first(app: Application) -> None:
    calls = TestClient(app)
    found, cursor = [], ""
    while True:
        page = calls.get(f"{ROOT}/conflicts?history=1&by=severity&limit=7&cursor={cursor}").json()
        found += [(one["severity"], one["opened_ms"]) for one in page["conflicts"]]
        cursor = page.get("next", "")
        if not cursor:
            break
    assert found == sorted(found, reverse=True)
    assert len(found) == 30
    first = calls.get(f"{ROOT}/conflicts?history=1&limit=7").json()["next"]
    assert calls.get(f"{ROOT}/conflicts?history=1&by=severity&cursor={first}").json()["code"] == "bad_request", "it is of another order"


@pytest.mark.parametrize("history", [0, 1])
def test_nobody_finds_a_reservation_by_what_he_is_not_told_of_it(app: Application, history: int) -> None:
    calls, name = TestClient(app), f"thesis-{history}"
    from_ms = 4_000_000_000_000 + history * 10**8
    made = calls.post(f"{ROOT}/jobs", json={"argv": ["true"], "cwd": "/", "hold": True, "project": "alpha", "key": "of-alpha"})
    assert made.status_code == 201
    wish = {"name": name, "from_ms": from_ms, "length_ms": 1000, "project": "alpha", "key": name}
    assert calls.post(f"{ROOT}/reservations", json=wish).status_code == 201
    calls.post(f"{ROOT}/users", json={"name": "vic", "role": "user", "account": False, "projects": {"beta": "user"}, "key": "vic"})
    token = calls.post(f"{ROOT}/tokens", json={"user": "vic", "role": "user", "key": f"token-{name}"})
    assert token.status_code == 201, token.text
    secret = token.json()["secret"]
    other = TestClient(app, headers={"Authorization": f"Bearer {secret}"})
    asked = f"{ROOT}/reservations?history={history}"
    assert [one["project"] for one in calls.get(f"{asked}&project=alpha").json()["reservations"] if one["name"] == name] == ["alpha"]
    shown = [one for one in other.get(asked).json()["reservations"] if one["name"] == name]
    assert [one.get("project", "") for one in shown] == [""]
    for query in ("project=alpha", "user=root", "project=beta"):
        assert other.get(f"{asked}&{query}").json()["reservations"] == [], query


def test_lines_of_events_say_where_they_begin(app: Application) -> None:
    calls, last = TestClient(app), app.context.queries.last_cursor()
    assert calls.get(f"{ROOT}/events/lines").headers["Tenure-Cursor"] == str(last)
    assert calls.get(f"{ROOT}/events/lines?after=0&limit=1").headers["Tenure-Cursor"] == "0"
