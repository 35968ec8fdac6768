"""The control loop: the one thread that writes, and the only place that waits.

Clients hand in commands, the executor wakes it when it has something to report; each turn makes both true in one durable write, plans,
commits and dispatches. Nothing is polled: an idle loop sleeps until somebody wakes it or a known time comes.

Invariant: an error in a turn is counted, told and backed off; it never ends the loop. A lost leadership does: a second
writer is at work, and this one must not write another row.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from tenure.control.foretelling import ForecastWatch
from tenure.control.guiding import GuidanceWatch
from tenure.control.health import LoopHealth
from tenure.control.leasing import LeaseWatch, brings_nobody
from tenure.control.steps import (
    REPLANS,
    Planner,
    Ports,
    commit_step,
    expire_step,
    intake_step,
    plan_step,
    reconcile_step,
)
from tenure.control.thinking import Thinking
from tenure.control.turn import Asked, Listener, Turn
from tenure.control.waiting import Waiter
from tenure.core.forward import Timeline, look_ahead
from tenure.model.commands import Answer, CancelJob, Command, RenewLease, RequeueJob, SuspendJob, UpdateJob
from tenure.model.outcomes import Committed, JobChange
from tenure.model.plan import Plan
from tenure.ports import Clock, StaleEpoch, StoreUnavailable

BACKOFF_S = 5.0
RETAIN_EVERY_S = 60.0
RETAIN_MORE_S = 1.0
RETAIN_FULL = 1000
STUCK_AFTER_S = 20.0
"""Whoever watches looks every few seconds; half a minute after a turn began, everybody is to know."""
INTAKE_BATCH = 512
BUSY_S = 0.003
"""A loop that slept for less is busy: it may gather reports for a moment. One that was idle answers the first at once."""
GATHER_S = 0.0004
SETTLE_S = 0.02
"""So long at most what need not wait for the disk is not told to those who follow the events."""
TELLING = (CancelJob, RequeueJob, SuspendJob, UpdateJob, RenewLease)
"""Commands after which an executor may have to be told something."""
LOOK_AHEAD_UNITS = 20_000


@dataclass(slots=True)
class ControlLoop:
    """Runs the steps. `submit`, `call`, `wake` and `stop` may be used from any thread; everything else belongs to the loop's own.

    ``met`` is set after the first whole turn: the executor's nodes are known, and what it reported meanwhile is recorded.
    """

    ports: Ports
    clock: Clock
    listener: Listener | None = None
    probe_every_s: float = 0.0
    log: Callable[[str], None] = lambda _line: None
    health: LoopHealth = field(default_factory=LoopHealth)
    met: threading.Event = field(default_factory=threading.Event)
    planner: Planner = field(default_factory=Planner)
    leases: LeaseWatch = field(default_factory=LeaseWatch)
    guidance: GuidanceWatch = field(default_factory=GuidanceWatch)
    forecasts: ForecastWatch = field(default_factory=ForecastWatch)
    _inbox: deque[Asked] = field(default_factory=deque)
    _waiter: Waiter = field(default_factory=Waiter)
    _stopping: bool = False
    _cursor: int = 0
    _generation: int = -1
    _devices_seen: int = 0
    _dirty: bool = True
    _apart: bool = False
    _unsettled: bool = False
    _next_retain: float = 0.0
    _next_probe: float = 0.0
    _thinking: Thinking = field(default_factory=Thinking)

    # --- for other threads

    def submit(self, commands: Sequence[Command], answers: Future[list[Answer]] | None = None) -> Future[list[Answer]]:
        """Have commands applied; the answers come when they are durable, in the future that was given, if there is one."""
        return self._ask(Asked(answers or Future(), commands=commands))

    def call(self, function: Callable[[], Any]) -> Future[Any]:
        """Run a function on the control thread, between two turns; its result or its exception."""
        return self._ask(Asked(Future(), call=function))

    def expected_starts(self, job_ids: Collection[int]) -> Timeline:
        """When these waiting jobs should start. To be made through `call`: it uses the planner's board, and leaves it as it was."""
        now_ms = self.clock.now_ms()
        board = self.planner.follow(self.ports, now_ms)
        self._dirty = self._dirty or self.planner.unplanned
        waiting = [job_id for job_id in job_ids if job_id in board.waiting.rows]
        return look_ahead(board, now_ms, self.ports.policy.stages, waiting, LOOK_AHEAD_UNITS)

    def wake(self) -> None:
        """Have the loop look for work."""
        self._waiter.wake()

    def stop(self) -> None:
        """End the loop after the present turn. Tasks go on."""
        self._stopping = True
        self._waiter.wake()

    def _ask(self, asked: Asked) -> Future[Any]:
        if self._stopping:
            asked.answer.set_exception(StoreUnavailable("shutting_down", "the daemon is shutting down; try again in a moment"))
            return asked.answer
        self._inbox.append(asked)
        self._waiter.wake()
        return asked.answer

    # --- the loop

    def run(self) -> None:
        """Turn until stopped. Returns when `stop` was called or the leadership is lost."""
        self.ports.executor.subscribe(self.wake)
        while not self._stopping:
            self.health.busy_since = time.monotonic()
            try:
                self._turn()
                self.health.cycles += 1
                self.met.set()
            except StaleEpoch:
                self._lose("another daemon has taken over this store")
            except Exception as error:
                self._back_off(error)
            self.health.busy_since = 0.0
            self._sleep()
        with contextlib.suppress(Exception):  # else they are orphans to the next daemon, which ends them
            self._forget()
        self._refuse_rest()

    def _turn(self) -> None:
        """One turn: reconcile if the executor is new, take in, plan and commit, tell everybody, tidy."""
        now_ms = self.clock.now_ms()
        self._meet_executor(now_ms)
        turn = Turn(now_ms, self._drain(), self.leases.news(self.ports.executor.observe(self._cursor)))
        try:
            self._write(turn)
        except Exception as error:
            for one in turn.asked:
                if not one.answer.done():
                    one.answer.set_exception(error)
            raise
        try:
            self._tell_executor(turn)
        finally:
            self._answer(turn)
        self._thinking.think(self.ports.policy, lambda: self.call(self._replan), self.log)
        self._tidy(turn)
        if self._unsettled and not turn.asked and not turn.seen.items:  # nobody came whose turn would have done it
            self._unsettled = False
            self.ports.store.settle()
            self._forget()
        if self.listener is not None:
            self.listener(self.planner.revision, turn.changes)

    def _write(self, turn: Turn) -> None:
        """Make the turn durable: in one write where nobody else writes, else with the plan in a write of its own.

        After an error they are apart as well, so that a plan that fails does not take submissions and exits with it. So they are when
        all that was asked and heard is so anyway should the machine end: that need not wait for the disk.
        """
        group, is_light = self.ports.store.group, self.leases.are_all(turn.commands, turn.seen.items)
        if self.ports.store.single_writer and not self._apart and not is_light:
            with group():
                self._take_in(turn)
                self._plan(turn)
                self._find_due(turn)
        else:
            with group(lasting=not is_light):
                self._take_in(turn)
            self._unsettled = self._unsettled or is_light
            self._tell_ends(turn, at_once=not is_light)
            self._answer(turn)
            with group():
                self._plan(turn)
                self._find_due(turn)
        self._apart = False

    def _meet_executor(self, now_ms: int) -> None:
        generation = self.ports.executor.generation
        if generation == self._generation:
            return
        self._define_nodes(now_ms)
        self._cursor = reconcile_step(self.ports, self._cursor, now_ms)
        self._generation, self._dirty = generation, True
        self.leases.meet()

    def _define_nodes(self, now_ms: int) -> None:
        """Make the rows of nodes and devices agree with what the executor finds; a difference is planned at once."""
        before = self.planner.revision
        if self.ports.store.define_nodes(self.ports.executor.name, self.ports.executor.nodes(), now_ms) != before:
            self._dirty = True
            self._waiter.wake()

    def _take_in(self, turn: Turn) -> None:
        if turn.asked or turn.seen.items:
            turn.intake = intake_step(self.ports, turn.commands, turn.seen, turn.now_ms)
            self._dirty = self._dirty or not (brings_nobody(turn.commands, turn.seen.items) and self._has_nobody())
            turn.noted += self.leases.note(turn.commands, turn.now_ms)
            self.guidance.note(turn.commands)
            self.forecasts.note(turn.commands, turn.now_ms)

    def _has_nobody(self) -> bool:
        """Whether a plan would decide nothing however much is free."""
        return self.planner.leaves_nobody and self.ports.policy.stages.chooser is None

    def _answer(self, turn: Turn) -> None:
        """What was taken in is durable: tell those who asked, and let the executor forget what it reported; once.

        The executor is told first what it is to do: whoever asked for something waits for that, and an answer wakes threads that
        would be in its way."""
        if turn.answered:
            return
        turn.answered = True
        start = 0
        for one in turn.asked:
            end = start + len(one.commands)
            one.answer.set_result(turn.intake.answers[start:end])
            start = end
        if turn.seen.cursor != self._cursor:
            self._cursor = turn.seen.cursor
            self.ports.executor.acknowledge(turn.seen.cursor)

    def _find_due(self, turn: Turn) -> None:
        """What tasks must be told because of this turn, read before it is made durable: that saves a transaction."""
        if turn.displaced or any(isinstance(command, TELLING) for command in turn.commands):
            turn.due = self.ports.store.claim_commands(self.ports.epoch, turn.now_ms, launches=False).signals

    def _tell_ends(self, turn: Turn, *, at_once: bool = True) -> None:
        """What must be ended because of what was taken in; said once, and also if the plan fails that comes after it.

        Unless ``at_once``, what is only to be forgotten is said before the next start, or once nobody comes: each message costs as
        much as a turn, and who gives one lease back often asks for another one."""
        if turn.intake.recorded is not None and turn.intake.recorded.stops:
            self.ports.executor.signal(turn.intake.recorded.stops)
        self.leases.end(turn.intake.answers, self.ports.epoch)
        if at_once:
            self._forget()

    def _forget(self) -> None:
        """Have the executor forget leases that were given back."""
        if stops := self.leases.forgotten():
            self.ports.executor.signal(stops)

    def _tell_executor(self, turn: Turn) -> None:
        """What must be ended or started now; a crash before this is mended by `reconcile_step`."""
        if not turn.answered:
            self._tell_ends(turn)
        if turn.due:
            self.ports.executor.signal(turn.due)
        if turn.launches:
            self._forget()
            self.leases.launched(turn.launches)
            self.ports.executor.launch(turn.launches)

    def _drain(self) -> list[Asked]:
        """Requests with commands; calls are made here and now, in their order."""
        asked: list[Asked] = []
        while self._inbox and len(asked) < INTAKE_BATCH:
            one = self._inbox.popleft()
            if one.call is None:
                asked.append(one)
                continue
            if not one.answer.set_running_or_notify_cancel():
                continue  # whoever asked does not wait any more
            try:
                one.answer.set_result(one.call())
            except Exception as error:
                one.answer.set_exception(error)
        if self._inbox:
            self._waiter.wake()
        return asked

    def _plan(self, turn: Turn) -> None:
        for _ in range(REPLANS):
            if not self._dirty and not 0 < self.planner.next_ms <= turn.now_ms:
                return
            plan = plan_step(self.ports, self.planner, turn.now_ms)
            self._dirty = False
            if plan is None:
                return
            committed = commit_step(self.ports, self.planner, plan, turn.now_ms)
            if committed is not None:
                turn.launches.extend(committed.launches)
                self._dirty = any(committed.rejections)
                self._tell_displaced(turn, plan, committed)
            if plan.truncated_at is not None:
                if not self._dirty:  # else the next event brings the next try: the same one would be rejected again
                    self._waiter.wake()
                self._dirty = True
                return

    def _replan(self) -> None:
        self._dirty = self.planner.unplanned = True

    def _tell_displaced(self, turn: Turn, plan: Plan, committed: Committed) -> None:
        """Say who makes room for whom."""
        for decision, rejection in zip(plan.decisions, committed.rejections, strict=True):
            if rejection is None and (decision.evicts or decision.suspends or decision.resumes):
                turn.displaced = True
                for evict in decision.evicts:
                    turn.noted.append(JobChange(evict.job_id, ""))
                    self.log(f"job {evict.job_id} is stopped: {evict.why}")

    def _tidy(self, turn: Turn) -> None:
        """What is done by time: deadlines, leases, guidance, forecasts, probing devices, removing what retention lets go."""
        moment, now_ms = time.monotonic(), turn.now_ms
        if self.guidance.look(self.ports.store, now_ms):
            self._dirty = True
            self._waiter.wake()
        self.forecasts.look(self.ports.store, now_ms)
        if ended := self.leases.look(self.ports.store, now_ms):
            turn.noted += ended
            self._dirty = True
            self._waiter.wake()
        if self.planner.deadlines and self.planner.deadlines[0][0] <= now_ms:
            expire_step(self.ports, self.planner, now_ms)
            self._dirty = True
            self._waiter.wake()
        seen = self.ports.executor.devices_revision
        if seen != self._devices_seen or (self.probe_every_s and moment >= self._next_probe):
            self._devices_seen = seen
            self._next_probe = moment + self.probe_every_s
            self._define_nodes(now_ms)
        if moment >= self._next_retain:
            # A full batch says that there is more; the next one comes soon, but not at the cost of whoever waits now.
            removed = self.ports.store.retain(now_ms)
            self._next_retain = moment + (RETAIN_MORE_S if removed >= RETAIN_FULL else RETAIN_EVERY_S)

    def _sleep(self) -> None:
        if not self._stopping:
            slept_from = time.monotonic()
            self._waiter.watch(self.ports.executor.descriptor, self.ports.executor.generation)
            self._waiter.sleep(self._pause_s())
            if not self._inbox and not self.leases.awaited and time.monotonic() - slept_from < BUSY_S:
                # Short tasks end in company: a turn costs the same for one report as for ten.
                time.sleep(GATHER_S)

    def _pause_s(self) -> float:
        """Until the next known time; a day when there is none, which only bounds the damage of a lost wake-up."""
        moment = time.monotonic()
        pauses = [86_400.0, self._next_retain - moment]
        if self.probe_every_s:
            pauses.append(self._next_probe - moment)
        if self.planner.deadlines:
            pauses.append((self.planner.deadlines[0][0] - self.clock.now_ms()) / 1000)
        pauses.append((min(self.leases.next_ms, self.guidance.next_ms, self.forecasts.next_ms) - self.clock.now_ms()) / 1000)
        if self._unsettled:
            pauses.append(SETTLE_S)
        if self.planner.next_ms:
            pauses.append((self.planner.next_ms - self.clock.now_ms()) / 1000)
        return max(0.0, min(pauses))

    def _back_off(self, error: Exception) -> None:
        self.health.errors += 1
        self.health.last_error = f"{type(error).__name__}: {error}"
        self.log(f"a turn of the control loop failed, trying again in {BACKOFF_S:g} s: {self.health.last_error}")
        # The board may have seen a commit that was rolled back.
        self.planner.board, self.planner.held = None, True
        self._dirty = self._apart = True
        self._generation = -1
        deadline = time.monotonic() + BACKOFF_S
        self.health.busy_since = 0.0
        self._waiter.watch(-1, -1)
        while not self._stopping and (left_s := deadline - time.monotonic()) > 0:
            self._waiter.sleep(left_s)
            self._refuse_waiting(error)
        self._waiter.wake()

    def _refuse_waiting(self, error: Exception) -> None:
        """While backing off, who asks is told at once instead of being left to wait."""
        while self._inbox:
            answer = self._inbox.popleft().answer
            if answer.set_running_or_notify_cancel():
                answer.set_exception(error)

    def _lose(self, why: str) -> None:
        self.health.stopped_why = why
        self.log(f"the control loop ends: {why}")
        self._stopping = True

    def _refuse_rest(self) -> None:
        self._refuse_waiting(StoreUnavailable("shutting_down", "the daemon is shutting down; try again in a moment"))
