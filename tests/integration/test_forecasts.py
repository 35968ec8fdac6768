"""Forecasts through the whole application: something is said of a job that waits, and what came is told beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tests.support.living import until
from tests.support.rest import application

ROOT = "/api/v1"


def test_what_was_said_of_a_job_is_told_beside_what_came(tmp_path: Path) -> None:
    with application(tmp_path) as app:
        calls = TestClient(app)

        def get(path: str) -> Any:
            calls.get(f"{ROOT}/projects")  # a turn of the loop, which here nobody wakes when a task has ended
            found = calls.get(f"{ROOT}{path}")
            assert found.status_code == 200, found.text
            return found.json()

        def submit(key: str, **more: Any) -> str:
            wish = {"argv": ["true"], "cwd": "/", "name": "train", "group": "sweep", "key": key, **more}
            number: str = calls.post(f"{ROOT}/jobs", json=wish).json()["id"]
            return number

        first = submit("a")
        until(lambda: get(f"/jobs/{first}")["job"]["state"] == "succeeded", "the end of the first")
        job = submit("b", hold=True)
        said = until(lambda: get(f"/forecasts?job={job}")["forecasts"], "what is said of the second")
        assert [one["model"] for one in said] == ["last_two", "same_name"]
        assert all(one["p50_ms"] <= one["p90_ms"] and "ran_ms" not in one and one["state"] == "held" for one in said)
        assert get("/forecasts?known=1")["forecasts"] == get("/forecasts/accuracy")["models"] == []
        calls.post(f"{ROOT}/jobs/{job}/release")
        came = until(lambda: get("/forecasts?group=sweep&known=1")["forecasts"], "what came")
        assert [(one["job"], one["p50_ms"]) for one in came] == [(one["job"], one["p50_ms"]) for one in said]
        assert all(one["ran_ms"] > 0 and one.get("error_ms", 0) == one["ran_ms"] - one["p50_ms"] for one in came)
        models = until(lambda: get("/forecasts/accuracy?group=sweep")["models"], "how well each does")
        assert [(one["model"], one["jobs"]) for one in models] == [("last_two", 1), ("same_name", 1)]
        assert all(0 < one["accuracy"] <= 1 and one["covered"] in (0, 1) for one in models)
        assert calls.get(f"{ROOT}/forecasts?job=99").status_code == 404
