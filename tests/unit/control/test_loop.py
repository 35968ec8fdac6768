"""The control loop against doubles of its ports: what it promises when things go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tenure.control import loop as loop_module
from tenure.control.loop import ControlLoop
from tenure.control.steps import Planner, Ports
from tenure.model.commands import Applied, Caller, CancelJob, ReleaseLease, RenewLease, UpdateJob
from tenure.model.observations import (
    Capabilities,
    EndReason,
    Observation,
    Observations,
    Signal,
    SignalAction,
    TaskEmptied,
    TaskEnded,
    TaskStarted,
)
from tenure.model.outcomes import Commands, Committed, JobChange, Recorded
from tenure.model.plan import Decision, Plan, Rejection, Start
from tenure.model.snapshot import Changes, Snapshot
from tenure.ports import StaleEpoch, StoreUnavailable

CALLER = Caller(0, "me")


class Clock:
    def now_ms(self) -> int:
        return 1_000_000


class StoreDouble:
    """Counts calls; `broken` is raised by the next `apply`."""

    single_writer = True

    def __init__(self) -> None:
        self.revision = 1
        self.calls: list[str] = []
        self.broken: list[Exception] = []
        self.rejections: list[Rejection | None] = []
        self.open_groups = 0

    @contextmanager
    def group(self, *, lasting: bool = True) -> Iterator[None]:
        self.open_groups += 1
        if not lasting:
            self.calls.append("light")
        try:
            yield
        finally:
            self.open_groups -= 1

    def settle(self) -> bool:
        self.calls.append("settle")
        return True

    def apply(self, commands: Sequence[Any], now_ms: int) -> list[Any]:
        self.calls.append("apply")
        if self.broken:
            raise self.broken.pop()
        assert self.open_groups == 1
        self.revision += 1
        return [
            Applied(command.job_id, ended_attempt=command.job_id if isinstance(command, ReleaseLease) else 0) for command in commands
        ]

    def record(self, observations: Sequence[Any], epoch: int, now_ms: int) -> Recorded:
        self.calls.append(f"record {len(observations)}")
        self.revision += 1
        return Recorded(self.revision)

    def snapshot(self, now_ms: int) -> Snapshot:
        return Snapshot(self.revision, now_ms)

    def changes(self, since: int, now_ms: int) -> Changes:
        return Changes(since, self.revision, now_ms)

    def commit(self, plan: Plan, epoch: int, now_ms: int) -> Committed:
        self.calls.append("commit")
        self.revision += 1
        return Committed(self.revision, (self.rejections.pop() if self.rejections else None,))

    def expire_leases(self, now_ms: int) -> tuple[int, list[JobChange]]:
        return 2**60, []

    def expire_guidance(self, now_ms: int) -> tuple[int, int]:
        return now_ms + 86_400_000, 0

    def foretell(self, _now_ms: int) -> bool:
        return False

    def claim_commands(self, epoch: int, now_ms: int, *, launches: bool = True) -> Commands:
        self.calls.append("claim")
        return Commands()

    def live_tasks(self) -> list[tuple[int, int]]:
        return []

    def missing(self, keys: Sequence[tuple[int, int]], epoch: int, now_ms: int) -> Recorded:
        return Recorded(self.revision)

    def define_nodes(self, executor: str, nodes: Sequence[Any], now_ms: int) -> int:
        self.calls.append("define")
        return self.revision

    def retain(self, now_ms: int) -> int:
        self.calls.append("retain")
        return 0


class ExecutorDouble:
    """Reports what a test puts into `reports`."""

    name = "double"
    devices_revision = 0
    descriptor = -1

    def __init__(self) -> None:
        self.generation = 0
        self.reports: list[Observation] = []
        self.acknowledged = 0
        self.stops: list[Signal] | None = None  #: None: nobody is to be stopped
        self.wake: Callable[[], None] = lambda: None

    def subscribe(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def nodes(self) -> list[Any]:
        return []

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def observe(self, since: int) -> Observations:
        return Observations(len(self.reports), tuple(self.reports[since:]))

    def acknowledge(self, cursor: int) -> None:
        self.acknowledged = cursor

    def discover(self) -> list[Any]:
        return []

    def launch(self, batch: Sequence[Any]) -> None:
        raise AssertionError("nothing is committed here")

    def signal(self, batch: Sequence[Signal]) -> None:
        assert self.stops is not None, "nothing is stopped here"
        self.stops.extend(batch)


class PolicyDouble:
    """Always one decision, so that every plan is committed."""

    name = "default"  # the settings of every snapshot here name it
    distinguishes: tuple[str, ...] = ()
    stages = SimpleNamespace(chooser=None)

    def __init__(self) -> None:
        self.plans = 0
        self.ideas: list[bool | Exception] = []
        self.thought_on: list[str] = []

    @property
    def has_ideas(self) -> bool:
        return bool(self.ideas)

    def improve(self) -> bool:
        self.thought_on.append(threading.current_thread().name)
        found = self.ideas.pop()
        if isinstance(found, Exception):
            raise found
        return found

    def plan_on(self, board: Any, now_ms: int) -> Plan:
        self.plans += 1
        return Plan(board.revision, (Decision(),))


class Running:
    """A loop on a thread of its own."""

    def __init__(self) -> None:
        self.store, self.executor, self.policy = StoreDouble(), ExecutorDouble(), PolicyDouble()
        self.lines: list[str] = []
        ports = Ports(self.store, self.executor, self.policy, epoch=1)  # type: ignore[arg-type]
        self.loop = ControlLoop(ports, Clock(), log=self.lines.append)
        self.thread = threading.Thread(target=self.loop.run)

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


def cancel(job_id: int = 7) -> CancelJob:
    return CancelJob("key", CALLER, job_id)


def test_commands_are_answered_in_order_and_in_one_group() -> None:
    with Running() as running:
        answers = running.loop.submit([cancel(1), cancel(2)]).result(10)
        assert [given.job_id for given in answers if isinstance(given, Applied)] == [1, 2]
        assert "claim" in running.store.calls


def test_a_change_of_a_job_is_told_to_the_executor() -> None:
    with Running() as running:
        running.loop.call(lambda: None).result(10)
        before = running.store.calls.count("claim")
        running.loop.submit([UpdateJob("key", CALLER, 7, limit_ms=1_000)]).result(10)
        running.loop.call(lambda: None).result(10)
        assert running.store.calls.count("claim") == before + 1


def test_calls_run_on_the_control_thread_and_their_errors_come_back() -> None:
    with Running() as running:
        assert running.loop.call(threading.current_thread).result(10) is running.thread

        def fail() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError):
            running.loop.call(fail).result(10)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_policy_thinks_on_beside_the_loop_and_a_better_idea_is_planned() -> None:
    with Running() as running:
        running.loop.call(lambda: None).result(10)
        plans = running.policy.plans
        running.policy.ideas = [True]
        running.loop.call(lambda: None).result(10)
        until(lambda: running.policy.plans > plans)
        assert running.policy.thought_on == ["thinking"]


def test_a_policy_that_fails_to_think_is_told_of_and_hinders_nobody() -> None:
    with Running() as running:
        running.loop.call(lambda: None).result(10)
        running.policy.ideas = [ValueError("too hard")]
        running.loop.call(lambda: None).result(10)
        until(lambda: any("default could not think on: ValueError: too hard" in line for line in running.lines))
        assert running.loop.submit([cancel()]).result(10)


def test_reports_are_acknowledged_only_after_they_are_recorded() -> None:
    with Running() as running:
        running.loop.call(lambda: None).result(10)
        running.executor.reports.append(TaskEmptied(1, 0, 1))
        running.executor.wake()
        deadline = time.monotonic() + 10
        while running.executor.acknowledged == 0 and time.monotonic() < deadline:
            running.loop.call(lambda: None).result(10)
        assert running.executor.acknowledged == 1
        assert "record 1" in running.store.calls


def test_an_error_is_told_backed_off_and_never_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "BACKOFF_S", 0.01)
    with Running() as running:
        running.store.broken.append(StoreUnavailable("gone", "the store is gone"))
        with pytest.raises(StoreUnavailable):
            running.loop.submit([cancel()]).result(10)
        answers = eventually(lambda: running.loop.submit([cancel()]).result(10))
        assert isinstance(answers[0], Applied)
        assert running.loop.health.errors == 1
        assert "the store is gone" in running.lines[0]
        assert running.store.calls.count("define") == 2, "the executor is met anew after an error"


def eventually(call: Callable[[], Any]) -> Any:
    """The result once the loop no longer refuses; refusals while it backs off are expected."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return call()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise


def test_a_lost_leadership_ends_the_loop_and_refuses_what_waits() -> None:
    running = Running()
    running.store.broken.append(StaleEpoch())
    running.thread.start()
    with pytest.raises(StaleEpoch):
        running.loop.submit([cancel()]).result(10)
    running.thread.join(10)
    assert not running.thread.is_alive()
    assert "taken over" in running.loop.health.stopped_why
    with pytest.raises(StoreUnavailable, match="shutting down"):
        running.loop.submit([cancel()]).result(10)


def test_a_rejected_decision_is_planned_anew_at_once_but_not_for_ever() -> None:
    with Running() as running:
        until(lambda: running.policy.plans > 0)  # the first turn may be answered before it plans
        before = running.loop.call(lambda: running.policy.plans).result(10)
        running.store.rejections = [Rejection("no_room", 1)] * 10
        running.loop.submit([cancel()]).result(10)
        # Calls are made at the start of a turn: when this one is answered, the turn of the submission is over and no other has planned.
        during = running.loop.call(lambda: running.policy.plans).result(10)
        assert during - before == loop_module.REPLANS


def test_a_new_generation_of_the_executor_is_met_and_reconciled() -> None:
    with Running() as running:
        running.loop.call(lambda: None).result(10)
        running.executor.generation = 1
        running.executor.wake()
        running.loop.call(lambda: None).result(10)
        running.loop.call(lambda: None).result(10)
        assert running.store.calls.count("define") == 2


def test_health_shows_a_turn_that_does_not_end() -> None:
    with Running() as running:
        entered, leave = threading.Event(), threading.Event()
        stuck = running.loop.call(lambda: (entered.set(), leave.wait(10)))
        assert entered.wait(10)
        assert running.loop.health.stuck_for_s() > 0
        leave.set()
        stuck.result(10)
    assert running.loop.health.stuck_for_s() == 0


def test_nothing_is_planned_for_leases_that_bring_nobody_while_nobody_waits() -> None:
    with Running() as running:
        running.executor.stops = []
        running.loop.submit([cancel()]).result(10)
        running.loop.call(lambda: None).result(10)
        plans = running.policy.plans
        for command in (ReleaseLease("", CALLER, 7, "digest"), RenewLease("", CALLER, 7, "digest", 1_000)):
            running.loop.submit([command]).result(10)
        running.executor.reports.append(TaskStarted(1, 0, 1, 1_000_000))  # type: ignore[arg-type]
        running.loop.wake()
        until(lambda: running.executor.acknowledged == 1)
        running.loop.call(lambda: None).result(10)
        assert running.policy.plans == plans
        running.executor.reports.append(TaskEmptied(1, 0, 1))
        running.loop.wake()
        until(lambda: running.policy.plans > plans)


def test_the_executor_is_told_of_a_lease_that_was_given_back_and_says_nothing_new_of_it() -> None:
    with Running() as running:
        running.executor.stops = stops = []
        running.loop.submit([ReleaseLease("", CALLER, 7, "digest"), cancel(8)]).result(10)
        assert [(stop.attempt_id, stop.action, stop.grace_ms, stop.fence) for stop in stops] == [(7, SignalAction.STOP, 0, 1)]
        echo = TaskEnded(7, 0, 1, EndReason.STOPPED, None, stop_reason="released")
        other = TaskEnded(8, 0, 1, EndReason.EXIT, 0)
        for reports, told in (([echo], []), ([other], ["record 1"]), ([echo], ["record 1"])):
            del running.store.calls[:]
            seen = len(running.executor.reports) + 1
            running.executor.reports.extend(reports)
            running.loop.wake()
            until(lambda: running.executor.acknowledged == seen)  # noqa: B023
            assert [call for call in running.store.calls if call.startswith("record")] == told, "once, and not what was known"


@pytest.mark.parametrize(
    ("starts", "is_array", "left"), [((3, 4), 0, True), ((3,), 0, False), ((), 0, False), ((3, 4), 1, False)], ids=str
)
def test_a_plan_leaves_somebody_unless_it_started_all_who_waited(starts: tuple[int, ...], is_array: int, left: bool) -> None:
    rows = {job_id: SimpleNamespace(is_array=is_array) for job_id in (3, 4)}
    board: Any = SimpleNamespace(waiting=SimpleNamespace(rows=rows), resting={}, standing=())
    last = Plan(1, tuple(Decision(starts=(Start(job_id, ()),)) for job_id in starts))
    assert Planner(board, unplanned=False, last=last).leaves_nobody is left
    assert not Planner(board, unplanned=True, last=last).leaves_nobody
    board.standing = (object(),)
    assert not Planner(board, unplanned=False, last=last).leaves_nobody
    board.standing, board.resting = (), {9: object()}
    assert not Planner(board, unplanned=False, last=last).leaves_nobody
