"""Every list in pages: cut anywhere, the pages together are the list, in an order that ends in an id; and lists that are narrowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tenure.api.front import TABLE
from tenure.api.routes import parameters_of
from tenure.wire.base import Page
from tests.support.rest import application

ROOT = "/api/v1"


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a whole application with two at least of what can be made."""
    with application(Path(tmp_path_factory.mktemp("rest"))) as app:
        client = TestClient(app)
        made_here(client)
        yield client


PAGED = sorted({route.path for route in TABLE if route.method == "GET" and route.gives and issubclass(route.gives, Page)})
WHOLE = {f"{ROOT}/policies", f"{ROOT}/policy/performance", f"{ROOT}/problems", f"{ROOT}/profiles", f"{ROOT}/strategies"}
"""Lists of what the program itself knows."""


def test_every_list_has_pages() -> None:
    routes = [route for route in TABLE if route.method == "GET" and route.gives is not None]
    for route in routes:
        names = {name for name, _, _ in parameters_of(route.endpoint)}
        assert (route.path in PAGED) == ({"limit", "cursor"} <= names), route.path
    singular = {"status", "resources", "recommendations", "doctor", "report", "metrics", "performance", "settings"}
    for route in routes:
        last = route.path.rpartition("/")[2]
        is_list = last.endswith("s") and last not in singular and not last.startswith("{")
        assert not is_list or route.path in PAGED or route.path in WHOLE or "status/" in route.path, route.path


@pytest.mark.parametrize("path", [path for path in PAGED if "{" not in path])
def test_pages_together_are_the_list(calls: TestClient, path: str) -> None:
    (route,) = [route for route in TABLE if route.method == "GET" and route.path == path]
    names = {name for name, _, _ in parameters_of(route.endpoint)}
    for more in ("", *(["&history=1"] if "history" in names else []), *(["&by=severity"] if "by" in names else [])):
        whole = calls.get(f"{path}?limit=1000{more}").json()
        (name,) = [key for key, value in whole.items() if isinstance(value, list) and key not in ("devices",)] or ["devices"]
        found: list[Any] = []
        cursor = ""
        while True:
            page = calls.get(f"{path}?limit=1{more}&cursor={cursor}").json()
            assert len(page.get(name, [])) <= 1
            found += page.get(name, [])
            cursor = page.get("next", "")
            if not cursor:
                break
        assert [identity(one) for one in found] == [identity(one) for one in whole.get(name, [])]
        assert len(found) > 1 or name not in MANY
        assert calls.get(f"{path}?cursor=bm9uc2Vuc2U").json()["code"] == "bad_request"


MANY = {"jobs", "nodes", "devices", "queues", "reservations", "tokens", "users", "entries", "guidance", "samples", "starts"}


def identity(entry: dict[str, Any]) -> Any:
    """What an entry is known by."""
    return [entry.get(key) for key in ("id", "number", "name", "uuid", "seq", "at_ms", "node", "project", "job")]


def made_here(calls: TestClient) -> None:
    """Two of everything."""
    for number in range(2):
        from_ms = 4_000_000_000_000 + number * 10**8
        wishes: list[tuple[str, dict[str, Any]]] = [
            ("queues", {"name": f"paged{number}", "paused": True}),
            ("reservations", {"name": f"paged{number}", "from_ms": from_ms, "length_ms": 1000, "maintenance": True}),
            ("guidance", {"steps": 1, "name": f"paged{number}"}),
            ("users", {"name": f"paged{number}", "role": "user", "account": False}),
            ("tokens", {"label": f"paged{number}"}),
            ("jobs", {"argv": ["true"], "cwd": "/", "not_before_ms": 4_000_000_000_000}),
        ]
        for path, wish in wishes:
            assert calls.post(f"{ROOT}/{path}", json={**wish, "key": f"paged-{path}-{number}"}).status_code in (200, 201), path


def test_lists_are_narrowed(calls: TestClient) -> None:
    asked = {
        "nodes?status=draining": [],
        "nodes?status=up": ["gpus", "plain"],
        "devices?model=A100&node=gpus": ["GPU-0", "GPU-1"],
        "reservations?node=gpus&state=planned": ["paged0", "paged1"],
        "reservations?node=gpus&until_ms=4000050000000": ["paged0"],
        "reservations?project=none": [],
        "guidance?project=none": [],
        "users?role=viewer": [],
        "tokens?user=nobody": [],
        "usage?node=gpus&until_ms=5": [],
        "leases?phase=held": [],
        "projects?user=nobody": [],
        "pools?work_class=training": [],
        "anomalies?kind=stalled&history=1": [],
    }
    for query, names in asked.items():
        found = calls.get(f"{ROOT}/{query}").json()
        entries = found.get(query.partition("?")[0].replace("usage", "samples"), [])
        assert [one.get("name") or one.get("uuid") for one in entries] == names, query


def test_protocol_1_has_whole_lists(calls: TestClient) -> None:
    assert len(calls.get("/v1/queues").json()["queues"]) == len(calls.get(f"{ROOT}/queues?limit=1000").json()["queues"]) > 2
    assert "next" not in calls.get("/v1/queues?limit=1").json()
