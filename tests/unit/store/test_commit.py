"""The backstop behind verification: should it ever be wrong, nothing is over-committed and nothing is half written."""

from __future__ import annotations

import pytest

from tenure.model.allocation import Placement
from tenure.model.amounts import Amounts
from tenure.model.commands import CancelJob
from tenure.model.observations import EndReason
from tenure.model.plan import ClaimRequest, Decision, Evict, Rejection, Resize, Start
from tenure.model.shape import Shape
from tenure.store import commit
from tenure.testing.store_rig import HALF_GPU, ONE_CPU, ONE_GPU, StoreRig, ended

MANY = Shape(Amounts(cpu_milli=40_000))


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification that finds everything right."""
    monkeypatch.setattr(commit, "verify", lambda *_args: None)


def codes(rejections: tuple[Rejection | None, ...]) -> list[str | None]:
    """What became of each decision."""
    return [rejection and rejection.code for rejection in rejections]


def test_a_node_is_never_over_committed_even_unverified(rig: StoreRig, blind: None) -> None:
    jobs = [rig.submit(MANY) for _ in range(3)]
    small = rig.submit()
    decisions = [Decision((Start(job, rig.placements(MANY, (1,))),)) for job in jobs]
    done = rig.commit(*decisions, Decision((Start(small, rig.placements(ONE_CPU, (1,))),)))
    assert codes(done.rejections) == [None, "no_room", "no_room", None]
    assert [launch.job_id for launch in done.launches] == [jobs[0], small]
    rig.sound()
    assert rig.kinds(jobs[1]) == ["job.submitted"]
    assert [launch.attempt_id for launch in rig.store.claim_commands(rig.epoch, rig.now_ms).launches] == [1, 2]


def test_a_device_is_never_shared_beyond_itself_even_unverified(rig: StoreRig, blind: None) -> None:
    jobs = [rig.submit(HALF_GPU) for _ in range(2)]
    whole = rig.submit(ONE_GPU)
    decisions = [Decision((Start(job, rig.placements(HALF_GPU, (1,), [[1]])),)) for job in jobs]
    done = rig.commit(*decisions, Decision((Start(whole, rig.placements(ONE_GPU, (1,), [[1]])),)))
    assert codes(done.rejections) == [None, None, "no_room"]
    rig.sound()


def test_a_job_never_starts_twice_even_unverified(rig: StoreRig, blind: None) -> None:
    job, array = rig.submit(), rig.submit(array=((0, 3, 1),))
    again = Decision((Start(job, rig.placements(ONE_CPU, (1,))),))
    element = Decision((Start(array, rig.placements(ONE_CPU, (1,)), 2),))
    twice = Decision((Start(array, rig.placements(ONE_CPU, (1,)), 1),) * 2)
    done = rig.commit(again, again, element, element, twice)
    assert codes(done.rejections) == [None, "job_changed", None, "job_changed", "job_changed"]
    rig.sound()


def test_the_cap_of_an_array_holds_within_one_plan(rig: StoreRig, blind: None) -> None:
    array = rig.submit(array=((0, 3, 1),), array_cap=2)
    starts = [Start(array, rig.placements(ONE_CPU, (1,)), position) for position in range(3)]
    assert codes(rig.commit(Decision(tuple(starts))).rejections) == ["job_changed"]
    assert codes(rig.commit(*(Decision((start,)) for start in starts)).rejections) == [None, None, "job_changed"]
    rig.sound()


def test_a_claim_is_kept_until_its_deadline_or_the_start(rig: StoreRig) -> None:
    job = rig.submit()
    place = (Placement(0, 1),)
    assert codes(rig.commit(Decision(claims=(ClaimRequest(job, place, rig.now_ms + 10),))).rejections) == [None]
    since = rig.store.snapshot(rig.now_ms).revision - 1
    claims = rig.store.snapshot(rig.now_ms).claims
    assert [(claim.job_id, claim.placements, claim.amounts) for claim in claims] == [(job, place, ONE_CPU.amounts)]
    changes = rig.store.changes(since, rig.now_ms)
    assert changes is not None
    assert changes.claims == claims
    assert rig.store.snapshot(rig.now_ms + 10).claims == ()
    rig.start(job)
    assert rig.store.snapshot(rig.now_ms).claims == ()
    rig.store.retain(rig.now_ms + 20)
    rig.sound()


def test_nobody_may_hold_more_than_was_asked_for(rig: StoreRig) -> None:
    launch = rig.run(rig.submit())
    assert codes(rig.commit(Decision(resizes=(Resize(launch.job_id, launch.attempt_id, 1001, 0),))).rejections) == ["malformed"]


def test_an_eviction_names_a_running_attempt(rig: StoreRig, blind: None) -> None:
    launch = rig.run(rig.submit())
    wrong = Decision(evicts=(Evict(launch.job_id, launch.attempt_id + 1, 0, ""),))
    right = Decision(evicts=(Evict(launch.job_id, launch.attempt_id, 7, ""),))
    assert codes(rig.commit(wrong, right).rejections) == ["job_changed", None]
    rig.act(CancelJob, launch.job_id)
    lost = rig.record(ended(launch, None, EndReason.UNKNOWN))
    assert rig.states(lost) == {launch.job_id: "cancelled"}
    assert "preempted" in next(event.data for event in rig.store.events(0, 100, launch.job_id)[0] if event.kind == "job.stopping")
