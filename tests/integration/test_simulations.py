"""Simulations in the background: started, watched, their figures, cancelled; and no file of the machine is read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tenure.api.simulations import Simulations
from tenure.client import http, paths
from tenure.model.access import Caller
from tenure.model.commands import Applied
from tenure.model.simulation import MOST_BEGUN, BeginSimulation, SimulationNote
from tenure.ports import StoreUnavailable
from tenure.store import StoreSettings, open_sqlite
from tenure.store.simulated import KEPT, KEPT_MS, listed
from tests.support.living import Installation, installation, until
from tests.support.rest import application

PATH = "/api/v1/simulations"
SWF = "; MaxProcs: 4\n" + "".join(f"{n} {n * 10} -1 100 2 -1 -1 2 200 -1 1 {n % 3} -1 -1 -1 -1 -1 -1\n" for n in range(1, 21))


@pytest.fixture
def calls(tmp_path: Path) -> Iterator[TestClient]:
    with application(tmp_path) as app:
        yield TestClient(app)


def ended(calls: TestClient, number: int) -> Any:
    def look() -> Any:
        view = calls.get(f"{PATH}/{number}").json()
        return view if view["state"] != "running" else None

    return until(look, f"the end of simulation {number}")


def start(calls: TestClient, **wish: Any) -> Any:
    made = calls.post(PATH, json=wish)
    assert made.status_code == 202, made.text
    assert made.headers["location"] == f"{PATH}/{made.json()['id']}"
    return made.json()


def test_a_trace_that_is_sent_is_replayed_under_two_policies(calls: TestClient) -> None:
    view = ended(calls, start(calls, trace=SWF, policies=["easy", "fifo"], key="k")["id"])
    assert view["state"] == "succeeded", view
    assert [row["policy"] for row in view["result"]["results"]] == ["easy", "fifo"]
    assert start(calls, trace=SWF, policies=["easy", "fifo"], key="k")["id"] == view["id"], "the same key is the same simulation"
    assert calls.post(PATH, json={"trace": SWF, "key": "k"}).json()["code"] == "key_reused"
    assert "result" not in calls.get(PATH).json()["simulations"][0]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"generate": "lublin:jobs=50,nodes=8", "policies": ["no-such"]}, "unknown_policy"),
        ({"generate": "nobody:jobs=5"}, "bad_request"),
        ({"trace": "no log at all"}, "bad_request"),
    ],
)
def test_what_cannot_be_replayed_fails_with_a_reason(calls: TestClient, wish: dict[str, Any], code: str) -> None:
    view = ended(calls, start(calls, **wish)["id"])
    assert (view["state"], view["code"]) == ("failed", code)
    assert view["text"]


def test_one_at_a_time_until_it_is_cancelled(calls: TestClient) -> None:
    number = start(calls, generate="lublin:jobs=200000,nodes=256")["id"]
    busy = calls.post(PATH, json={"generate": "lublin:jobs=50"})
    assert (busy.status_code, busy.json()["code"]) == (409, "too_many")
    assert calls.post(f"{PATH}/{number}/cancel").json()["state"] == "cancelled"
    assert calls.post(f"{PATH}/{number}/cancel").json()["state"] == "cancelled"
    assert calls.get(f"{PATH}/99").status_code == 404


@pytest.mark.parametrize("wish", [{"generate": "lublin", "nodes": "/etc/passwd"}, {"generate": "/etc/passwd"}, {"nodes": "4x8c"}])
def test_no_path_of_the_machine_is_taken(calls: TestClient, wish: dict[str, Any]) -> None:
    assert calls.post(PATH, json=wish).status_code in (400, 422)


def test_what_has_ended_is_told_by_the_next_daemon_and_what_has_not_is_begun_anew() -> None:
    with installation() as living:
        living.up()
        short = post(living, "/simulations", {"trace": SWF, "policies": ["easy"], "key": "short"})["id"]
        until(lambda: get(living, f"/simulations/{short}")["state"] == "succeeded", "the end of the short one")
        figures = get(living, f"/simulations/{short}")["result"]
        long = post(living, "/simulations", {"generate": "lublin:jobs=20000,nodes=64", "key": "long"})["id"]
        living.kill_daemon()
        living.up()
        assert {one["id"]: one["state"] for one in get(living, "/simulations")["simulations"]} == {short: "succeeded", long: "running"}
        assert get(living, f"/simulations/{short}")["result"] == figures
        assert post(living, "/simulations", {"trace": SWF, "policies": ["easy"], "key": "short"})["id"] == short
        until(lambda: get(living, f"/simulations/{long}").get("policy") == "default", "that it runs again")


def test_what_daemons_have_begun_too_often_is_over(tmp_path: Path) -> None:
    begun = BeginSimulation("k", Caller(os.getuid(), "ada"), ("easy",), b"{}")
    with contextlib.closing(open_sqlite(str(tmp_path / "tenure.db"), StoreSettings(log_dir=str(tmp_path)))) as store:
        (made,) = store.apply([begun], 1)
        assert isinstance(made, Applied)
        for _ in range(1, MOST_BEGUN):
            store.note_simulation(SimulationNote(int(made.note), again=True), 2)
    with application(tmp_path) as app:
        context = app.context
        asyncio.run_coroutine_threadsafe(context.kept(Simulations).resume(), context.bus.loop).result(30)
        view = TestClient(app).get(f"{PATH}/{made.note}").json()
        assert (view["state"], view["code"], "send it again" in view["text"]) == ("failed", "interrupted", True)


def refusing(app: Any, monkeypatch: pytest.MonkeyPatch, times: int) -> list[SimulationNote]:
    """Have the store take no note so often, as on a full disk; what it was told."""
    told: list[SimulationNote] = []
    store = app.context.loop.ports.store
    take = store.note_simulation

    def note(one: SimulationNote, now_ms: int) -> None:
        told.append(one)
        if len(told) <= times:
            raise StoreUnavailable("disk_full", "no room")
        take(one, now_ms)

    monkeypatch.setattr(store, "note_simulation", note)
    monkeypatch.setattr("tenure.api.simulations.AGAIN_S", 0.01)
    monkeypatch.setattr("tenure.api.simulations.TOLD_EVERY_S", 0.0)
    return told


def test_a_store_that_takes_nothing_for_a_while_is_told_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with application(tmp_path) as app:
        calls = TestClient(app)
        told = refusing(app, monkeypatch, 10**6)
        number = start(calls, trace=SWF, policies=["easy", "fifo"])["id"]
        until(lambda: any(one.state == "succeeded" for one in told), "the end of the simulation")
        monkeypatch.undo()
        view = ended(calls, number)
        assert (view["state"], len(view["result"]["results"])) == ("succeeded", 2)
        until(lambda: not app.context.kept(Simulations).runs, "that nobody follows it any more")
        assert calls.get(f"{PATH}/{number}").json()["state"] == "succeeded", "it is kept"


def test_one_that_nobody_follows_is_begun_when_the_store_can_and_can_be_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application(tmp_path) as app:
        context, calls = app.context, TestClient(app)
        request = {"generate": "lublin:jobs=200000,nodes=256", "key": "left"}
        left = start(calls, **request)["id"]
        run = context.kept(Simulations).runs[left]
        context.bus.loop.call_soon_threadsafe(run.task.cancel)  # as the end of a daemon does
        until(lambda: not context.kept(Simulations).runs, "that nobody follows it")
        assert calls.get(f"{PATH}/{left}").json()["state"] == "running"
        told = refusing(app, monkeypatch, 3)
        asyncio.run_coroutine_threadsafe(context.kept(Simulations).resume(), context.bus.loop).result(30)
        asyncio.run_coroutine_threadsafe(context.kept(Simulations).resume(), context.bus.loop).result(30)
        assert [one.again for one in told[:4]] == [True] * 4
        assert [*context.kept(Simulations).runs] == [left]
        context.bus.loop.call_soon_threadsafe(context.kept(Simulations).runs[left].task.cancel)
        until(lambda: not context.kept(Simulations).runs, "that nobody follows it")
        assert calls.post(f"{PATH}/{left}/cancel").json()["state"] == "cancelled"
        after = start(calls, generate="lublin:jobs=50")["id"]
        assert (after, ended(calls, after)["state"]) == (left + 1, "succeeded"), "its place is free"


def test_what_is_kept_has_a_bound(tmp_path: Path) -> None:
    with contextlib.closing(open_sqlite(str(tmp_path / "tenure.db"), StoreSettings(log_dir=str(tmp_path)))) as store:
        for number in range(1, KEPT + 4):
            (made,) = store.apply([BeginSimulation(f"k{number}", Caller(number, "ada"), ("easy",), b"{}")], number)
            assert isinstance(made, Applied), made
            store.note_simulation(SimulationNote(number, "succeeded", result=b"{}"), number)
            store.note_simulation(SimulationNote(number, "failed"), number)  # it is over already
        queries = store.queries()
        kept = queries.read(lambda link: listed(link, -1))
        assert ([row.id for row in kept], {row.state for row in kept}) == ([*range(KEPT + 3, 3, -1)], {"succeeded"})
        store.retain(KEPT + 4 + KEPT_MS)
        assert [row.id for row in queries.read(lambda link: listed(link, -1))] == [KEPT + 3]
        queries.close()


def get(living: Installation, path: str) -> Any:
    return ask(living, "GET", path)


def post(living: Installation, path: str, body: dict[str, Any]) -> Any:
    return ask(living, "POST", path, json.dumps(body).encode())


def ask(living: Installation, method: str, path: str, body: bytes = b"") -> Any:
    """One call over the socket, and what it answered."""
    connection = http.Connection(paths.daemon_socket(str(living.home)))
    with contextlib.closing(connection):
        head, answer = connection.exchange(http.request(method, f"/api/v1{path}", body, http.OWN), 40)
    assert head.status < 300, answer
    return json.loads(answer)
