"""What running attempts hold changes in any order beside everything else that happens: asked for, confirmed, refused by the executor,
answered late, lost in a crash. Nothing is over-committed, what a task may use is always held, and nobody is refused what is free."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tenure.model.access import SCHEDULER
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Applied, Refused, UpdateJob
from tenure.model.lifecycle import AllocationState
from tenure.model.observations import Resized, Signal, SignalAction
from tenure.testing.store_rig import ADA, node
from tests.property.test_store_machine import BOUNDS, PICK, StoreMachine
from tests.support.examples import examples

ASKED_MILLI, HALF_MILLI = 1_000, 500
REFUSALS = ("not_running", "ended", "shares_room", "no_room", "reserved")


class ResizingMachine(StoreMachine):
    """The machine of the store with tasks that hold half of their cpu. ``kept`` is what the kernel keeps each task to."""

    def __init__(self) -> None:
        super().__init__()
        # Holdings are now multiples of half a cpu: what is left for the little that reservations take must not make room for one.
        self.rig.define(node("n1", gpus=2, amounts=Amounts(8_400, 64 * GIB)))
        self.followed = self.rig.store.snapshot(self.rig.now_ms)
        self.kept: dict[tuple[int, int], int] = {}
        self.late: list[Resized] = []

    @precondition(lambda self: self.launches)
    @rule(pick=PICK, cpu_milli=st.sampled_from([HALF_MILLI, ASKED_MILLI]), unasked=st.booleans())
    def resize(self, pick: int, cpu_milli: int, unasked: bool) -> None:
        """Somebody changes what a job holds: refused only when it does not run, or wants back what is not free."""
        job = self.reference.jobs[sorted(self.launches)[pick % len(self.launches)]]
        before = self.rig.store.snapshot(self.rig.now_ms)
        held = [one.amounts.cpu_milli for running in before.running if running.id == job.id for one in running.allocations]
        more = sum(max(0, cpu_milli - now) for now in held)
        answer = self.rig.act(UpdateJob, job.id, SCHEDULER if unasked else ADA, cpu_milli=cpu_milli)
        assert isinstance(answer, Applied) or answer.code in REFUSALS, answer
        if isinstance(answer, Refused) and answer.code == "no_room":
            used = sum(one.amounts.cpu_milli for running in before.running for one in running.allocations)
            project = self.projects[job.array or job.id]
            own = [one for one in before.running if self.projects[one.array_id or one.id] == project]
            bound = BOUNDS.get(project, (10**9, 0))[0] - sum(one.amounts.cpu_milli for running in own for one in running.allocations)
            assert more > min(8_399 - used, bound)
        if isinstance(answer, Refused) and answer.code == "reserved":
            assert more
            assert self.aside

    def _due(self) -> list[Signal]:
        return [signal for signal in self.rig.due() if signal.action is SignalAction.RESIZE]

    @precondition(lambda self: self._due())
    @rule(pick=PICK, what=st.sampled_from(["done", "done", "late", "unable", "refused"]))
    def answer(self, pick: int, what: str) -> None:
        """The executor carries a resize out and says so, or only later, or it cannot, or the kernel does not take it."""
        due = self._due()
        signal = due[pick % len(due)]
        key = (signal.attempt_id, signal.task)
        if what == "unable":
            self.rig.record(Resized(*key, signal.fence, signal.number, None, None, "it cannot"))
            return
        if what != "refused":
            self.kept[key] = signal.cpu_milli
        report = Resized(*key, signal.fence, signal.number, self.kept.get(key, ASKED_MILLI), signal.memory_bytes)
        if what == "late":
            self.late.append(report)
        else:
            self.rig.record(report)

    @precondition(lambda self: self.launches)
    @rule(pick=PICK, lowered=st.integers(0, 2))
    def have_it_all_again(self, pick: int, lowered: int) -> None:
        """Whatever was lowered, could not be or was answered by some of the tasks: who asks for everything has it, or hears why not.
        Some of the tasks are lowered before."""
        job = self.reference.jobs[sorted(self.launches)[pick % len(self.launches)]]
        self.rig.act(UpdateJob, job.id, cpu_milli=HALF_MILLI)
        running = self.rig.running(job.id)
        for signal in [one for one in self._due() if running is not None and one.attempt_id == running.attempt_id]:
            key = (signal.attempt_id, signal.task)
            if signal.task < lowered:
                self.kept[key] = signal.cpu_milli
            self.rig.record(Resized(*key, signal.fence, signal.number, self.kept.get(key, ASKED_MILLI), signal.memory_bytes))
        self.rig.sound()
        answer = self.rig.act(UpdateJob, job.id, cpu_milli=ASKED_MILLI)
        if isinstance(answer, Refused):
            assert answer.code in REFUSALS, answer
            return
        running = self.rig.running(job.id)
        if running is None or any(one.state != AllocationState.ACTIVE for one in running.allocations):
            return  # it waits, again perhaps, and asks for that anyway
        for signal in [one for one in self._due() if one.attempt_id == running.attempt_id]:
            self.kept[signal.attempt_id, signal.task] = signal.cpu_milli
            self.rig.record(Resized(signal.attempt_id, signal.task, signal.fence, signal.number, signal.cpu_milli, signal.memory_bytes))
        running = self.rig.running(job.id)
        assert running is not None
        assert {one.amounts.cpu_milli for one in running.allocations} == {ASKED_MILLI}
        assert {self.kept.get((one.attempt_id, one.task), ASKED_MILLI) for one in running.allocations} == {ASKED_MILLI}

    @precondition(lambda self: self.late)
    @rule(pick=PICK)
    def arrives(self, pick: int) -> None:
        """An answer comes late: the kernel may keep the task to something else by now, which was asked for since."""
        report = self.late[pick % len(self.late)]
        self.rig.record(report)

    @invariant()
    def holds_what_it_may_use(self) -> None:
        for running in self.rig.store.snapshot(self.rig.now_ms).running:
            for held in running.allocations:
                may_use = self.kept.get((held.attempt_id, held.task), ASKED_MILLI)
                assert may_use <= held.amounts.cpu_milli <= ASKED_MILLI


TestResizingMachine = ResizingMachine.TestCase
TestResizingMachine.settings = settings(
    max_examples=examples(30), stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
