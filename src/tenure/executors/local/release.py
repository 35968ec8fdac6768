"""Holding back the news that a task is gone until its GPUs are: the driver may need longer than the process.

A thread looks at the devices, seldom and only while something is held. When they do not become clean in time they are quarantined,
and the news goes out once the control loop has seen the quarantine (`shown`), so that there is no moment in which the device looks
free. Invariant: an emptied report of a task with devices leaves here only with clean or quarantined devices.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tenure.executors.local.devices import Devices
from tenure.model.observations import TaskEmptied

FIRST_LOOK_S = 0.02
LONGEST_PAUSE_S = 0.5


@dataclass(slots=True)
class Held:
    """A report that waits. ``quarantined_at`` is the revision of the devices that shows the quarantine; 0: not quarantined."""

    report: TaskEmptied
    seq: int
    devices: tuple[str, ...]
    since_s: float
    quarantined_at: int = 0


class Release:
    """The reports that wait for their devices. ``wake`` is called when `take` has something."""

    def __init__(self, devices: Devices, release_ms: int, wake: Callable[[], None]) -> None:
        self._devices = devices
        self._release_s = release_ms / 1000
        self._wake = wake
        self._held: list[Held] = []
        self._ready: list[Held] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._shown = 0

    def hold(self, report: TaskEmptied, seq: int, devices: tuple[str, ...]) -> bool:
        """Keep the report unless the devices are clean already; whether it is kept."""
        if not self._devices.leftovers(devices):
            return False
        with self._changed:
            self._held = [*self._held, Held(report, seq, devices, time.monotonic())]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="device-release", daemon=True)
                self._thread.start()
            self._changed.notify()
        return True

    def take(self) -> list[Held]:
        """Reports that need not wait any longer, in the order in which their devices became clean."""
        with self._changed:
            ready, self._ready = self._ready, []
            return ready

    def uses(self, uuid: str) -> bool:
        """Whether a report waits for this device."""
        return any(uuid in held.devices for held in (*self._held, *self._ready))

    def shown(self, revision: int) -> None:
        """The control loop was told the devices as of that revision."""
        with self._changed:
            self._shown = max(self._shown, revision)
            out = [held for held in self._held if held.quarantined_at and held.quarantined_at <= self._shown]
            self._pass(out)
        if out:
            self._wake()

    def clear(self) -> None:
        """Everything held will be reported anew."""
        with self._changed:
            self._held, self._ready = [], []

    def stop(self) -> None:
        """End the thread; what is held stays unreported."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        pause_s = FIRST_LOOK_S
        while True:
            with self._changed:
                if self._stopped:
                    return
                if not self._held:
                    pause_s = FIRST_LOOK_S
                    self._changed.wait()
                else:
                    self._changed.wait(pause_s)
                    pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                waiting = list(self._held)
            if self._look(waiting):
                pause_s = FIRST_LOOK_S
                self._wake()

    def _look(self, waiting: list[Held]) -> bool:
        """Look once at the devices of everything that waits; whether a report may go or a quarantine must be shown."""
        clean: list[Held] = []
        news = False
        for held in waiting:
            left = self._devices.leftovers(held.devices)
            if not left:
                clean.append(held)
            elif not held.quarantined_at and time.monotonic() - held.since_s > self._release_s:
                for uuid, reason in left.items():
                    self._devices.quarantine(uuid, f"still occupied {self._release_s:g} s after its task ended: {reason}")
                held.quarantined_at = max(self._devices.revision, 1)
                news = True
        with self._changed:
            self._pass(clean)
        return news or bool(clean)

    def _pass(self, ready: list[Held]) -> None:
        """Lists are replaced, never changed: `uses` reads them from other threads without the lock."""
        passing = [held for held in ready if held in self._held]
        self._ready = [*self._ready, *passing]
        self._held = [held for held in self._held if held not in passing]
