"""The contract of `ports.Store` for starts with successors, as tests; to be run over every store beside the other suites."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.model.commands import CancelJob, RequeueJob
from tenure.model.observations import Launch
from tenure.model.plan import Decision, Start
from tenure.testing.store_rig import ONE_CPU, ONE_GPU, StoreRig, emptied, ended, returned, started
from tenure.testing.store_suite import StoreSuiteBase


def relay(rig: StoreRig, successors: int = 3, size: int = 10, **request: Any) -> tuple[int, tuple[Launch, ...]]:
    """An array whose first element starts with so many successors; the array and the launches."""
    array = rig.submit(array=((0, size - 1, 1),), **request)
    start = Start(array, rig.placements(ONE_CPU, (1,)), 0, successors=tuple(range(1, 1 + successors)))
    done = rig.commit(Decision((start,)))
    assert done.rejections == (None,)
    rig.sound()
    return array, done.launches


def cpus(rig: StoreRig) -> int:
    """What a plan sees as used."""
    return sum(held.amounts.cpu_milli for job in rig.store.snapshot(rig.now_ms).running for held in job.allocations)


class StoreRoomsSuite(StoreSuiteBase):
    """One of a room counts, the others follow it; whoever is handed back waits again."""

    def test_a_room_counts_once(self, rig: StoreRig) -> None:
        array, launches = relay(rig)
        assert [launch.array_index for launch in launches] == [0, 1, 2, 3]
        assert {launch.room for launch in launches} == {launches[0].attempt_id}
        assert all(launch.wait_ms > 0 for launch in launches)
        assert [job.id for job in rig.store.snapshot(rig.now_ms).running] == [launches[0].job_id]
        waiting = rig.pending(array)
        assert waiting is not None
        assert (waiting.array_next, waiting.array_left) == (4, 6)
        assert cpus(rig) == 1000
        assert rig.store.live_tasks() == [(launch.attempt_id, 0) for launch in launches]

    def test_the_next_one_counts_when_the_first_has_ended(self, rig: StoreRig) -> None:
        _, (first, second, third, _) = relay(rig)
        before = rig.store.snapshot(rig.now_ms)
        recorded = rig.record(started(first), ended(first), started(second, 1))
        assert rig.states(recorded) == {first.job_id: "succeeded", second.job_id: "running"}
        rig.sound()
        changes = rig.store.changes(before.revision, rig.now_ms)
        assert changes is not None
        assert list(changes.running) == [second.job_id]
        assert first.job_id in changes.running_removed
        rig.record(ended(second))
        rig.sound()
        held = rig.running(third.job_id)
        assert held is not None, "it holds the room before it was heard of"
        assert rig.running(second.job_id) is None
        assert cpus(rig) == 1000

    def test_who_took_over_unheard_of_is_seen_by_those_who_follow_changes(self, rig: StoreRig) -> None:
        _, (first, second, *_) = relay(rig)
        before = rig.store.snapshot(rig.now_ms)
        rig.record(ended(first))
        changes = rig.store.changes(before.revision, rig.now_ms)
        assert changes is not None
        assert list(changes.running) == [second.job_id]

    def test_with_the_last_one_the_room_is_given_back(self, rig: StoreRig) -> None:
        _, launches = relay(rig)
        rig.record(*(report for launch in launches for report in (started(launch), ended(launch))))
        rig.sound()
        assert cpus(rig) == 0
        assert rig.store.live_tasks() == []

    def test_leftovers_keep_the_room(self, rig: StoreRig) -> None:
        _, (first, second) = relay(rig, 1)
        rig.record(started(first), ended(first, empty=False))
        assert rig.running(second.job_id) is None
        rig.sound()
        rig.record(emptied(first))
        assert rig.running(second.job_id) is not None
        rig.sound()

    def test_who_is_handed_back_waits_again_and_nothing_is_held_against_it(self, rig: StoreRig) -> None:
        array, (first, second, third, fourth) = relay(rig, retries=1)
        rig.record(started(first), returned(second), returned(third), returned(fourth))
        rig.sound()
        assert cpus(rig) == 1000
        for launch in (second, third, fourth):
            waiting = rig.pending(launch.job_id)
            assert waiting is not None
            assert waiting.eligible_ms <= rig.now_ms
        again = rig.run(second.job_id)
        assert (again.attempt_number, again.room) == (2, 0)
        rig.record(ended(again, 1))
        assert rig.pending(second.job_id) is not None, "its one retry is still there"
        rig.record(ended(first))
        rig.sound()
        assert rig.pending(array) is not None

    def test_the_first_may_be_handed_back_before_the_others(self, rig: StoreRig) -> None:
        _, (first, second, _, _) = relay(rig)
        rig.record(returned(first))
        rig.sound()
        assert rig.running(second.job_id) is not None
        assert cpus(rig) == 1000

    def test_a_cancelled_one_that_is_handed_back_is_cancelled(self, rig: StoreRig) -> None:
        _, (_, second, third, _) = relay(rig)
        rig.act(CancelJob, second.job_id)
        rig.act(RequeueJob, third.job_id)
        assert [signal.attempt_id for signal in rig.due()] == [second.attempt_id, third.attempt_id]
        recorded = rig.record(returned(second), returned(third))
        assert rig.states(recorded) == {second.job_id: "cancelled", third.job_id: "pending"}
        rig.sound()

    def test_launches_that_nobody_confirmed_are_sent_again_in_the_same_room(self, rig: StoreRig) -> None:
        _, launches = relay(rig)
        rig.reopen()
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).launches == launches
        rig.record(started(launches[0]), ended(launches[0]))
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).launches == launches[1:]
        keys = rig.store.live_tasks()
        assert rig.store.missing(keys, rig.epoch, rig.now_ms).ignored == len(keys), "who waits for a room is not missing"
        rig.sound()

    def test_a_cap_counts_each_of_them(self, rig: StoreRig) -> None:
        array = rig.submit(array=((0, 9, 1),), array_cap=3)
        places = rig.placements(ONE_CPU, (1,))
        refused = rig.commit(Decision((Start(array, places, 0, successors=(1, 2, 3)),))).rejections[0]
        assert refused is not None
        assert refused.code == "job_changed"
        assert rig.commit(Decision((Start(array, places, 0, successors=(1, 2)),))).rejections == (None,)
        waiting = rig.pending(array)
        assert waiting is not None
        assert waiting.array_room == 0
        rig.sound()

    @pytest.mark.parametrize("successors", [(0,), (2, 2), (5,), (99,)])
    def test_a_position_starts_once(self, rig: StoreRig, successors: tuple[int, ...]) -> None:
        array = rig.submit(array=((0, 9, 1),))
        rig.act(CancelJob, array, position=5)
        start = Start(array, rig.placements(ONE_CPU, (1,)), 0, successors=successors)
        assert rig.commit(Decision((start,))).rejections[0] is not None
        assert rig.store.live_tasks() == []
        other = Start(array, rig.placements(ONE_CPU, (1,)), 3)
        both = rig.commit(Decision((Start(array, rig.placements(ONE_CPU, (1,)), 0, successors=(1, 3)),)), Decision((other,)))
        assert [one is None for one in both.rejections] == [True, False]
        rig.sound()

    def test_devices_are_never_taken_over(self, rig: StoreRig) -> None:
        array = rig.submit(ONE_GPU, array=((0, 9, 1),))
        refused = rig.commit(Decision((Start(array, rig.placements(ONE_GPU, (1,), [[1]]), 0, successors=(1,)),))).rejections[0]
        assert refused is not None
        assert refused.code == "malformed"

    def test_an_array_says_how_long_its_elements_run(self, rig: StoreRig) -> None:
        array = rig.submit(array=((0, 99, 1),))
        seen = []
        for position in range(40):
            launch = rig.start(array, position=position)[0]
            rig.record(started(launch, rig.now_ms), ended(launch, started_at_ms=rig.now_ms, ended_at_ms=rig.now_ms + 3))
            waiting = rig.pending(array)
            assert waiting is not None
            seen.append(waiting.pace_ms)
        assert seen == sorted(seen, reverse=True)
        assert seen[-1] == 3
        launch = rig.start(array, position=40)[0]
        rig.record(started(launch, rig.now_ms), ended(launch, started_at_ms=rig.now_ms, ended_at_ms=rig.now_ms + 500))
        waiting = rig.pending(array)
        assert waiting is not None
        assert waiting.pace_ms == 500
        rig.sound()

    def test_an_array_ends_with_its_last_successor(self, rig: StoreRig) -> None:
        array, (first, second) = relay(rig, 1, size=2)
        assert rig.pending(array) is None
        recorded = rig.record(started(first), ended(first), started(second), ended(second, 1))
        assert rig.states(recorded)[array] == "failed"
        rig.sound()
