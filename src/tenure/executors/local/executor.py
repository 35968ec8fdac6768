"""The local executor: the control loop's contract, kept through the supervisor of this machine.

It remembers every task from its launch until its end is acknowledged, so a launch that is sent twice is answered here. When the
supervisor dies a new one is started, which adopts what runs; `generation` then grows and the caller sends again what was not
confirmed. Invariant: nothing is reported that the supervisor did not record, except that a launch or a signal could not be carried
out at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from tenure.executors.local import signals
from tenure.executors.local.accounts import account_of
from tenure.executors.local.connection import CHANGES_AMOUNTS, CHANGES_LIMITS, HOLDS_LEASES, KEEPS_ROOMS
from tenure.executors.local.devices import Devices, is_blocked, obstacle
from tenure.executors.local.diagnose import Facts, Finding, diagnose
from tenure.executors.local.diagnose import strays as leftover_processes
from tenure.executors.local.inventory import Inventory
from tenure.executors.local.launching import Composer, environment_of
from tenure.executors.local.link import Link, Reply
from tenure.executors.local.release import Release
from tenure.executors.local.reports import Reports
from tenure.executors.local.session import Listed, Session
from tenure.executors.local.settings import LocalSettings
from tenure.executors.local.supervisor import lengths
from tenure.executors.local.tasks import Key, Known, Tasks, observation_of
from tenure.model.observations import (
    Capabilities,
    DeviceFound,
    EndReason,
    Launch,
    LaunchRejected,
    LiveTask,
    NodeFound,
    Observation,
    Observations,
    Signal,
    SignalAction,
    TaskEmptied,
    TaskEnded,
)

if TYPE_CHECKING:
    from tenure.executors.local.nvml import Nvml

_encode = msgspec.json.Encoder().encode
MAX_SENT = 1024


class LocalExecutor:
    """Runs tasks as processes of this machine. Usable from several threads; the subscriber is woken from threads of ours."""

    name = "local"

    def __init__(self, settings: LocalSettings, nvml: Nvml | None = None, *, watched: bool = False) -> None:
        """Connect to the supervisor, starting it if there is none. Raises SupervisorError or OSError when that cannot be done.

        ``watched``: the owner waits on `descriptor` itself, so no thread does.
        """
        self._settings = settings
        self._lock = threading.RLock()
        self._wake: Callable[[], None] = _nobody
        self._tasks = Tasks(settings.home)
        self._reports = Reports()
        self._told = 0
        self._devices = Devices(settings, self._tasks, nvml)
        self._inventory = Inventory(settings, self._devices)
        self._pretend = self._inventory.pretend_uuids()
        self._release = Release(self._devices, settings.release_ms, self._awaken)
        self._tasks.releasing = self._release.uses
        self._composer = Composer(settings.home, self._inventory.capacity(), self._pretend, account_of if settings.shared else None)
        self._lengths = lengths.directory_of(settings.home)
        self._sent: dict[int, list[Launch]] = {}
        self._asked: dict[int, list[Signal]] = {}
        self._session = Session(settings, self._awaken, self._begun, self._take_in, watched)
        self._session.open()

    @property
    def generation(self) -> int:
        """Counts the supervisors it has talked to; when it grows, send again what was not confirmed, and reconcile."""
        return self._session.generation

    @property
    def descriptor(self) -> int:
        """The supervisor's connection, -1 while there is none; only in an executor whose owner watches it."""
        return self._session.descriptor

    @property
    def problem(self) -> str:
        """Why no supervisor can be reached at the moment; empty when all is well."""
        return self._session.problem

    @property
    def devices_revision(self) -> int:
        """Grows when the status of a device was seen to change: `nodes` is worth asking then."""
        return self._devices.revision

    def capabilities(self) -> Capabilities:
        """What the supervisor enforces here. GPUs are advisory: nothing hinders a process that looks for others."""
        hello = self._hello()
        spoken = int(hello.get("protocol", HOLDS_LEASES))
        groups = hello.get("cgroups", {})
        enforces = {name: str(groups.get(name, "advisory")) for name in ("cpu", "memory")}
        return Capabilities(
            suspend=True,
            checkpoint=False,
            limit=spoken >= CHANGES_LIMITS,
            rooms=spoken >= KEEPS_ROOMS,
            leases=spoken >= HOLDS_LEASES,
            resize=spoken >= CHANGES_AMOUNTS and set(enforces.values()) == {"enforced"},
            enforces={**enforces, "time": "enforced", "gpu": "advisory"},
        )

    def nodes(self) -> list[NodeFound]:
        """This machine and the pretend nodes, devices probed afresh."""
        revision = self._devices.revision
        found = self._inventory.nodes()
        self._release.shown(revision)
        return found

    def probe_devices(self, uuids: Sequence[str] | None = None) -> dict[str, DeviceFound]:
        """The devices (or these of them) by uuid, looked at now or just before."""
        return self._devices.probe(uuids, self._settings.probe_age_ms)

    def launch(self, batch: Sequence[Launch]) -> None:
        """Start tasks; see the contract. A device that somebody else has taken meanwhile is a fault of the node."""
        with self._lock:
            fresh = self._on_free_devices([launch for launch in batch if not self._is_told_again(launch) and self._can_hold(launch)])
            for launch in fresh:
                self._tasks.add(launch, tuple(uuid for uuid in launch.devices if uuid not in self._pretend))
            for _, group in groupby(fresh, key=_fence):
                self._send_launches(list(group))
            self._nudge()

    def signal(self, batch: Sequence[Signal]) -> None:
        """Ask tasks to stop, pause or go on; `SignalAction.CHECKPOINT` is no capability and does nothing."""
        with self._lock:
            for fence, group in groupby(batch, key=_fence):
                asked = [(signal, item) for signal in group if (item := self._signal_item(signal)) is not None]
                if asked:
                    self._send_signals(fence, asked)
            self._nudge()

    def _send_signals(self, fence: int, asked: list[tuple[Signal, dict[str, Any]]]) -> None:
        """An answer says that they were carried out, which the supervisor had written down before it answered."""
        link = self._session.link
        if link is None:
            return
        number = link.next_id()
        self._asked[number] = [signal for signal, _ in asked if signal.number]
        items = [item for _, item in asked]
        self._session.send(_encode({"op": "signal", "id": number, "fence": fence, "items": items}) + b"\n")

    def observe(self, since: int) -> Observations:
        """Reports after ``since``. Cursors count from 0 in every executor that is made; a greater one than any counts as 0."""
        with self._lock:
            self._session.pump()
            self._take_in()
            seen = self._reports.since(since)
            self._told = seen.cursor
            return seen

    def acknowledge(self, cursor: int) -> None:
        """Forget reports up to ``cursor``, here and in the supervisor."""
        with self._lock:
            for report in self._reports.acknowledge(cursor):
                self._tasks.acknowledged(report)
            self._session.acknowledge(self._reports.forgettable)

    def discover(self) -> list[LiveTask]:
        """Tasks that run, are on their way, or whose devices are not yet free; everything that happened before is in `observe`."""
        with self._lock:
            self._session.catch_up()
            self._take_in()
            self._nudge()
            return self._tasks.live()

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` when there is something to observe, when the supervisor was lost, or when a device changed."""
        self._wake = wake

    def close(self) -> None:
        """Let go of the supervisor; it and its tasks go on."""
        self._release.stop()
        self._session.close()
        self._devices.close()

    def dismiss_idle(self) -> bool:
        """Ask the supervisor to leave if it has no task; whether it will. With tasks it stays, whoever comes next finds it."""
        with self._lock:
            self._session.send(b"")
            return bool(self._session.ask("shutdown").get("leaving"))

    @property
    def has_devices(self) -> bool:
        """Whether there are real GPUs to look after."""
        return bool(self._devices.probe(max_age_ms=self._settings.probe_age_ms))

    def log_length_at(self, attempt_id: int, task: int, stream: int, moment_ms: int) -> int:
        """How much of a task's output (``stream`` 0) or errors (1) had been written by then, at least: to the last look at it."""
        return lengths.length_at(lengths.path_of(self._lengths, attempt_id, task, stream), moment_ms)

    def environment(self, launch: Launch) -> dict[str, str]:
        """What the process of a task has in its environment because of what it holds; whoever holds a lease sets it himself."""
        return environment_of(launch, self._settings.home)

    def supervisor(self) -> tuple[int, str, dict[str, str]]:
        """The supervisor's pid (0: none), its version, and what it enforces."""
        hello = self._hello()
        return int(hello.get("pid", 0)), str(hello.get("version", "")), self.capabilities().enforces

    def diagnose(self) -> list[Finding]:
        """What there is to say of this machine; looks at everything afresh."""
        with self._lock:
            stats = self._session.ask("stats")
            hello, problem = self._hello(), self._session.problem
            live = [(task.attempt_id, task.task) for task in self._tasks.live()]
        self._wake()  # the question may have taken in reports that nobody else will be told of
        devices = tuple(self._devices.probe().values())
        strays = leftover_processes(self._tasks.tag, live)
        return diagnose(Facts(self._settings, hello, stats, problem, devices, self._devices.driver, self._devices.problem, strays))

    def _hello(self) -> dict[str, Any]:
        link = self._session.link
        return dict(link.hello) if link is not None else {}

    def _awaken(self) -> None:
        self._wake()

    def _nudge(self) -> None:
        """Reports appeared outside of `observe`: somebody must come and get them."""
        if self._reports.end != self._told:
            self._wake()

    def _begun(self, link: Link, listed: Listed) -> None:
        """A new connection: forget what was on its way; whatever is true comes again."""
        self._release.clear()
        self._reports.clear()
        self._composer.forget()
        self._sent.clear()
        self._asked.clear()
        self._tasks.restart(listed, link.records)
        self._take_in()
        self._wake()

    def _is_told_again(self, launch: Launch) -> bool:
        known = self._tasks.get((launch.attempt_id, launch.task))
        if known is None:
            return False
        for report in known.reports:
            self._reports.add(report)
        return True

    def _can_hold(self, launch: Launch) -> bool:
        """Whether the supervisor knows leases, if it is one."""
        if launch.spec.holder is None or self.capabilities().leases:
            return True
        self._reject(launch, "no_leases", "the supervisor is of an earlier version, which cannot hold leases")
        return False

    def _on_free_devices(self, batch: list[Launch]) -> list[Launch]:
        """Those whose devices are still free. The others are rejected: the plan is older than the look that is taken here."""
        uuids = sorted({uuid for launch in batch for uuid in launch.devices if uuid not in self._pretend})
        if not uuids:
            return batch
        found = self.probe_devices(uuids)
        free = []
        for launch in batch:
            blocked = next((uuid for uuid in launch.devices if uuid in uuids and is_blocked(found.get(uuid))), None)
            if blocked is None:
                free.append(launch)
            else:
                self._reject(launch, *obstacle(blocked, found.get(blocked)))
        return free

    def _reject(self, launch: Launch, code: str, why: str, job_fault: bool = False) -> None:
        self._reports.add(LaunchRejected(launch.attempt_id, launch.task, launch.fence, job_fault, code, why))

    def _signal_item(self, signal: Signal) -> dict[str, Any] | None:
        """What the supervisor is to do; None when the answer is known here: it is reported again how the task ended."""
        known = self._tasks.get((signal.attempt_id, signal.task))
        if known is None:
            self._report_unknown((signal.attempt_id, signal.task), signal.fence)
            return None
        if known.is_over:
            for report in known.reports:
                self._reports.add(report)
        if known.is_final:
            return None
        item = signals.item_of(signal, self.capabilities())
        if item is None and signal.action is SignalAction.RESIZE:
            self._reports.add(signals.unable(signal))
        return item

    def _report_unknown(self, key: Key, fence: int) -> None:
        why = "the supervisor does not know this task: it never started here, or its end is long acknowledged"
        self._report(TaskEnded(*key, fence, EndReason.UNKNOWN, None, why=why), 0)

    def _send_launches(self, batch: list[Launch]) -> None:
        link = self._session.link
        if link is None:
            return
        for number, message in self._composer.messages(batch, link.next_id):
            self._sent[number] = message.launches
            if len(self._sent) > MAX_SENT:
                # Only failures are answered, and in order: one of this age has succeeded.
                del self._sent[next(iter(self._sent))]
            if not self._session.send(message.line):
                return

    def _take_in(self) -> None:
        """Turn what has come into reports."""
        for held in self._release.take():
            self._reports.let_go(held.seq)
            self._report(held.report, held.seq)
        link = self._session.link
        if link is None:
            return
        missing: list[Key] = []
        while link.records:
            record = link.records.popleft()
            self._arrived(observation_of(record), record.seq)
        while link.replies:
            missing += self._answered(link.replies.popleft())
        if missing:
            self._session.catch_up()
            self._take_in()
            self._settle_missing(missing)

    def _arrived(self, item: Observation, seq: int) -> None:
        """A task with devices is reported empty only once they are clean."""
        key = (item.attempt_id, item.task)
        known = self._tasks.get(key)
        if known is not None and known.devices:
            if isinstance(item, TaskEnded) and item.empty:
                if self._is_held(TaskEmptied(*key, item.fence), seq, known):
                    item, seq = replace(item, empty=False), 0
            elif isinstance(item, TaskEmptied) and self._is_held(item, seq, known):
                return
        self._report(item, seq)

    def _is_held(self, item: TaskEmptied, seq: int, known: Known) -> bool:
        self._tasks.vacate((item.attempt_id, item.task), known)
        if not self._release.hold(item, seq, known.devices):
            return False
        self._reports.hold(seq)
        return True

    def _report(self, item: Observation, seq: int) -> None:
        self._tasks.reported(item)
        self._reports.add(item, seq)

    def _answered(self, reply: Reply) -> list[Key]:
        """Deal with one answer; the tasks that a signal did not find."""
        for done in signals.reports_of(self._asked.pop(reply.id, []), reply):
            self._reports.add(done)
        batch = self._sent.pop(reply.id, [])
        if reply.reply != "error" or not batch:
            return reply.missing
        if reply.code == "unknown_template":
            self._composer.forget()
            self._send_launches(batch)
        elif reply.code == "bad_request" and len(batch) > 1:
            for launch in batch:  # one of them is at fault; the others must not suffer for it
                self._send_launches([launch])
        else:
            for launch in batch:
                self._tasks.drop((launch.attempt_id, launch.task))
                self._reject(launch, reply.code, reply.why, job_fault=reply.code == "bad_request")
        return []

    def _settle_missing(self, keys: Sequence[Key]) -> None:
        for key in keys:
            known = self._tasks.get(key)
            if known is not None and not known.is_over:
                self._report_unknown(key, known.fence)


def _nobody() -> None:
    """Nobody has subscribed yet."""


def _fence(message: Launch | Signal) -> int:
    return message.fence
