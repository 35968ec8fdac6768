"""What the OpenAPI document allows and what it does not, sent to the whole application: every answer must be one that it describes.

The calls are drawn by schemathesis with a fixed seed, in its phases of examples, coverage and fuzzing, with all of its checks. They go
to an application whose jobs run nothing (`tests.support.rest`). Left out are streams without an end and the call that writes a file
where it is told to; 422 is an answer to what the document allows, since meaning is more than form. The long run, of 500 calls of each
kind, comes in slices of some minutes: ``pytest -m slow tests/integration/test_schemathesis.py``, with ``-k people`` one of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tenure.api import leases, simulations, streams
from tenure.api.front import TABLE
from tenure.api.routes import WEBSOCKET
from tests.support.rest import Application, application

SEED = 20_240_607
FEW, MANY = 3, 500
ENDLESS = ("/api/v1/events", "/api/resource-scheduler/push/sse")
WRITES = ("/api/v1/backup",)
SLICES = {
    "jobs": "v1/jobs($|/[a-z]+$)",
    "one-job": r"v1/jobs/\{",
    "cluster": "v1/(nodes|devices|queues|projects|quotas|pools)",
    "claims": "v1/(reservations|conflicts|leases)",
    "policies": "v1/(policy|policies|strateg|profiles)",
    "ahead": "v1/(plan|what-if|forecast|usage|simulations)",
    "advice": "v1/(report|recommendations|guidance|settings|login-links)",
    "people": "v1/(users|tokens|audit|whoami)",
    "daemon": "v1/(events|metrics|anomalies|resources|status|doctor|down|health|ready|problems|openapi)",
    "documented": "(resource-scheduler|^/metrics)",
}
"""Patterns of paths; each path is in one of them."""
UNDERSTOOD = ["2xx", "3xx", "401", "403", "404", "408", "409", "412", "416", "422"]


async def replays_nothing(_all: Any, run: Any, _asked: bytes) -> None:
    """What follows a simulation here: no process."""
    run.view.state = "succeeded"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """The application; who asks it to wait is answered soon."""
    monkeypatch.setattr(streams, "MAX_WAIT_MS", 10)
    monkeypatch.setattr(leases, "MAX_POLL_MS", 10)
    monkeypatch.setattr(simulations.Simulations, "_follow", replays_nothing)
    with application(tmp_path) as made:
        yield made


def findings(app: Application, examples: int, path: str = "", *, edges: bool = True) -> tuple[list[str], Counter[str]]:
    """What schemathesis finds, and how often it called what; ``edges``: also by the edges of each parameter, most of the time."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": SEED,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "database": "none", "no-shrink": True},
            "phases": {"stateful": {"enabled": False}, "coverage": {"enabled": edges}},
            "checks": {"positive_data_acceptance": {"expected-statuses": UNDERSTOOD}},
        }
    )
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, config=config)
    schema = schema.exclude(path=list(ENDLESS + WRITES))
    if path:
        schema = schema.include(path_regex=path)

    @schema.hook("map_query")  # type: ignore[arg-type]
    def ends(_context: Any, query: Any) -> Any:
        return {**query, "follow": 0} if query and "follow" in query else query

    found: dict[str, str] = {}
    calls: Counter[str] = Counter()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.setdefault(repr(event), f"{event.info.format() if hasattr(event, 'info') else event.exception}")
        if isinstance(event, events.ScenarioFinished):
            calls[event.recorder.label] += len(event.recorder.interactions)
            for case, checks in event.recorder.checks.items():
                for check in checks:
                    if check.failure_info is not None:
                        failure = check.failure_info.failure
                        key = f"{event.recorder.label}: {check.name}: {failure.title}: {failure.message[:200]}"
                        found.setdefault(key, f"{key}\n  {check.failure_info.code_sample}"[:1500])
                        del case
                        break
    return sorted(found.values()), calls


@pytest.mark.timeout(480)
def test_a_few_calls_of_each_kind_are_answered_as_described(app: Application) -> None:
    found, calls = findings(app, FEW, edges=False)
    assert len(calls) > 60
    assert not found, "\n".join(found)


def test_every_path_is_in_one_slice() -> None:
    for path in {route.path for route in TABLE if route.method != WEBSOCKET} - {*WRITES}:
        assert sum(re.search(pattern, path) is not None for pattern in SLICES.values()) == 1, path


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", SLICES)
def test_many_calls_of_each_kind_are_answered_as_described(app: Application, part: str) -> None:
    found, calls = findings(app, MANY, SLICES[part])
    print(f"{len(calls)} operations, {sum(calls.values())} calls, {len(found)} findings")  # noqa: T201 (the figures of a long run)
    assert not found, "\n".join(found)
