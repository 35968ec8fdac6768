"""The contract of a store about running attempts that the scheduler lowers by itself: once at most, and at no cost to them."""

from __future__ import annotations

import pytest

from tenure.model.access import SCHEDULER
from tenure.model.commands import Applied, CancelJob
from tenure.model.observations import EndReason
from tenure.testing.store_resizes_suite import HALF, ResizesBase, resized
from tenure.testing.store_rig import StoreRig, ended


class StoreShrinksSuite(ResizesBase):
    """What the scheduler lowers unasked."""

    def test_the_scheduler_lowers_once_and_not_what_an_owner_has_said(self, rig: StoreRig) -> None:
        job, told = rig.submit(HALF), rig.submit(HALF)
        rig.run(job, HALF), rig.run(told, HALF)
        assert isinstance(self.lower(rig, told, 4000, 16), Applied)
        assert self.asked(rig) == [], "it holds that already"
        for number in (job, told):
            self.lower(rig, number, 1000, 8, caller=SCHEDULER, why="it used 0.2 of 4 cpus")
        (signal,) = self.asked(rig)
        rig.record(resized(signal))
        self.lower(rig, job, 500, 4, caller=SCHEDULER)
        assert (self.held(rig, job), self.held(rig, told), self.asked(rig)) == ([(1000, 8)], [(4000, 16)], [])
        rig.sound()

    def test_what_the_scheduler_lowered_it_gives_back_and_an_owner_has_the_last_word(self, rig: StoreRig) -> None:
        job = rig.submit(HALF)
        rig.run(job, HALF)
        self.lower(rig, job, 1000, 8, caller=SCHEDULER)
        rig.record(resized(self.asked(rig)[0]))
        self.lower(rig, job, 4000, caller=SCHEDULER)
        assert self.held(rig, job) == [(4000, 8)]
        rig.record(resized(self.asked(rig)[0]))
        self.lower(rig, job, 2000)
        rig.record(resized(self.asked(rig)[0]))
        for cpu_milli in (1000, 4000):
            self.lower(rig, job, cpu_milli, caller=SCHEDULER)
        assert (self.held(rig, job), self.asked(rig)) == ([(2000, 8)], [])
        rig.sound()

    def test_who_runs_out_of_memory_that_the_scheduler_took_runs_again(self, rig: StoreRig) -> None:
        job = rig.submit(HALF)
        launch = rig.run(job, HALF)
        self.lower(rig, job, 1000, 8, caller=SCHEDULER)
        rig.record(resized(self.asked(rig)[0]))
        rig.record(ended(launch, None, EndReason.OOM, signal=9))
        assert rig.pending(job) is not None
        again = rig.run(job, HALF)
        assert again.amounts == HALF.amounts
        self.lower(rig, job, 1000, 8, caller=SCHEDULER)
        assert self.asked(rig) == [], "never twice"
        self.lower(rig, job, 1000, 8)
        rig.record(resized(self.asked(rig)[0]))
        assert rig.states(rig.record(ended(again, None, EndReason.OOM, signal=9))) == {job: "failed"}, "its owner wanted it"
        rig.sound()

    @pytest.mark.parametrize("is_cancelled", [False, True])
    def test_who_fails_otherwise_or_is_to_end_does_not_run_again(self, rig: StoreRig, is_cancelled: bool) -> None:
        job = rig.submit(HALF)
        launch = rig.run(job, HALF)
        self.lower(rig, job, 1000, 8, caller=SCHEDULER)
        rig.record(resized(self.asked(rig)[0]))
        if is_cancelled:
            rig.act(CancelJob, job)
        end = ended(launch, None, EndReason.OOM, signal=9) if is_cancelled else ended(launch, 3)
        assert rig.states(rig.record(end)) == {job: "failed"}
        rig.sound()

    @pytest.mark.parametrize("how", ["cpu alone", "given back", "on its way back"])
    def test_only_for_want_of_memory_that_the_scheduler_took_it_runs_again(self, rig: StoreRig, how: str) -> None:
        job = rig.submit(HALF)
        launch = rig.run(job, HALF)
        self.lower(rig, job, 1000, None if how == "cpu alone" else 8, caller=SCHEDULER)
        rig.record(resized(self.asked(rig)[0]))
        if how != "cpu alone":
            self.lower(rig, job, gib=16, caller=SCHEDULER)
        if how == "given back":
            rig.record(resized(self.asked(rig)[0]))
        became = rig.states(rig.record(ended(launch, None, EndReason.OOM, signal=9)))
        assert became == {job: "pending" if how == "on its way back" else "failed"}
        rig.sound()
