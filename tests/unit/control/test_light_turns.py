"""Turns that need not wait for the disk, and calls that nobody waits for any more."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from tenure.model.amounts import Amounts
from tenure.model.commands import Holder, JobSpec, ReleaseLease
from tenure.model.observations import EndReason, Launch, Observation, SignalDone, TaskEnded, TaskStarted
from tenure.ports import StoreUnavailable
from tests.unit.control.test_loop import CALLER, Running, cancel, until


def test_what_is_known_anyway_of_leases_does_not_wait_for_the_disk() -> None:
    spec = JobSpec(("tool",), "/", holder=Holder())
    specs = {1: spec, 2: replace(spec, holder=None)}
    lease, job = (Launch(number, number, 0, 1, "n", "x", what, Amounts(1000)) for number, what in specs.items())
    held, longer, late = TaskStarted(1, 0, 1, 5), SignalDone(1, 0, 1, 7), TaskEnded(1, 0, 1, EndReason.TIMEOUT, None)
    cases: tuple[tuple[list[Observation], bool], ...] = (
        ([held], True),
        ([held, longer], True),
        ([held, late], False),
        ([held, TaskStarted(2, 0, 1, 5)], False),
        ([TaskStarted(3, 0, 1, 5)], False),
    )
    for seen, is_light in cases:
        with Running() as running:
            assert running.loop.met.wait(10)
            running.loop.call(lambda: running.loop.leases.launched([lease, job])).result(10)
            calls = running.store.calls
            del calls[:]
            running.executor.reports.extend(seen)
            running.executor.wake()
            until(lambda: f"record {len(seen)}" in calls and (not is_light or "settle" in calls))  # noqa: B023
            assert ("light" in calls) == is_light
            if is_light:
                assert calls.index("light") < calls.index(f"record {len(seen)}") < calls.index("settle")


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another wish"])
def test_a_lease_that_is_given_back_does_not_wait_for_the_disk(beside: bool) -> None:
    with Running() as running:
        assert running.loop.met.wait(10)
        running.executor.stops = []
        calls = running.store.calls
        del calls[:]
        given = running.loop.submit([ReleaseLease("", CALLER, 7, "digest"), *([cancel()] if beside else [])])
        given.add_done_callback(lambda _: calls.append(f"answered, {len(running.executor.stops or ())} told"))
        given.result(10)
        answered = f"answered, {int(beside)} told"
        until(lambda: answered in calls and (beside or "settle" in calls) and len(running.executor.stops or ()) == 1)
        assert ("light" in calls) is not beside
        if not beside:
            assert calls.index("light") < calls.index("apply") < calls.index(answered) < calls.index("settle")


def test_what_is_to_be_forgotten_is_told_when_the_loop_ends_before_it_was() -> None:
    with Running() as running:
        assert running.loop.met.wait(10)
        running.executor.stops = []
        running.loop.submit([ReleaseLease("", CALLER, 7, "digest")]).result(10)
        running.loop.stop()
        running.thread.join(10)
        assert [stop.attempt_id for stop in running.executor.stops] == [7]


def test_a_call_that_nobody_waits_for_any_more_is_not_made() -> None:
    made: list[str] = []
    with Running() as running:
        assert running.loop.met.wait(10)
        blocked, go = threading.Event(), threading.Event()

        def block() -> None:
            blocked.set()
            assert go.wait(10)

        first = running.loop.call(block)
        assert blocked.wait(10)
        given_up = running.loop.call(lambda: made.append("given up"))
        waited_for = running.loop.call(lambda: made.append("waited for"))
        assert given_up.cancel()
        go.set()
        first.result(10)
        waited_for.result(10)
        assert running.loop.submit([cancel()]).result(10)
        assert made == ["waited for"]
        assert not running.lines, "no turn failed"
        running.loop.stop()
        running.thread.join(10)
        late = running.loop.call(lambda: None)
        with pytest.raises(StoreUnavailable):
            late.result(10)


def test_an_error_is_told_to_those_who_still_wait() -> None:
    with Running() as running:
        assert running.loop.met.wait(10)
        running.store.broken.append(StoreUnavailable("locked", "somebody keeps it"))
        with pytest.raises(StoreUnavailable):
            running.loop.submit([cancel()]).result(10)
        gone = running.loop.call(lambda: None)
        gone.cancel()
        with pytest.raises(StoreUnavailable):
            running.loop.call(lambda: None).result(10)
        assert running.thread.is_alive()
