"""The contract of `ports.Store` about leases as tests: acquired, renewed, released, given up, taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tenure.model.commands import (
    AcquireLease,
    Answer,
    Applied,
    CancelJob,
    Holder,
    JobRequest,
    JobSpec,
    Refused,
    ReleaseLease,
    RenewLease,
    RequeueJob,
    SetQueue,
    SuspendJob,
    UpdateJob,
)
from tenure.model.observations import EndReason, Launch, SignalAction
from tenure.model.plan import Decision, Evict
from tenure.model.shape import Shape
from tenure.testing.store_rig import ADA, BEN, HALF_GPU, ONE_CPU, ONE_GPU, StoreRig, done, ended, rejected, started
from tenure.testing.store_suite import OpenStore

HOLDER = Holder(4711, 99)
SECRET, WRONG = "a" * 64, "b" * 64
TTL_MS, WAIT_MS, GRACE_MS = 60_000, 30_000, 10_000


class StoreLeasesSuite:
    """Where a suite is run, the fixture ``open_store`` is defined."""

    @pytest.fixture
    def rig(self, open_store: OpenStore) -> StoreRig:
        """A store with one node."""
        return StoreRig(open_store)

    def ask(self, rig: StoreRig, shape: Shape = ONE_CPU, key: str = "", asked: str = "so", **request: Any) -> Answer:
        """Ask for a lease."""
        wish = JobRequest("tool", shape, kind="lease", limit_ms=TTL_MS, grace_ms=GRACE_MS, priority=1, **request)
        spec = JobSpec(("tool",), "/", holder=HOLDER)
        return rig.apply(AcquireLease(key or rig.key(), ADA, wish, spec, SECRET, WAIT_MS, 5_000, asked))

    def waiting(self, rig: StoreRig, shape: Shape = ONE_CPU, **request: Any) -> int:
        """A lease that waits."""
        answer = self.ask(rig, shape, **request)
        assert isinstance(answer, Applied), answer
        return answer.job_id

    def held(self, rig: StoreRig, shape: Shape = ONE_CPU, **where: Any) -> tuple[int, Launch]:
        """A lease that is held."""
        job_id = self.waiting(rig, shape)
        return job_id, rig.run(job_id, shape, **where)

    def renew(self, rig: StoreRig, job_id: int, token: str = SECRET, ttl_ms: int = TTL_MS) -> Answer:
        """Let it live on."""
        return rig.apply(RenewLease("", BEN, job_id, token, ttl_ms))

    def release(self, rig: StoreRig, job_id: int, token: str = SECRET) -> Answer:
        """Give it back."""
        return rig.apply(ReleaseLease("", BEN, job_id, token))

    def ends(self, rig: StoreRig, job_id: int) -> list[str]:
        """What was told of its end, each time that it was told."""
        found = [event for event in rig.store.events(0, 1000, job_id)[0] if event.kind == "job.ended"]
        return [json.loads(event.data)["state"] for event in found]

    def refused(self, answer: Answer) -> str:
        """The code of a refusal."""
        assert isinstance(answer, Refused), answer
        return answer.code

    def test_a_lease_is_launched_with_its_holder_and_its_time(self, rig: StoreRig) -> None:
        job_id = self.waiting(rig)
        waits = rig.pending(job_id)
        assert waits is not None
        assert (waits.priority, waits.limit_ms, waits.expected_ms) == (1, TTL_MS, 5_000)
        launch = rig.start(job_id)[0]
        assert (launch.spec.holder, launch.limit_ms, launch.grace_ms) == (HOLDER, TTL_MS, GRACE_MS)
        rig.reopen()
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).launches == (launch,)
        assert rig.store.claim_commands(rig.epoch, rig.now_ms, launches=False).launches == ()
        rig.sound()

    def test_the_same_key_is_the_same_lease(self, rig: StoreRig) -> None:
        first = self.ask(rig, key="once")
        again = self.ask(rig, ONE_GPU, key="once")
        assert isinstance(first, Applied)
        assert again == Applied(first.job_id, first.revision, replayed=True), "what is granted may be another of what was asked for"
        assert self.refused(self.ask(rig, key="once", asked="otherwise")) == "key_reused"

    def test_a_release_frees_everything_and_counts_as_well_ended(self, rig: StoreRig) -> None:
        job_id, launch = self.held(rig, HALF_GPU, devices=[[1]])
        answer = self.release(rig, job_id)
        assert isinstance(answer, Applied)
        assert answer.ended_attempt == launch.attempt_id, "its executor is to forget it"
        assert rig.due() == []
        assert rig.running(job_id) is None
        assert rig.start(self.waiting(rig, ONE_GPU), ONE_GPU, devices=[[1]]), "others have the room at once"
        again = self.release(rig, job_id)
        assert isinstance(again, Applied), "once more does no harm"
        assert again.ended_attempt == 0
        told = rig.record(ended(launch, None, EndReason.STOPPED, stop_reason="released"))
        assert (told.changes, told.ignored) == ((), 1), "what its executor says of it then is no news"
        assert self.ends(rig, job_id) == ["succeeded"]
        rig.sound()

    def test_who_has_not_heard_of_his_grant_gives_it_back_too(self, rig: StoreRig) -> None:
        job_id = self.waiting(rig, HALF_GPU)
        launch = rig.start(job_id, HALF_GPU, devices=[[1]])[0]
        assert isinstance(self.release(rig, job_id), Applied)
        assert rig.store.claim_commands(rig.epoch, rig.now_ms).launches == (), "what is over is not launched again"
        assert rig.record(started(launch, rig.now_ms)).ignored == 1
        assert rig.start(self.waiting(rig, ONE_GPU), ONE_GPU, devices=[[1]])
        rig.sound()

    def test_only_the_token_renews_and_releases(self, rig: StoreRig) -> None:
        job_id, _ = self.held(rig)
        for token in (WRONG, "", SECRET[:-1]):
            assert self.refused(self.renew(rig, job_id, token)) == "wrong_token"
            assert self.refused(self.release(rig, job_id, token)) == "wrong_token"
        plain = rig.submit()
        assert self.refused(self.release(rig, plain)) == self.refused(self.renew(rig, 999)) == "not_found"
        assert rig.due() == []
        assert self.refused(rig.act(CancelJob, job_id, BEN)) == "not_yours"
        assert isinstance(rig.act(CancelJob, job_id), Applied), "its owner needs no token"

    def test_a_renewal_moves_the_end_from_now_on(self, rig: StoreRig) -> None:
        job_id, launch = self.held(rig)
        rig.now_ms += 40_000
        assert isinstance(self.renew(rig, job_id), Applied)
        holder = rig.running(job_id)
        assert holder is not None
        assert holder.ends_by_ms == rig.now_ms + TTL_MS
        rig.now_ms += 5_000
        signal = rig.due()[0]
        assert (signal.action, signal.left_ms) == (SignalAction.LIMIT, TTL_MS - 5_000), "told late, it still ends when it was said to"
        recorded = rig.record(done(signal))
        assert [change.job_id for change in recorded.changes] == [job_id], "who renewed is told that it was heard"
        assert rig.due() == []
        assert rig.record(ended(launch, None, EndReason.TIMEOUT)).changes[0].state == "timed_out"
        assert self.refused(self.renew(rig, job_id)) == "lease_over"
        rig.sound()

    def test_a_renewal_never_goes_beyond_the_queues_longest_limit(self, rig: StoreRig) -> None:
        rig.apply(SetQueue(rig.key(), ADA, "default", max_limit_ms=90_000))
        job_id, _ = self.held(rig)
        rig.now_ms += 40_000
        assert isinstance(self.renew(rig, job_id), Applied)
        holder = rig.running(job_id)
        assert holder is not None
        assert holder.ends_by_ms == rig.now_ms + 50_000
        assert self.refused(self.renew(rig, job_id)) == "limit_too_long"

    def test_what_waits_is_not_renewed_but_can_be_withdrawn(self, rig: StoreRig) -> None:
        job_id = self.waiting(rig)
        assert self.refused(self.renew(rig, job_id)) == "not_held"
        assert isinstance(self.release(rig, job_id), Applied)
        assert rig.pending(job_id) is None
        rig.sound()

    def test_a_wait_ends_with_the_reason(self, rig: StoreRig) -> None:
        first, held = self.waiting(rig), self.held(rig)[0]
        rig.now_ms += 10_000
        second = self.waiting(rig)
        began = rig.now_ms - 10_000
        next_ms, changes = rig.store.expire_leases(rig.now_ms)
        assert (next_ms, list(changes)) == (began + WAIT_MS, []), "nothing is due yet"
        rig.now_ms = next_ms
        next_ms, changes = rig.store.expire_leases(rig.now_ms)
        assert [(change.job_id, change.state) for change in changes] == [(first, "cancelled")]
        assert next_ms == began + 10_000 + WAIT_MS
        event = [event for event in rig.store.events(0, 1000, first)[0] if event.kind == "job.ended"]
        assert "timed out waiting for 30s" in event[0].data
        rig.reopen()
        rig.now_ms = next_ms
        assert [change.job_id for change in rig.store.expire_leases(rig.now_ms)[1]] == [second]
        assert rig.running(held) is not None
        rig.sound()

    def test_the_holder_is_warned_once_of_each_end(self, rig: StoreRig) -> None:
        job_id, _ = self.held(rig)
        ends_ms = rig.now_ms + TTL_MS
        assert rig.store.expire_leases(rig.now_ms)[0] == ends_ms - GRACE_MS
        rig.now_ms = ends_ms - GRACE_MS
        assert [change.job_id for change in rig.store.expire_leases(rig.now_ms)[1]] == [job_id]
        assert rig.store.expire_leases(rig.now_ms + 5)[1] == []
        self.renew(rig, job_id)
        rig.now_ms += TTL_MS
        assert [change.job_id for change in rig.store.expire_leases(rig.now_ms)[1]] == [job_id], "of the new end as well"
        assert rig.kinds(job_id).count("lease.expiring") == 2
        rig.sound()

    def test_a_lease_that_makes_room_is_over(self, rig: StoreRig) -> None:
        job_id, launch = self.held(rig)
        other = rig.submit(priority=9)
        assert rig.commit(Decision(evicts=(Evict(job_id, launch.attempt_id, other, "it makes room"),))).rejections == (None,)
        assert self.refused(self.renew(rig, job_id)) == "lease_ending"
        signal = rig.due()[0]
        assert (signal.reason, signal.grace_ms) == ("preempted", GRACE_MS)
        recorded = rig.record(ended(launch, None, EndReason.STOPPED, stop_reason="preempted"))
        assert rig.states(recorded) == {job_id: "cancelled"}
        assert rig.pending(job_id) is None, "nobody waits for another run of it"
        rig.sound()

    def test_who_releases_in_the_grace_is_believed(self, rig: StoreRig) -> None:
        job_id, _ = self.held(rig)
        rig.act(CancelJob, job_id, why="the machine is needed")
        assert isinstance(self.release(rig, job_id), Applied)
        assert rig.due() == [], "its grace is over"
        assert self.ends(rig, job_id) == ["succeeded"]

    def test_a_holder_that_ends_fails_his_lease(self, rig: StoreRig) -> None:
        job_id, launch = self.held(rig)
        recorded = rig.record(ended(launch, None, why="its holder ended"))
        assert rig.states(recorded) == {job_id: "failed"}
        gone = self.waiting(rig)
        launch = rig.start(gone)[0]
        assert rig.states(rig.record(rejected(launch, job_fault=True))) == {gone: "failed"}
        rig.sound()

    def test_a_node_that_refuses_costs_the_waiter_nothing(self, rig: StoreRig) -> None:
        job_id = self.waiting(rig)
        launch = rig.start(job_id)[0]
        assert rig.states(rig.record(rejected(launch, job_fault=False))) == {job_id: "pending"}
        rig.now_ms += WAIT_MS
        assert [change.state for change in rig.store.expire_leases(rig.now_ms)[1]] == ["cancelled"]

    def test_a_lease_is_neither_suspended_nor_run_again(self, rig: StoreRig) -> None:
        job_id, launch = self.held(rig)
        assert self.refused(rig.act(SuspendJob, job_id)) == self.refused(rig.act(RequeueJob, job_id)) == "is_a_lease"
        rig.record(ended(launch, None, EndReason.TIMEOUT))
        assert self.refused(rig.act(RequeueJob, job_id)) == "is_a_lease"

    def test_its_owner_may_set_another_limit(self, rig: StoreRig) -> None:
        job_id, _ = self.held(rig)
        began = rig.now_ms
        rig.now_ms += 1_000
        assert isinstance(rig.act(UpdateJob, job_id, limit_ms=20_000), Applied)
        assert (rig.due()[0].action, rig.due()[0].left_ms) == (SignalAction.LIMIT, 19_000)
        assert rig.store.expire_leases(rig.now_ms)[0] == began + 20_000 - GRACE_MS
        rig.sound()

    def test_a_late_start_counts_its_time_from_then(self, rig: StoreRig) -> None:
        job_id = self.waiting(rig)
        launch = rig.start(job_id)[0]
        rig.now_ms += 5_000
        rig.record(started(launch, rig.now_ms))
        assert rig.store.expire_leases(rig.now_ms)[0] == rig.now_ms + TTL_MS - GRACE_MS

    def test_what_is_not_known_of_a_grant_is_asked_for_again(self, rig: StoreRig) -> None:
        """As after the end of the machine, which may forget that a lease was confirmed."""
        job_id = self.waiting(rig)
        launch = rig.start(job_id)[0]
        rig.reopen()
        rig.epoch = rig.lead("second")
        assert rig.store.missing(rig.store.live_tasks(), rig.epoch, rig.now_ms).changes == ()
        again = rig.store.claim_commands(rig.epoch, rig.now_ms).launches
        assert [(one.attempt_id, one.job_id) for one in again] == [(launch.attempt_id, job_id)], "the same grant, with the same fence"
        rig.record(started(again[0], rig.now_ms))
        assert isinstance(self.renew(rig, job_id), Applied)
        rig.sound()

    def test_a_release_of_which_no_executor_was_told_holds_nothing(self, rig: StoreRig) -> None:
        """As after a crash between the write and the message: what the executor holds then has no row, and is stopped for that."""
        job_id, _ = self.held(rig)
        assert isinstance(self.release(rig, job_id), Applied)
        rig.reopen()
        rig.epoch = rig.lead("second")
        assert (list(rig.store.live_tasks()), rig.running(job_id)) == ([], None)
        rig.sound()
