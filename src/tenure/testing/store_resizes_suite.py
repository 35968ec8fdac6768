"""The contract of a store about what a running attempt holds: less than it asked for, that again, and never an amount twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import LEASE, AcquireLease, Applied, Holder, JobRequest, JobSpec, Refused, SuspendJob, UpdateJob
from tenure.model.observations import Launch, Resized, Signal, SignalAction
from tenure.model.plan import Decision, Evict, Resize, Start, Suspend
from tenure.model.shape import Shape
from tenure.testing.store_reservations_suite import MINUTE_MS, made
from tenure.testing.store_rig import ADA, BEN, StoreRig, done, ended, started
from tenure.testing.store_suite import StoreSuiteBase
from tenure.testing.store_turns_suite import go_on, rest

BIG = Shape(Amounts(6000, 48 * GIB))
HALF = Shape(Amounts(4000, 16 * GIB))
SMALL, HALF_CAP = Shape(Amounts(1000)), Shape(Amounts(2000))
GANG = Shape(Amounts(3000, 10 * GIB), tasks=2)


def resized(signal: Signal, why: str = "", **kept: int | None) -> Resized:
    """The report that a task is kept to what was asked, or to something else."""
    cpu_milli, memory_bytes = kept.get("cpu_milli", signal.cpu_milli), kept.get("memory_bytes", signal.memory_bytes)
    return Resized(signal.attempt_id, signal.task, signal.fence, signal.number, cpu_milli, memory_bytes, why)


class ResizesBase(StoreSuiteBase):
    """What tests of what a running attempt holds share."""

    def held(self, rig: StoreRig, job: int) -> list[tuple[int, int]]:
        """What each task holds: cpu and memory."""
        running = rig.running(job)
        assert running is not None
        return [(one.amounts.cpu_milli, one.amounts.memory_bytes // GIB) for one in running.allocations]

    def lower(self, rig: StoreRig, job: int, cpu_milli: int | None = None, gib: int | None = None, **how: object) -> Applied | Refused:
        """Ask for other amounts."""
        memory = None if gib is None else gib * GIB
        answer = rig.act(UpdateJob, job, cpu_milli=cpu_milli, memory_bytes=memory, **how)  # type: ignore[arg-type]
        assert isinstance(answer, Applied | Refused)
        return answer

    def asked(self, rig: StoreRig) -> list[Signal]:
        """The resizes that the executor would be told of now."""
        return [signal for signal in rig.due() if signal.action is SignalAction.RESIZE]

    def resting(self, rig: StoreRig) -> tuple[int, Launch, Signal]:
        """A job that began to rest before it was kept to less: its number, its launch, and what its executor has not answered yet."""
        job = rig.submit(HALF)
        launch = rig.run(job, HALF)
        told = self.lower(rig, job, 1000, 8)
        assert isinstance(told, Applied)
        assert f"tenure show {job} says what it holds then" in told.note
        (signal,) = self.asked(rig)
        assert rig.commit(Decision(suspends=(Suspend(job, launch.attempt_id, 0),))).rejections == (None,)
        rig.record(*(done(one) for one in rig.due() if one.action is SignalAction.SUSPEND))
        assert self.held(rig, job) == [(0, 16)]
        return job, launch, signal

    def gang(self, rig: StoreRig) -> tuple[int, Sequence[Launch]]:
        """Two tasks that run."""
        job = rig.submit(GANG)
        launches = rig.start(job, GANG, nodes=(1, 1))
        rig.record(*map(started, launches))
        return job, launches

    def code(self, answer: object) -> str:
        """The code of a refusal."""
        assert isinstance(answer, Refused), answer
        return answer.code


class StoreResizesSuite(ResizesBase):
    """What a running attempt holds."""

    def test_room_comes_free_only_when_the_executor_has_confirmed(self, rig: StoreRig) -> None:
        job, other = rig.submit(BIG), rig.submit(HALF)
        rig.run(job, BIG)
        assert isinstance(self.lower(rig, job, 2000, 8), Applied)
        assert self.held(rig, job) == [(6000, 48)]
        rejection, _ = rig.try_start(other, HALF)
        assert rejection is not None, "it is not free yet"
        rig.reopen()
        signal, *rest = self.asked(rig)
        assert (signal.cpu_milli, signal.memory_bytes, rest) == (2000, 8 * GIB, [])
        rig.record(resized(signal), resized(signal))
        assert self.held(rig, job) == [(2000, 8)]
        assert self.asked(rig) == []
        rig.start(other, HALF)
        assert rig.kinds(job)[-2:] == ["job.resizing", "job.resized"]
        rig.sound()

    def test_an_amount_that_is_not_named_stays(self, rig: StoreRig) -> None:
        job = rig.submit(BIG)
        rig.run(job, BIG)
        self.lower(rig, job, gib=8)
        rig.record(resized(self.asked(rig)[0]))
        self.lower(rig, job, cpu_milli=500)
        rig.record(resized(self.asked(rig)[0]))
        assert self.held(rig, job) == [(500, 8)]
        rig.sound()

    def test_what_the_executor_could_not_lower_stays_held(self, rig: StoreRig) -> None:
        job = rig.submit(BIG)
        rig.run(job, BIG)
        self.lower(rig, job, 2000, 8)
        rig.record(resized(self.asked(rig)[0], "it uses 30 GiB", memory_bytes=48 * GIB))
        assert self.held(rig, job) == [(2000, 48)]
        assert self.asked(rig) == []
        self.lower(rig, job, 1000)
        rig.record(resized(self.asked(rig)[0], "nobody can tell", cpu_milli=None, memory_bytes=None))
        assert self.held(rig, job) == [(2000, 48)]
        rig.sound()

    def test_a_late_answer_to_an_earlier_wish_frees_nothing(self, rig: StoreRig) -> None:
        job = rig.submit(BIG)
        rig.run(job, BIG)
        self.lower(rig, job, 1000, 8)
        first = self.asked(rig)[0]
        self.lower(rig, job, 5000, 40)
        rig.record(resized(first))
        assert self.held(rig, job) == [(6000, 48)]
        rig.record(resized(self.asked(rig)[0]))
        assert self.held(rig, job) == [(5000, 40)]
        rig.sound()

    def test_what_was_given_comes_back_up_to_the_ask_where_it_is_free(self, rig: StoreRig) -> None:
        job, other = rig.submit(BIG), rig.submit(HALF)
        rig.run(job, BIG)
        self.lower(rig, job, 2000, 8)
        rig.record(resized(self.asked(rig)[0]))
        launch = rig.run(other, HALF)
        assert self.code(self.lower(rig, job, 6000)) == "no_room"
        assert isinstance(self.lower(rig, job, 4000), Applied)
        assert self.held(rig, job) == [(4000, 8)], "it is taken at once"
        rig.record(resized(self.asked(rig)[0]), ended(launch))
        assert isinstance(self.lower(rig, job, 6000, 48), Applied)
        rig.record(resized(self.asked(rig)[0]))
        assert self.held(rig, job) == [(6000, 48)]
        rig.sound()

    def test_what_is_refused(self, rig: StoreRig) -> None:
        job = rig.submit(BIG)
        waits = rig.act(UpdateJob, job, cpu_milli=1000)
        assert isinstance(waits, Applied)
        assert waits.note == "nothing changes", "what a waiting job asks for is its shape"
        rig.start(job, BIG)
        assert self.code(self.lower(rig, job, 1000)) == "not_running"
        rig.record(started(rig.store.claim_commands(rig.epoch, rig.now_ms).launches[0], rig.now_ms))
        assert self.code(self.lower(rig, job, 6001)) == "above_ask"
        assert self.code(self.lower(rig, job, gib=49)) == "above_ask"
        assert self.code(self.lower(rig, job, 0)) == "malformed"
        assert self.code(rig.act(UpdateJob, job, BEN, cpu_milli=1000)) == "not_yours"
        shape = Shape(Amounts(1000, 48 * GIB), gpu_milli=1000)
        assert self.code(rig.act(UpdateJob, job, cpu_milli=1000, shape=shape)) == "not_waiting"
        rig.act(SuspendJob, job)
        assert self.code(self.lower(rig, job, 1000)) == "not_running"
        assert self.held(rig, job) == [(6000, 48)]
        rig.sound()

    def test_all_tasks_of_a_gang_hold_the_same_and_each_answers(self, rig: StoreRig) -> None:
        job = rig.submit(GANG)
        launches = rig.start(job, GANG, nodes=(1, 1))
        rig.record(started(launches[0], rig.now_ms))
        assert self.code(self.lower(rig, job, 1000)) == "not_running"
        rig.record(started(launches[1], rig.now_ms))
        self.lower(rig, job, 1000)
        first, second = self.asked(rig)
        rig.record(resized(first))
        assert self.held(rig, job) == [(1000, 10), (3000, 10)]
        assert self.asked(rig) == [second]
        told = rig.kinds(job)
        rig.record(resized(first))
        assert rig.kinds(job) == told, "an answer that was given is not told again"
        rig.record(resized(second))
        assert self.held(rig, job) == [(1000, 10)] * 2
        rig.sound()

    def test_a_task_that_was_lowered_beside_one_that_could_not_be_has_its_own_again(self, rig: StoreRig) -> None:
        job, _ = self.gang(rig)
        self.lower(rig, job, 1000, 4)
        first, second = self.asked(rig)
        rig.record(resized(first), resized(second, "it uses 9 GiB", cpu_milli=3000, memory_bytes=10 * GIB))
        assert self.held(rig, job) == [(1000, 4), (3000, 10)]
        rig.sound()
        assert isinstance(self.lower(rig, job, 3000, 10), Applied)
        assert self.held(rig, job) == [(3000, 10)] * 2, "it is taken at once"
        again = self.asked(rig)
        assert [(one.task, one.cpu_milli) for one in again] == [(0, 3000), (1, 3000)]
        answer = self.lower(rig, job, 3000, 10)
        assert isinstance(answer, Applied)
        assert (answer.note, self.asked(rig)) == ("nothing changes", again), "it is on its way already"
        rig.record(*map(resized, again))
        rig.sound()

    def test_a_task_that_has_ended_need_not_answer(self, rig: StoreRig) -> None:
        job, launches = self.gang(rig)
        self.lower(rig, job, 1000, 4)
        first, _ = self.asked(rig)
        rig.record(resized(first, "it uses 9 GiB", memory_bytes=10 * GIB))
        assert rig.kinds(job)[-1] == "job.resized"
        rig.record(ended(launches[1]))
        assert (self.held(rig, job), self.asked(rig)) == ([(1000, 10)], [])
        shown = rig.running(job)
        assert shown is not None
        assert shown.cpu_milli == 1000, "all who are left have answered"
        self.lower(rig, job, gib=4)
        (signal,) = self.asked(rig)
        assert (signal.cpu_milli, signal.memory_bytes) == (1000, 4 * GIB), "who is left can be lowered again"
        rig.record(resized(signal))
        assert self.held(rig, job) == [(1000, 4)]
        rig.sound()

    def test_who_rests_goes_on_with_what_was_left_to_it(self, rig: StoreRig) -> None:
        job = rig.submit(HALF)
        launch = rig.run(job, HALF)
        self.lower(rig, job, 1000)
        rig.record(resized(self.asked(rig)[0]))
        rest(rig, launch)
        assert self.held(rig, job) == [(0, 16)]
        assert self.code(self.lower(rig, job, 500)) == "not_running"
        assert rig.commit(go_on(launch)).rejections == (None,)
        assert self.held(rig, job) == [(1000, 16)]
        rig.sound()

    def test_who_rests_before_the_answer_goes_on_with_what_it_may_use(self, rig: StoreRig) -> None:
        job, launch, signal = self.resting(rig)
        assert rig.commit(go_on(launch)).rejections == (None,)
        assert self.held(rig, job) == [(4000, 16)], "nobody has said that it is kept to less"
        rig.record(resized(signal))
        assert self.held(rig, job) == [(1000, 8)]
        rig.sound()

    def test_an_answer_while_it_rests_holds_when_it_goes_on(self, rig: StoreRig) -> None:
        job, launch, signal = self.resting(rig)
        rig.record(resized(signal))
        assert self.held(rig, job) == [(0, 8)]
        assert rig.commit(go_on(launch)).rejections == (None,)
        assert self.held(rig, job) == [(1000, 8)]
        rig.sound()

    def test_who_rests_and_could_not_be_lowered_goes_on_with_everything(self, rig: StoreRig) -> None:
        job, launch, signal = self.resting(rig)
        rig.record(resized(signal, "nobody can tell", cpu_milli=None, memory_bytes=None))
        assert rig.commit(go_on(launch)).rejections == (None,)
        assert self.held(rig, job) == [(4000, 16)]
        assert isinstance(self.lower(rig, job, gib=8), Applied), "its cpus are not forgotten"
        rig.record(resized(self.asked(rig)[0]))
        assert self.held(rig, job) == [(4000, 8)]
        rig.sound()

    def test_an_end_beside_the_answer_gives_everything_back_once(self, rig: StoreRig) -> None:
        job, after = rig.submit(BIG), rig.submit(Shape(Amounts(8000, 64 * GIB)))
        launch = rig.run(job, BIG)
        self.lower(rig, job, 1000, 8)
        signal = self.asked(rig)[0]
        rig.record(resized(signal), ended(launch))
        assert self.asked(rig) == []
        rig.start(after, Shape(Amounts(8000, 64 * GIB)))
        rig.record(resized(signal))
        rig.sound()

    def test_who_hands_his_room_on_keeps_it_as_it_is(self, rig: StoreRig) -> None:
        array = rig.submit(SMALL, array=((0, 1, 1),))
        where = rig.placements(SMALL, (1,))
        launches = rig.commit(Decision((Start(array, where, 0, successors=(1,)),))).launches
        rig.record(started(launches[0]))
        assert self.code(self.lower(rig, launches[0].job_id, 500)) == "shares_room"
        rig.sound()

    def test_a_project_at_its_maximum_says_so(self, rig: StoreRig) -> None:
        job = rig.submit(HALF_CAP, project="capped")
        rig.run(job, HALF_CAP)
        self.lower(rig, job, 500)
        rig.record(resized(self.asked(rig)[0]))
        rig.run(rig.submit(HALF_CAP, project="capped"), HALF_CAP)
        answer = self.lower(rig, job, 1500)
        assert self.code(answer) == "no_room"
        assert isinstance(answer, Refused)
        assert "cpu_milli of 3000" in answer.why
        assert isinstance(self.lower(rig, job, 1000), Applied)
        rig.sound()

    def test_a_clock_that_was_set_back_counts_nothing_twice(self, rig: StoreRig) -> None:
        job = rig.submit(BIG)
        rig.run(job, BIG)
        began_ms = rig.now_ms
        for at_ms, cpu_milli in ((5_000, 5000), (1_000, 4000), (5_000, 3000), (6_000, 2000)):
            rig.now_ms = began_ms + at_ms
            self.lower(rig, job, cpu_milli)
            rig.record(resized(self.asked(rig)[0]))
        assert self.held(rig, job) == [(2000, 48)]
        rig.sound()

    def test_who_is_gone_before_something_is_set_aside_has_his_own_again(self, rig: StoreRig) -> None:
        before, into, endless = (rig.submit(SMALL, limit_ms=minutes * MINUTE_MS) for minutes in (18, 19, 0))
        for job in (before, into, endless):
            rig.run(job, SMALL)
            self.lower(rig, job, 500)
        rig.record(*map(resized, self.asked(rig)))
        assert isinstance(made(rig, 18 * MINUTE_MS), Applied)
        rig.now_ms += 8 * MINUTE_MS
        assert isinstance(self.lower(rig, before, 1000), Applied)
        for job in (into, endless):
            assert self.code(self.lower(rig, job, 1000)) == "reserved"
        rig.sound()

    @pytest.mark.parametrize("wrong", ["attempt", "above", "mixed"])
    def test_a_decision_that_is_not_possible_leaves_no_trace(self, rig: StoreRig, wrong: str) -> None:
        job, waits = rig.submit(HALF), rig.submit(HALF)
        launch = rig.run(job, HALF)
        resize = Resize(job, launch.attempt_id + (wrong == "attempt"), 9000 if wrong == "above" else 1000, GIB)
        starts = (Start(waits, rig.placements(HALF, [1])),) if wrong == "mixed" else ()
        assert rig.commit(Decision(starts, resizes=(resize,))).rejections[0] is not None
        assert (self.held(rig, job), self.asked(rig)) == ([(4000, 16)], [])
        rig.sound()

    def test_who_is_stopped_by_the_same_plan_keeps_what_he_has(self, rig: StoreRig) -> None:
        job = rig.submit(HALF)
        launch = rig.run(job, HALF)
        stop = Decision(evicts=(Evict(job, launch.attempt_id, 0, ""),))
        first, second = rig.commit(stop, Decision(resizes=(Resize(job, launch.attempt_id, 1000, GIB),))).rejections
        assert (first, second is None) == (None, False)
        assert (self.held(rig, job), self.asked(rig)) == ([(4000, 16)], [])
        rig.sound()

    def test_what_an_account_holds_follows(self, rig: StoreRig) -> None:
        job = rig.submit(BIG)
        rig.run(job, BIG)
        self.lower(rig, job, 2000, 8)
        rig.record(resized(self.asked(rig)[0]))
        before = rig.store.snapshot(rig.now_ms).usage[0].cpu_milli_ms
        rig.now_ms += 3_600_000
        self.lower(rig, job, 1000)
        rig.record(resized(self.asked(rig)[0]))
        grown = rig.store.snapshot(rig.now_ms).usage[0].cpu_milli_ms - before
        assert 0.9 * 2000 * 3_600_000 < grown <= 2000 * 3_600_000, "an hour of two cpus, of which little is forgotten yet"
        rig.sound()

    def test_a_lease_keeps_what_was_granted(self, rig: StoreRig) -> None:
        spec = JobSpec(("tool",), "/", holder=Holder(41, 7))
        answer = rig.apply(AcquireLease(rig.key(), ADA, JobRequest("l", HALF, kind=LEASE, limit_ms=60_000), spec, "token", 60_000))
        assert isinstance(answer, Applied), answer
        launch = rig.run(answer.job_id, HALF)
        assert self.code(self.lower(rig, answer.job_id, 1000)) == "is_a_lease"
        assert rig.commit(Decision(resizes=(Resize(answer.job_id, launch.attempt_id, 1000, GIB),))).rejections[0] is not None
