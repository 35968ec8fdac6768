"""An executor in memory: nothing runs, but everything is reported as if it had, at the times that a script says.

For the simulator, scenarios and tests: the production steps run on it unchanged. It has no thread and no clock of its own: what is
due happens when somebody looks (`observe`, `step`), in order of its moment and then of its launch, so the same script gives the same
run. Invariant: it breaks the executor's contract only where a fault was asked for by name (`forget`, `restart`, `sever`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

from tenure.executors.scripts import FOREVER_MS, Behaviour, Script, ScriptedTask, by_name, read_argv
from tenure.model.commands import Holder
from tenure.model.observations import (
    RETURNED,
    Capabilities,
    EndReason,
    Launch,
    LaunchRejected,
    LiveTask,
    NodeFound,
    Observation,
    Observations,
    Resized,
    Signal,
    SignalAction,
    SignalDone,
    TaskEmptied,
    TaskEnded,
    TaskStarted,
)
from tenure.ports import Clock

Key = tuple[int, int]


@dataclass(slots=True)
class _Line:
    """Reports, in order, and which cursor the first of them follows."""

    before: int = 0
    items: list[Observation] = field(default_factory=list)


class FakeExecutor:
    """A scripted executor; see the module. ``launches`` and ``signals`` keep what was asked, for tests to look at."""

    name = "fake"

    def __init__(self, clock: Clock, nodes: Sequence[NodeFound] = (), script: Script = read_argv) -> None:
        self._clock = clock
        self._nodes = list(nodes)
        self._script = script
        self._tasks: dict[Key, ScriptedTask] = {}
        self._known: dict[Key, list[Observation]] = {}
        self._queue: list[tuple[int, int, Key, Callable[[ScriptedTask, int], None]]] = []
        self._line = _Line()
        self._rooms: dict[int, list[Key]] = {}
        self._serial = 0
        self._fence = 0
        self._gone: set[int] = set()
        self._severed = False
        self._wake: Callable[[], None] | None = None
        self.generation = 1
        self.launches: list[Launch] = []
        self.signals: list[Signal] = []

    devices_revision = 0
    descriptor = -1

    def capabilities(self) -> Capabilities:
        """Everything, enforced by nobody."""
        return Capabilities(
            suspend=True,
            checkpoint=True,
            limit=True,
            rooms=True,
            leases=True,
            resize=True,
            enforces={"cpu": "pretend", "memory": "pretend", "time": "pretend"},
        )

    def nodes(self) -> list[NodeFound]:
        """The nodes it was given."""
        return list(self._nodes)

    def launch(self, batch: Sequence[Launch]) -> None:
        """Start tasks as the script says; a known one is only reported again, a stale fence is rejected."""
        if self._severed:
            return
        for launch in batch:
            self.launches.append(launch)
            key = (launch.attempt_id, launch.task)
            if launch.fence < self._fence:
                why = f"fence {launch.fence} is older than {self._fence}: another daemon took over"
                self._report(LaunchRejected(*key, launch.fence, False, "stale_fence", why))
            elif key in self._known:
                self._repeat(key)
            else:
                self._fence = launch.fence
                self._accept(key, launch)
        self.step()

    def signal(self, batch: Sequence[Signal]) -> None:
        """Carry out signals in order; a task that is gone is reported again, one that was never here as ended in an unknown way."""
        if self._severed:
            return
        now_ms = self._clock.now_ms()
        for signal in batch:
            self.signals.append(signal)
            if signal.fence < self._fence:
                continue
            self._fence = signal.fence
            key = (signal.attempt_id, signal.task)
            task = self._tasks.get(key)
            if key not in self._known:
                why = "this executor does not know the task"
                self._report(TaskEnded(*key, signal.fence, EndReason.UNKNOWN, None, why=why))
            elif task is None or task.ended:
                self._repeat(key)
            else:
                self._obey(task, signal, now_ms)
                if signal.number:
                    resizes = signal.action is SignalAction.RESIZE
                    self._line.items.append(_resized(task, signal) if resizes else SignalDone(*key, signal.fence, signal.number))
                    self._announce()
        self.step()

    def observe(self, since: int) -> Observations:
        """Let happen what is due, then the reports after ``since``."""
        self.step()
        if self._severed:
            return Observations(since)
        line = self._line
        skip = max(since - line.before, 0)
        return Observations(line.before + len(line.items), tuple(line.items[skip:]))

    def acknowledge(self, cursor: int) -> None:
        """Forget reports up to ``cursor``, and the tasks that are through."""
        line = self._line
        count = min(max(cursor - line.before, 0), len(line.items))
        for item in line.items[:count]:
            last = isinstance(item, TaskEmptied | LaunchRejected) or (isinstance(item, TaskEnded) and item.empty)
            if last and (item.attempt_id, item.task) not in self._tasks:
                self._known.pop((item.attempt_id, item.task), None)
        del line.items[:count]
        line.before += count

    def discover(self) -> list[LiveTask]:
        """Tasks that have not ended and left nothing, sorted."""
        self.step()
        return [
            LiveTask(*key, task.launch.fence, 0 if task.started_at_ms is None else task.pid, task.started_at_ms or 0)
            for key, task in sorted(self._tasks.items())
        ]

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever a report is added."""
        self._wake = wake

    def close(self) -> None:
        """Nothing to let go of."""
        self._wake = None

    def next_event_ms(self) -> int | None:
        """When something will happen by itself; None when nothing will. The driver moves its clock there."""
        while self._queue:
            at_ms, serial, key, _ = self._queue[0]
            if key in self._tasks and self._tasks[key].due == serial:
                return at_ms
            heappop(self._queue)
        return None

    def step(self) -> None:
        """Let happen everything that is due by the clock."""
        now_ms = self._clock.now_ms()
        while (at_ms := self.next_event_ms()) is not None and at_ms <= now_ms:
            _, _, key, what = heappop(self._queue)
            what(self._tasks[key], at_ms)

    def forget(self, attempt_id: int, task: int) -> None:
        """Fault: the task vanishes without a report."""
        if (attempt_id, task) in self._tasks:
            self._leave((attempt_id, task), self._clock.now_ms())
        self._known.pop((attempt_id, task), None)

    def end(self, attempt_id: int, task: int, exit_code: int = 0, signal: int = 0, reason: EndReason = EndReason.EXIT) -> None:
        """End a running task now, in this way."""
        running = self._tasks[(attempt_id, task)]
        running.acts = replace(running.acts, exit_code=exit_code, signal=signal, reason=reason)
        self._at(running, self._clock.now_ms(), self._end)
        self.step()

    def end_holder(self, pid: int) -> None:
        """The process with that pid ends, and with it what it leases."""
        self._gone.add(pid)
        for key, task in sorted(self._tasks.items()):
            holder = task.launch.spec.holder
            if holder is not None and holder.pid == pid:
                why = "its holder ended without releasing it"
                task.ending = task.ending or TaskEnded(*key, task.launch.fence, EndReason.EXIT, None, why=why)
                self._at(task, self._clock.now_ms(), self._end)
        self.step()

    def restart(self, unknown: Sequence[Key] = ()) -> None:
        """Fault: the executor was replaced by a new one, which re-adopts all tasks but those that ended ``unknown`` meanwhile."""
        self.generation += 1
        for key in unknown:
            task = self._tasks[key]
            task.acts = replace(task.acts, reason=EndReason.UNKNOWN)
            self._at(task, self._clock.now_ms(), self._end)
        self.step()

    def sever(self) -> None:
        """Fault: nothing gets through any more, in either direction; tasks go on."""
        self._severed = True

    def mend(self) -> None:
        """The end of `sever`: reports of the meantime arrive; what was asked meanwhile is lost."""
        self._severed = False
        self.generation += 1
        self._announce()

    def _accept(self, key: Key, launch: Launch) -> None:
        acts = self._script(launch) if launch.spec.holder is None else self._held(launch.spec.holder)
        self._known[key] = []
        if acts.reject:
            self._report(LaunchRejected(*key, launch.fence, acts.reject == "job", acts.code, acts.why))
            return
        task = self._tasks[key] = ScriptedTask(launch, acts, 1000 + len(self.launches), launch.limit_ms)
        row = self._rooms.setdefault(launch.room, []) if launch.room else []
        row.append(key)
        now_ms = self._clock.now_ms()
        if row[0] == key:
            self._at(task, now_ms + acts.start_delay_ms, self._start)
        else:
            self._at(task, now_ms + launch.wait_ms, self._hand_back)

    def _held(self, holder: Holder) -> Behaviour:
        """A lease lasts until it is ended, if its holder is there."""
        gone = holder.pid in self._gone
        why = "the process that asked for the lease has ended"
        return Behaviour(reject="job", code="holder_gone", why=why) if gone else Behaviour(FOREVER_MS, ignores_stop=True)

    def _waits(self, task: ScriptedTask) -> bool:
        """Whether another one has its room."""
        launch = task.launch
        return launch.room != 0 and self._rooms[launch.room][0] != (launch.attempt_id, launch.task)

    def _hand_back(self, task: ScriptedTask, at_ms: int) -> None:
        launch = task.launch
        key = (launch.attempt_id, launch.task)
        self._leave(key, at_ms)
        self._report(LaunchRejected(*key, launch.fence, False, RETURNED, "its turn did not come"))

    def _leave(self, key: Key, at_ms: int) -> None:
        """Nothing of the task is left: the next one has its room."""
        room = self._tasks.pop(key).launch.room
        if not room:
            return
        row = self._rooms[room]
        was_first = row[0] == key
        row.remove(key)
        if not row:
            del self._rooms[room]
        elif was_first:
            following = self._tasks[row[0]]
            self._at(following, at_ms + following.acts.start_delay_ms, self._start)

    def _start(self, task: ScriptedTask, at_ms: int) -> None:
        launch = task.launch
        task.started_at_ms = at_ms
        self._report(TaskStarted(launch.attempt_id, launch.task, launch.fence, at_ms, task.pid))
        self._expect(task, at_ms)

    def _expect(self, task: ScriptedTask, now_ms: int) -> None:
        """Let its end by itself be what happens next to it, at once where that is past; nothing, where it goes on for ever."""
        task.due = 0
        if task.started_at_ms is not None and task.suspended_at_ms is None and task.ends_after_ms != FOREVER_MS:
            self._at(task, max(now_ms, task.started_at_ms + task.stood_ms + task.ends_after_ms), self._end_itself)

    def _end_itself(self, task: ScriptedTask, at_ms: int) -> None:
        if task.is_late:
            task.acts = replace(task.acts, exit_code=0, signal=15, reason=EndReason.TIMEOUT)
            if task.is_lease:
                task.ending = TaskEnded(*_key(task), task.launch.fence, EndReason.TIMEOUT, None)
        self._end(task, at_ms)

    def _end(self, task: ScriptedTask, at_ms: int) -> None:
        launch, acts = task.launch, task.acts
        task.ended, task.due = True, 0
        unknown = acts.reason is EndReason.UNKNOWN
        ended = task.ending or TaskEnded(launch.attempt_id, launch.task, launch.fence, acts.reason, None)
        if task.ending is None and not unknown:
            ended = replace(ended, exit_code=None if acts.signal else acts.exit_code, signal=acts.signal)
        empty = acts.evidence_delay_ms == 0
        self._report(
            replace(
                ended, started_at_ms=task.started_at_ms or 0, ended_at_ms=at_ms, empty=empty, peak_memory_bytes=acts.peak_memory_bytes
            )
        )
        if empty:
            self._leave((launch.attempt_id, launch.task), at_ms)
        else:
            self._at(task, at_ms + acts.evidence_delay_ms, self._empty)

    def _empty(self, task: ScriptedTask, at_ms: int) -> None:
        key = (task.launch.attempt_id, task.launch.task)
        self._leave(key, at_ms)
        self._report(TaskEmptied(*key, task.launch.fence))

    def _obey(self, task: ScriptedTask, signal: Signal, now_ms: int) -> None:
        if signal.action in (SignalAction.STOP, SignalAction.SUSPEND) and task.launch.room:
            waits = self._waits(task)
            for key in [(signal.attempt_id, signal.task)] if waits else self._rooms[task.launch.room][1:]:
                self._hand_back(self._tasks[key], now_ms)
            if waits:
                return
        if signal.action is SignalAction.STOP:
            self._stop(task, signal, now_ms)
        elif signal.action is SignalAction.SUSPEND:
            self._suspend(task, now_ms)
        elif signal.action is SignalAction.RESUME:
            self._resume(task, now_ms)
        elif signal.action is SignalAction.LIMIT and task.ending is None:
            self._limit(task, task.used_ms(now_ms) + signal.left_ms if signal.left_ms else signal.limit_ms, now_ms)

    def _stop(self, task: ScriptedTask, signal: Signal, now_ms: int) -> None:
        if task.ending is not None and (not task.is_lease or signal.grace_ms):
            return
        number, after_ms = (9, signal.grace_ms) if task.acts.ignores_stop else (15, 0)
        number = 0 if task.is_lease else number
        launch = task.launch
        task.ending = task.ending or TaskEnded(
            launch.attempt_id, launch.task, launch.fence, EndReason.STOPPED, None, number, stop_reason=signal.reason
        )
        self._at(task, now_ms + after_ms, self._end)

    def _suspend(self, task: ScriptedTask, now_ms: int) -> None:
        if task.started_at_ms is not None and task.suspended_at_ms is None and task.ending is None and not task.is_lease:
            task.suspended_at_ms, task.due = now_ms, 0

    def _resume(self, task: ScriptedTask, now_ms: int) -> None:
        if task.suspended_at_ms is None:
            return
        task.stood_ms += now_ms - task.suspended_at_ms
        task.suspended_at_ms = None
        if task.ending is None:
            self._expect(task, now_ms)

    def _limit(self, task: ScriptedTask, limit_ms: int, now_ms: int) -> None:
        task.limit_ms = limit_ms
        if task.started_at_ms is None:
            return
        if limit_ms and task.used_ms(now_ms) >= limit_ms:
            self._at(task, now_ms, self._end_itself)
        else:
            self._expect(task, now_ms)

    def _at(self, task: ScriptedTask, at_ms: int, what: Callable[[ScriptedTask, int], None]) -> None:
        """Let ``what`` be the one thing that happens next to the task."""
        self._serial += 1
        task.due = self._serial
        heappush(self._queue, (at_ms, self._serial, (task.launch.attempt_id, task.launch.task), what))

    def _report(self, item: Observation) -> None:
        reports = self._known.get((item.attempt_id, item.task))
        if reports is not None and not (isinstance(item, LaunchRejected) and item.code == "stale_fence"):
            reports.append(item)
        self._line.items.append(item)
        self._announce()

    def _repeat(self, key: Key) -> None:
        self._line.items.extend(self._known.get(key, ()))
        self._announce()

    def _announce(self) -> None:
        if self._wake is not None and not self._severed:
            self._wake()


def _resized(task: ScriptedTask, signal: Signal) -> Resized:
    """A task is kept to what is asked for, but never to less memory than it is to use."""
    amounts = task.launch.amounts
    enough = signal.memory_bytes >= task.acts.peak_memory_bytes
    memory_bytes = signal.memory_bytes if enough else amounts.memory_bytes
    why = "" if enough else f"it uses {task.acts.peak_memory_bytes} bytes of memory"
    return Resized(*_key(task), signal.fence, signal.number, signal.cpu_milli, memory_bytes, why)


def _key(task: ScriptedTask) -> Key:
    return (task.launch.attempt_id, task.launch.task)


__all__ = ["FOREVER_MS", "Behaviour", "FakeExecutor", "Script", "by_name", "read_argv"]
