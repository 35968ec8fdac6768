"""Where the control loop sleeps: one wait for everything that may wake it.

Why not a condition variable: what the executor reports comes over a descriptor, and a thread that only passes the news on costs two
switches per report. Invariant: a wake-up is never lost; one that comes while the loop works ends the next sleep at once.
"""

from __future__ import annotations

import contextlib
import os
import select

NOBODY = (-1, -1)


class Waiter:
    """`wake` may be called from any thread, everything else by the thread that sleeps."""

    def __init__(self) -> None:
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._bell, select.EPOLLIN)
        self._watched = NOBODY

    def wake(self) -> None:
        """End the present or the next sleep."""
        os.eventfd_write(self._bell, 1)

    def watch(self, descriptor: int, generation: int) -> None:
        """Let the descriptor (-1: none) wake too. A new ``generation`` is a new file, even under the old number."""
        watched = (descriptor, generation) if descriptor >= 0 else NOBODY
        if watched == self._watched:
            return
        if self._watched != NOBODY:
            with contextlib.suppress(OSError):  # a closed file has left by itself
                self._epoll.unregister(self._watched[0])
        if watched != NOBODY:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._watched = watched

    def sleep(self, seconds: float) -> None:
        """Sleep until woken or until the time is over."""
        for descriptor, _ in self._epoll.poll(seconds):
            if descriptor == self._bell:
                os.eventfd_read(self._bell)

    def close(self) -> None:
        """Give the descriptors back; nobody may call `wake` any more."""
        self._epoll.close()
        os.close(self._bell)
