"""Answers about a job that are given again are those that would be worked out now: after every kind of change, for every caller."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenure.api.answered import AGE_S, MOST, MOST_BYTES, UNKNOWN_S, Answers, Said
from tenure.api.context import EXPECTED_WITHIN_S, Context
from tenure.api.front import Front
from tenure.api.peer import caller_of
from tenure.model.access import Caller, Role
from tenure.model.anomaly import Anomaly
from tenure.model.commands import CancelJob, RequeueJob, SetNode, SetQueue, UpdateJob
from tenure.model.measures import Point
from tenure.model.observations import EndReason, Launch
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_rig import ADA, BEN, StoreRig, emptied, ended, node, started
from tests.support.examples import examples

CHIEF = replace(ADA, role=Role.ADMIN)


class _Loop:
    """A control loop that knows of no start to come."""

    clock = SimpleNamespace(now_ms=lambda: 0)

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function())
        return done

    def expected_starts(self, _jobs: object) -> Any:
        return SimpleNamespace(starts={})


class Rig(NamedTuple):
    """A store, the application over it, and one job that runs."""

    store: StoreRig
    keeping: Front
    forgetful: Front
    events: asyncio.Runner
    job: int
    launch: Launch

    def both(self, job: int) -> tuple[Any, Any]:
        """What is answered, and what would be if nothing were kept."""
        return asked(self, job), asked(self, job, of=self.forgetful)


def asked(rig: Rig, job: int, uid: int = 0, of: Front | None = None, **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of one read. ``uid`` 0 is the daemon's own user."""
    front = of or rig.keeping

    async def call() -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/api/v1/jobs/{job}",
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("uid", uid or os.getuid()),
        }
        await front(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    return rig.events.run(call())


@contextmanager
def made(folder: Path) -> Iterator[Rig]:
    """A rig in a folder; everything is closed at the end."""

    def opened() -> SqlStore:
        return open_sqlite(str(folder / "tenure.db"), StoreSettings(log_dir="/logs", ballast_bytes=1 << 20))

    store = StoreRig(opened, [node("n1", cpus=64, gpus=2)])
    assert isinstance(store.store, SqlStore)
    with closing(store.store), closing(store.store.queries()) as queries, asyncio.Runner() as events:
        contexts = [Context(_Loop(), queries, None, Path("/srv"), Path("/srv/s")) for _ in range(2)]  # type: ignore[arg-type]
        for context in contexts:
            context.identity.shared = True
        contexts[1].answers = Answers(SimpleNamespace(stamp=object))  # type: ignore[arg-type]
        job = store.submit()
        yield Rig(store, Front(contexts[0]), Front(contexts[1]), events, job, store.run(job))


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A fresh one."""
    with made(tmp_path) as found:
        yield found


def _sql(rig: Rig) -> SqlStore:
    assert isinstance(rig.store.store, SqlStore)
    return rig.store.store


def _other_process(rig: Rig) -> None:
    """Another connection to the same file, as another process has one."""
    with closing(open_sqlite(_sql(rig).database.path)) as other:  # type: ignore[attr-defined]
        other.apply([CancelJob("other", CHIEF, rig.job, why="from elsewhere")], rig.store.now_ms)


def _end(rig: Rig) -> None:
    rig.store.record(ended(rig.launch, 3, cpu_ms=70, peak_memory_bytes=1 << 20, why="it broke"))


CHANGES: dict[str, Callable[[Rig], object]] = {
    "it ended": _end,
    "it ended, and something is left of it": lambda rig: rig.store.record(ended(rig.launch, empty=False)),
    "it is to stop": lambda rig: rig.store.act(CancelJob, rig.job, why="enough"),
    "it is to run again": lambda rig: rig.store.act(RequeueJob, rig.job),
    "its name": lambda rig: rig.store.act(UpdateJob, rig.job, name="other"),
    "its limit": lambda rig: rig.store.act(UpdateJob, rig.job, limit_ms=77_000),
    "its checkpoint": lambda rig: _sql(rig).note_checkpoints([(rig.job, rig.store.now_ms + 5)], rig.store.now_ms + 9),
    "another process": _other_process,
}
"""After each of these something else is to be said of the job."""


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_said_of_a_job_follows_every_change(rig: Rig, change: str) -> None:
    before = asked(rig, rig.job)
    assert asked(rig, rig.job) == before
    assert rig.keeping.state.context.answers.known(_owner(), str(rig.job))[0] is not None, "this one can be given again"
    CHANGES[change](rig)
    after, fresh = rig.both(rig.job)
    assert after == fresh
    assert after[2] != before[2]
    tag = before[1][b"etag"].decode()
    again = asked(rig, rig.job, if_none_match=tag)
    assert again[0] == (304 if fresh[1][b"etag"].decode() == tag else 200)


def _owner() -> Caller:
    return caller_of(os.getuid(), Role.ADMIN)


def _start(rig: Rig, live: list[Launch], **request: Any) -> None:
    job = rig.store.submit(**request)
    live.extend(rig.store.try_start(job, position=1 if request else -1)[1])


DEEDS: dict[str, Callable[[Rig, list[Launch]], object]] = {
    "submit": lambda rig, _: rig.store.submit(hold=True),
    "start": _start,
    "start an array": lambda rig, live: _start(rig, live, array=((0, 2, 1),)),
    "confirm": lambda rig, live: rig.store.record(*(started(launch, rig.store.now_ms) for launch in live)),
    "end": lambda rig, live: rig.store.record(ended(live.pop(), empty=False)) if live else None,
    "empty": lambda rig, live: rig.store.record(emptied(live[0])) if live else None,
    "lose": lambda rig, live: rig.store.record(ended(live.pop(), None, EndReason.UNKNOWN)) if live else None,
    "cancel": lambda rig, live: rig.store.act(CancelJob, live[-1].job_id) if live else None,
    "requeue": lambda rig, live: rig.store.act(RequeueJob, live[-1].job_id) if live else None,
    "rename": lambda rig, _: rig.store.act(UpdateJob, rig.job, name=rig.store.key()),
    "drain": lambda rig, _: rig.store.apply(SetNode(rig.store.key(), CHIEF, "n1", "draining")),
    "pause": lambda rig, _: rig.store.apply(SetQueue(rig.store.key(), CHIEF, "default", paused=True)),
    "measure": lambda rig, _: _sql(rig).keep([Point(rig.job, 0, "cpu", False, rig.store.now_ms, 0.5)], [], rig.store.now_ms),
    "trouble": lambda rig, _: _sql(rig).note_anomalies([Anomaly("stalled/1", "stalled", "it stalls", "look", rig.job)], 1),
    "time": lambda rig, _: _sql(rig).retain(rig.store.now_ms + 10**12),
}


@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(deeds=st.lists(st.sampled_from(sorted(DEEDS)), max_size=6))
def test_after_whatever_happens_all_jobs_are_shown_as_they_are(tmp_path_factory: pytest.TempPathFactory, deeds: list[str]) -> None:
    with made(tmp_path_factory.mktemp("store")) as rig:
        live = [rig.launch]
        for deed in deeds:
            DEEDS[deed](rig, live)
            for job in range(1, rig.job + 6):
                answered, fresh = rig.both(job)
                assert answered == fresh, (deed, job)


def test_nobody_is_given_the_answer_to_another(rig: Rig) -> None:
    job = rig.store.submit(caller=BEN)
    rig.store.run(job)
    assert asked(rig, job)[0] == 200
    assert asked(rig, job)[0] == 200
    assert asked(rig, job, uid=BEN.uid)[0] == 200
    assert asked(rig, job, uid=ADA.uid)[0] == 404
    assert asked(rig, rig.job, uid=BEN.uid)[0] == 404


def test_why_a_job_waits_changes_with_time_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    job = rig.store.submit(not_before_ms=5_000_000_000)
    now, clock = [4_000_000_000], [0.0]
    rig.keeping.state.context.answers.clock = lambda: clock[0]
    monkeypatch.setattr("tenure.store.queries._now_ms", lambda: now[0])
    assert b"not_before" in asked(rig, job)[2].split(b'"reason"')[1]
    now[0], clock[0] = 6_000_000_000, AGE_S
    answered, fresh = rig.both(job)
    assert answered == fresh
    assert b'"code":"not_before"' not in answered[2]


def test_who_reads_a_waiting_job_does_not_wait_for_a_plan(rig: Rig) -> None:
    job = rig.store.submit()
    asked_for: list[Future[Any]] = []

    class Planning(_Loop):
        """It makes a plan that takes for ever."""

        def call(self, function: Callable[[], Any]) -> Future[Any]:
            asked_for.append(Future())
            return asked_for[-1]

    rig.keeping.state.context.loop = Planning()
    status, _, body = asked(rig, job)
    assert (status, b'"eta_ms"' in body) == (200, False)
    assert [call.cancelled() for call in asked_for] == [True]


def test_an_expected_start_that_is_being_worked_out_is_waited_for(rig: Rig) -> None:
    job = rig.store.submit()

    class Working(_Loop):
        """It has begun with the first call, and ends with it a moment after nobody waits for the beginning any more."""

        def call(self, function: Callable[[], Any]) -> Future[Any]:
            begun: Future[Any] = Future()
            assert begun.set_running_or_notify_cancel()
            asyncio.get_running_loop().call_later(2 * EXPECTED_WITHIN_S, lambda: begun.set_result({job: 77}))
            return begun

    rig.keeping.state.context.loop = Working()
    assert b'"eta_ms":77' in asked(rig, job)[2]


def test_a_waiting_job_is_read_once_and_its_expected_start_asked_for_now_and_then(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    job, starts, read, clock = rig.store.submit(), [77, 0, 99, 11], [], [0.0]
    context = rig.keeping.state.context
    named = context.queries.named
    monkeypatch.setattr(context.queries, "named", lambda ref, caller: read.append(ref) or named(ref, caller))

    class Knowing(_Loop):
        """It expects the job at another time each time."""

        def expected_starts(self, _jobs: object) -> Any:
            return SimpleNamespace(starts={job: starts.pop(0)})

    context.loop = Knowing()
    context.answers.clock = lambda: clock[0]
    answers = []
    for clock[0] in (0.0, AGE_S / 2, AGE_S, AGE_S + UNKNOWN_S / 2, AGE_S + UNKNOWN_S):
        answers.append(asked(rig, job))
    bodies = [json.loads(body) for _, _, body in answers]
    assert [body["job"].pop("eta_ms", 0) for body in bodies] == [77, 77, 0, 0, 99]
    assert all(body == bodies[0] for body in bodies)
    assert len({headers[b"etag"] for _, headers, _ in answers}) == 1
    assert read == [str(job)] * 2, "once more when the first had its age"
    rig.store.act(UpdateJob, job, name="other")
    changed = json.loads(asked(rig, job)[2])
    assert (changed["job"]["name"], changed["job"]["eta_ms"]) == ("other", 11)


def test_few_and_small_answers_are_kept() -> None:
    answers = Answers(SimpleNamespace(stamp=lambda: 1))  # type: ignore[arg-type]
    _, stamp = answers.known(ADA, "1")
    for ref in range(MOST + 20):
        answers.keep(ADA, str(ref), Said(b"x", "t"), stamp)
    answers.keep(ADA, "large", Said(b"x" * (MOST_BYTES + 1), "t"), stamp)
    answers.keep(ADA, "late", Said(b"x", "t"), 0)
    kept = [ref for ref in (*map(str, range(MOST + 20)), "large", "late") if answers.known(ADA, ref)[0] is not None]
    assert kept == [str(ref) for ref in range(20, MOST + 20)]
