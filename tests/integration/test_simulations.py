"""Simulations in the background: started, watched, their figures, cancelled; and no file of the machine is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.support.living import until
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
    assert calls.post(PATH, json={"trace": SWF, "key": "k"}).json()["id"] == view["id"], "the same key is the same simulation"
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
