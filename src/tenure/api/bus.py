"""From the control thread to whoever waits in the event loop: a bell that rings after a durable turn, while somebody listens.

Why a bell and no messages: every listener reads the store anyway, so that it can miss nothing. Why it is bounded: a busy control loop
turns hundreds of times a second, and waking the event loop and its readers after each would cost more than the jobs do.
Invariant: after the last turn of a burst the bell rings once more, at most ``1 / RATE`` seconds late.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tenure.model.outcomes import JobChange

RATE = 50
"""Rings a second that a busy loop may keep up."""
BURST = 20
"""Rings that come at once after quiet: who runs one short job after the other is told of each without delay."""


class Follower(asyncio.Event):
    """Set by each change of one job, from when that was named on. `name` may be called from any thread."""

    def __init__(self, named: Callable[[Follower], None]) -> None:
        super().__init__()
        self.job_id = 0
        self.has_left = False
        self._named = named

    def name(self, job_id: int) -> None:
        """Follow that job, once: no change of it is missed that is told after this call."""
        self.job_id = job_id
        self._named(self)


@dataclass(slots=True)
class Bus:
    """`publish` is called from the control thread, everything else in the event loop."""

    loop: asyncio.AbstractEventLoop
    _listeners: list[asyncio.Event] = field(default_factory=list)
    _followers: dict[int, list[Follower]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ringing: bool = False
    _left: float = BURST
    _rang_at: float = 0.0

    def publish(self, revision: int, changes: Sequence[JobChange]) -> None:
        """Ring, if somebody listens; a ring that is on its way says it all. Who follows one of these jobs is told at once."""
        if self._followers and not self.loop.is_closed():
            touched = [change.job_id for change in changes if change.job_id in self._followers]
            if touched:
                self.loop.call_soon_threadsafe(self._tell, touched)
        if self._listeners and not self._ringing and not self.loop.is_closed():
            self._ringing = True
            self.loop.call_soon_threadsafe(self._schedule)

    def _schedule(self) -> None:
        """Now, or as soon as the rate allows (a token bucket)."""
        now = self.loop.time()
        self._left = min(BURST, self._left + (now - self._rang_at) * RATE) - 1
        self._rang_at = now
        if self._left >= 0:
            self._ring()
        else:
            self.loop.call_later(-self._left / RATE, self._ring)

    def _ring(self) -> None:
        self._ringing = False  # before anybody reads: what is written from now on rings anew
        for listener in self._listeners:
            listener.set()

    def _tell(self, job_ids: Sequence[int]) -> None:
        for job_id in job_ids:
            for follower in self._followers.get(job_id, ()):
                follower.set()

    @contextlib.contextmanager
    def follow(self, job_id: int = 0) -> Iterator[Follower]:
        """A bell for each change of one job, as `listen` but without delay: few wait for one job, however many there are. One whose
        number is not known yet is named later.

        What changes a job is what the loop names to its listener, so only what belongs there may be waited for."""
        follower = Follower(self._add)
        if job_id:
            follower.name(job_id)
        try:
            yield follower
        finally:
            self._remove(follower)

    def _add(self, follower: Follower) -> None:
        with self._lock:
            if not follower.has_left:
                self._followers.setdefault(follower.job_id, []).append(follower)

    def _remove(self, follower: Follower) -> None:
        with self._lock:
            follower.has_left = True
            left = [one for one in self._followers.get(follower.job_id, ()) if one is not follower]
            if left:
                self._followers[follower.job_id] = left
            else:
                self._followers.pop(follower.job_id, None)

    def listen(self) -> asyncio.Event:
        """An event that is set by each ring, and cleared by whoever waits for it; read the store *after* this call and after each
        clearing, so that nothing falls between."""
        listener = asyncio.Event()
        self._listeners.append(listener)
        return listener

    def leave(self, listener: asyncio.Event) -> None:
        """Stop listening."""
        self._listeners.remove(listener)
