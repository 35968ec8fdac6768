"""The contract of `ports.Store` for jobs that take turns, as tests; to be run over every store beside the other suites."""

from __future__ import annotations

from tenure.model.commands import CancelJob, RequeueJob, SuspendJob
from tenure.model.job import NO_TURNS, RESTS, STOPS, RunningJob
from tenure.model.observations import Launch, SignalAction
from tenure.model.plan import Decision, Resume, Suspend
from tenure.model.settings import HOUR_MS
from tenure.model.shape import Shape
from tenure.testing.store_rig import ONE_CPU, StoreRig, done, ended, started
from tenure.testing.store_suite import StoreSuiteBase

PAIR = Shape(ONE_CPU.amounts, tasks=2)


def runs(rig: StoreRig, job: int) -> RunningJob:
    """A running job as a plan sees it, from a snapshot; changes say the same."""
    found = rig.running(job)
    assert found is not None
    return found


def rest(rig: StoreRig, launch: Launch, *, heard: bool = True) -> Decision:
    """Let an attempt rest, and report that it stands still; the decision."""
    decision = Decision(suspends=(Suspend(launch.job_id, launch.attempt_id, 0),))
    assert rig.commit(decision).rejections == (None,)
    if heard:
        rig.record(*(done(signal) for signal in rig.due()))
    rig.sound()
    return decision


def go_on(launch: Launch) -> Decision:
    """That it goes on."""
    return Decision(resumes=(Resume(launch.job_id, launch.attempt_id),))


def cpus(rig: StoreRig) -> int:
    """What is written as used of the node's cpus."""
    return sum(held.amounts.cpu_milli for job in rig.store.snapshot(rig.now_ms).running for held in job.allocations)


class StoreTurnsSuite(StoreSuiteBase):
    """Who rests gives its cpus back once it stands still, and takes them again when it goes on."""

    def test_cpus_come_free_only_when_all_tasks_stand_still(self, rig: StoreRig) -> None:
        job = rig.submit(PAIR, limit_ms=HOUR_MS)
        first, second = rig.start(job, PAIR, nodes=(1, 1))
        rig.record(started(first), started(second))
        decision = rest(rig, first, heard=False)
        assert [signal.action for signal in rig.due()] == [SignalAction.SUSPEND] * 2
        assert (runs(rig, job).rest, cpus(rig)) == (STOPS, 2000)
        rig.record(done(rig.due()[0]))
        rig.sound()
        assert (runs(rig, job).rest, cpus(rig)) == (STOPS, 2000)
        before = rig.store.snapshot(rig.now_ms).revision
        rig.record(done(rig.due()[0]))
        rig.sound()
        held = runs(rig, job)
        assert (held.rest, held.slice_ms, held.ends_by_ms, cpus(rig)) == (RESTS, rig.now_ms, 0, 0)
        assert rig.store.changes(before, rig.now_ms).running == {job: held}  # type: ignore[union-attr]
        assert rig.commit(decision).rejections[0] is not None, "it rests already"

    def test_who_goes_on_has_its_cpus_and_as_much_time_as_before(self, rig: StoreRig) -> None:
        job = rig.submit(limit_ms=HOUR_MS)
        launch = rig.run(job)
        ends_by_ms = runs(rig, job).ends_by_ms
        rest(rig, launch)
        rig.now_ms += 5000
        assert rig.commit(go_on(launch)).rejections == (None,)
        held = runs(rig, job)
        assert (held.rest, held.slice_ms, held.ends_by_ms, cpus(rig)) == (0, rig.now_ms, ends_by_ms + 5000, 1000)
        assert [signal.action for signal in rig.due()] == [SignalAction.RESUME]
        assert rig.commit(go_on(launch)).rejections[0] is not None, "it runs"
        rig.sound()
        rig.record(ended(launch))
        rig.sound()
        assert cpus(rig) == 0

    def test_nobody_goes_on_where_the_cpus_are_taken(self, rig: StoreRig) -> None:
        job = rig.submit()
        launch = rig.run(job)
        rest(rig, launch)
        others = [rig.run(rig.submit()) for _ in range(8)]
        assert rig.commit(go_on(launch)).rejections[0].code == "no_room"  # type: ignore[union-attr]
        rig.record(ended(others[0]))
        waits = rig.submit()
        assert rig.commit(go_on(launch)).rejections == (None,)
        assert rig.try_start(waits)[0] is not None
        rig.sound()

    def test_a_late_report_gives_nothing_back_and_an_end_gives_back_what_is_left(self, rig: StoreRig) -> None:
        asked, rests = rig.run(rig.submit()), rig.run(rig.submit())
        rest(rig, rests)
        rest(rig, asked, heard=False)
        late = rig.due()
        rig.record(ended(asked))
        rig.record(*(done(signal) for signal in late))
        rig.sound()
        rig.act(CancelJob, rests.job_id)
        rig.record(ended(rests))
        rig.sound()
        assert rig.store.snapshot(rig.now_ms).running == ()

    def test_a_job_that_rests_can_be_run_anew(self, rig: StoreRig) -> None:
        launch = rig.run(rig.submit())
        rest(rig, launch)
        rig.act(RequeueJob, launch.job_id)
        assert rig.commit(go_on(launch)).rejections[0] is not None, "it is being stopped"
        rig.record(ended(launch))
        rig.sound()
        again = rig.run(launch.job_id)
        assert runs(rig, again.job_id).rest == 0

    def test_a_person_keeps_a_job_at_rest(self, rig: StoreRig) -> None:
        launch = rig.run(rig.submit())
        rest(rig, launch)
        assert "its turn" in rig.act(SuspendJob, launch.job_id, resume=True).note  # type: ignore[union-attr]
        rig.act(SuspendJob, launch.job_id)
        assert (runs(rig, launch.job_id).rest, runs(rig, launch.job_id).slice_ms) == (RESTS, NO_TURNS)
        assert "already" in rig.act(SuspendJob, launch.job_id).note  # type: ignore[union-attr]
        rig.now_ms += 1000
        rig.act(SuspendJob, launch.job_id, resume=True)
        assert runs(rig, launch.job_id).slice_ms == rig.now_ms
        assert rig.commit(go_on(launch)).rejections == (None,)
        rig.sound()

    def test_who_was_suspended_by_a_person_keeps_its_cpus_and_takes_no_turns(self, rig: StoreRig) -> None:
        launch = rig.run(rig.submit())
        rig.act(SuspendJob, launch.job_id)
        rig.record(*(done(signal) for signal in rig.due()))
        assert (runs(rig, launch.job_id).rest, runs(rig, launch.job_id).slice_ms, cpus(rig)) == (0, NO_TURNS, 1000)
        assert rig.commit(go_on(launch)).rejections[0] is not None
        assert rig.commit(Decision(suspends=(Suspend(launch.job_id, launch.attempt_id, 0),))).rejections[0] is not None
        rig.sound()
