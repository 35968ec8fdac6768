"""Single resources, pages and changes through the whole application: what REST has beside the calls that clients make in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tenure.api.front import TABLE
from tests.support.rest import application

ROOT, OTHERS = "/api/v1", "/api/resource-scheduler"


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a whole application with a job that is held, an array of five and a reservation."""
    with application(Path(tmp_path_factory.mktemp("rest"))) as app:
        client = TestClient(app)
        for number, extra in enumerate(({}, {"array": "0-8:2"}, {}), 1):
            made = client.post(
                f"{ROOT}/jobs", json={"argv": ["true"], "cwd": "/", "hold": True, **extra}, headers={"Idempotency-Key": str(number)}
            )
            assert made.status_code == 201
        yield client


def get(calls: TestClient, path: str, status: int = 200, **headers: str) -> Any:
    found = calls.get(ROOT + path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert found.status_code == status, found.text
    return found.json() if found.content else None


def test_pages_go_on_where_they_ended_although_others_came(calls: TestClient) -> None:
    first = get(calls, "/jobs?limit=2&state=held")
    made = calls.post(f"{ROOT}/jobs", json={"argv": ["true"], "cwd": "/", "hold": True, "key": "later"})
    rest = get(calls, f"/jobs?limit=2&state=held&cursor={first['next']}")
    assert [job["id"] for job in first["jobs"] + rest["jobs"]] == ["3", "2", "1"]
    assert "next" not in rest
    assert get(calls, f"/jobs?cursor={first['next']}x", 422)["code"] == "bad_request"
    assert get(calls, f"/devices?cursor={first['next']}", 422)["code"] == "bad_request", "a cursor of another list"
    calls.post(f"{ROOT}/jobs/{made.json()['id']}/cancel")


def test_the_elements_of_an_array_in_pages(calls: TestClient) -> None:
    first = get(calls, "/jobs/2/elements?limit=3")
    rest = get(calls, f"/jobs/2/elements?limit=3&cursor={first['next']}")
    assert [element["id"] for element in first["elements"] + rest["elements"]] == ["2_0", "2_2", "2_4", "2_6", "2_8"]
    assert get(calls, "/jobs/1/elements", 422)["code"] == "not_an_array"


def test_only_the_first_of_two_editors_succeeds(calls: TestClient) -> None:
    tag = calls.get(f"{ROOT}/jobs/1").headers["etag"]
    assert calls.get(f"{ROOT}/jobs/1", headers={"If-None-Match": f'"x", W/{tag}'}).status_code == 304
    done = calls.patch(f"{ROOT}/jobs/1", json={"priority": 7}, headers={"If-Match": tag})
    assert (done.status_code, done.json()["job"]["priority"]) == (200, 7)
    assert done.headers["etag"] == calls.get(f"{ROOT}/jobs/1", headers={"If-None-Match": tag}).headers["etag"] != tag
    late = calls.patch(f"{ROOT}/jobs/1", json={"priority": 8}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "changed")


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/plan"])
@pytest.mark.parametrize("job", ["", "x y", "9-3"])
def test_what_names_no_job_to_wait_for_is_a_mistake_of_the_caller(calls: TestClient, path: str, job: str) -> None:
    body = {"argv": ["true"], "cwd": "/", "key": f"after {job}", "after": [{"job": job}]}
    answer = calls.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request"), answer.text


def test_a_job_is_acted_upon_by_its_path(calls: TestClient) -> None:
    assert calls.post(f"{ROOT}/jobs/3/suspend").json()["code"] == "not_running"
    assert calls.post(f"{ROOT}/jobs/3/cancel", json={"why": "enough"}).json()["ok"]
    assert get(calls, "/jobs/3")["job"]["state"] == "cancelled"
    assert calls.post(f"{ROOT}/jobs/3/release").json()["code"] == "not_waiting"
    assert calls.post(f"{ROOT}/jobs/99/cancel").status_code == 404
    assert calls.post(f"{ROOT}/jobs/3/dance").status_code == 404


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/nodes/gpus", "name"),
        ("/devices/GPU-1", "uuid"),
        ("/queues/default", "name"),
        ("/projects/default", "name"),
        ("/quotas/default", "project"),
        ("/strategies/hybrid", "name"),
        ("/profiles/green", "name"),
        ("/problems/not_found", "code"),
    ],
)
def test_one_of_each(calls: TestClient, path: str, key: str) -> None:
    listing, _, name = path.rpartition("/")
    assert get(calls, path)[key] == name
    assert name in str(get(calls, listing))
    assert get(calls, f"{listing}/nobody", 404)["code"] == "not_found"


def test_devices_of_one_node_in_pages(calls: TestClient) -> None:
    first = get(calls, "/devices?node=gpus&limit=1")
    rest = get(calls, f"/devices?node=gpus&limit=1&cursor={first['next']}")
    assert [device["uuid"] for device in first["devices"] + rest["devices"]] == ["GPU-0", "GPU-1"]
    assert get(calls, "/devices?node=plain")["devices"] == []


def test_a_node_is_drained_and_resumed(calls: TestClient) -> None:
    drained = calls.post(f"{ROOT}/nodes/plain/drain", json={"why": "a fan"}).json()
    assert (drained["status"], drained["drain_reason"]) == ("draining", "a fan")
    assert calls.post(f"{ROOT}/nodes/plain/resume").json()["status"] == "up"


def test_a_queue_is_made_and_changed_by_who_read_it(calls: TestClient) -> None:
    made = calls.put(f"{ROOT}/queues/night", json={"paused": True})
    assert made.json()["paused"]
    assert calls.put(f"{ROOT}/queues/night", json={"bonus": 3}, headers={"If-Match": made.headers["etag"]}).json()["bonus"] == 3
    assert calls.put(f"{ROOT}/queues/night", json={"bonus": 4}, headers={"If-Match": made.headers["etag"]}).status_code == 412
    assert calls.put(f"{ROOT}/queues/none", json={"bonus": 4}, headers={"If-Match": '"a"'}).status_code == 404


def test_a_reservation_by_its_path(calls: TestClient) -> None:
    wish = {"name": "patch", "from_ms": 4_000_000_000_000, "length_ms": 3_600_000, "nodes": ["plain"], "maintenance": True}
    assert calls.post(f"{ROOT}/reservations", json=wish, headers={"Idempotency-Key": "r"}).status_code == 201
    assert get(calls, "/reservations/patch")["maintenance"]
    assert calls.delete(f"{ROOT}/reservations/patch").json()["name"] == "patch"
    assert get(calls, "/reservations/patch", 404)["code"] == "not_found"


def test_the_documented_paths_answer_as_written(calls: TestClient) -> None:
    assert calls.get(f"{OTHERS}/strategy").json()["strategy"] == "priority_based"
    for path, name in (("strategy", "load_balancing"), ("strategy/set", "fair_sharing")):
        said = calls.post(f"{OTHERS}/{path}", json={"strategy": name, "config": {"wait_bonus": 5}}).json()
        assert (said["strategy"], said["config"]) == (name, {"wait_bonus": 5})
    assert calls.get(f"{OTHERS}/strategy/performance").json()["strategies"][0]["policy"] == "fair_sharing:wait_bonus=5"
    refused = calls.post(f"{OTHERS}/strategy/set", json={"strategy": "chaos"})
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_policy")
    for query in ("", "?use_priority=true", "?use_priority=false"):
        assert calls.get(f"{OTHERS}/conflicts/queue{query}").json() == {"conflicts": []}
    assert calls.get(f"{OTHERS}/conflicts/queue?use_priority=maybe").status_code == 400
    assert calls.post(f"{OTHERS}/conflicts/resolve", json={"conflict": "none", "by": "priority"}).status_code == 404
    calls.put(f"{ROOT}/strategy", json={"strategy": "priority_based"})


def test_usage_forecast_and_health(calls: TestClient) -> None:
    assert {sample["node"] for sample in get(calls, "/usage")["samples"]} == {"gpus", "plain"}
    assert get(calls, "/forecast/starts")["starts"] == []
    assert get(calls, "/health")["status"] == get(calls, "/ready")["status"] == "pass"


READABLE = sorted({route.path for route in TABLE if route.method == "GET" and "{" not in route.path})
MOVES = ("content-length",)
"""What may differ between two looks at something that says what time it is."""


@pytest.mark.parametrize("path", [*READABLE, f"{ROOT}/jobs/1", f"{ROOT}/jobs/99", f"{ROOT}/jobs?limit=x"])
def test_head_is_the_head_of_get(calls: TestClient, path: str) -> None:
    head = calls.head(path)
    assert head.content == b""
    if head.headers["content-type"].startswith("text/event-stream"):
        assert head.status_code == 200, "a stream that never begins"
        return
    got = calls.get(path)
    assert head.status_code == got.status_code
    moves = MOVES if head.headers["content-length"] != got.headers["content-length"] else ()
    assert [one for one in head.headers.items() if one[0] not in moves] == [one for one in got.headers.items() if one[0] not in moves]


def test_a_path_says_what_can_be_done_to_it(calls: TestClient) -> None:
    said = calls.options(f"{ROOT}/queues/default")
    assert (said.status_code, said.headers["allow"], said.content) == (204, "GET, HEAD, OPTIONS, PUT", b"")
    refused = calls.delete(f"{ROOT}/queues/default")
    assert (refused.status_code, refused.headers["allow"], refused.json()["code"]) == (405, said.headers["allow"], "method_not_allowed")
    assert calls.head(f"{ROOT}/jobs/act").headers["allow"] == "OPTIONS, POST"
    assert calls.options(f"{ROOT}/nowhere").status_code == 404
