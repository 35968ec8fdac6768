"""A thread that waits for the supervisor's socket and wakes the control loop. It reads nothing and holds no lock.

Why not read there: the loop records reports in batches anyway, so a reading thread would only fight it for the interpreter. After a
wake-up the socket is not watched until `rearm`, so a busy loop is never interrupted. Invariant: after `rearm`, whatever is unread
wakes.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

RETRY_S = 1.0


class Waker:
    """Calls ``wake`` once per `rearm` when the watched descriptor is readable; every `RETRY_S` while there is none to watch."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._epoll = select.epoll()
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        self._epoll.register(self._stop_read, select.EPOLLIN)
        self._fd = -1
        self._lost = False
        self._fired = False
        self._thread = threading.Thread(target=self._run, name="supervisor-waker", daemon=True)
        self._thread.start()

    def watch(self, fd: int) -> None:
        """Watch this one from now on."""
        self.unwatch()
        self._fd = fd
        self._fired = self._lost = False
        self._epoll.register(fd, select.EPOLLIN | select.EPOLLONESHOT)

    def unwatch(self) -> None:
        """To be called before the descriptor is closed."""
        if self._fd >= 0:
            self._epoll.unregister(self._fd)
            self._fd = -1

    def lost(self) -> None:
        """There is nothing to watch: wake from time to time, so that somebody tries again."""
        self.unwatch()
        self._lost = True
        os.write(self._stop_write, b"r")  # so that the thread notices

    def rearm(self) -> None:
        """What had come was read."""
        if self._fired and self._fd >= 0:
            self._fired = False
            self._epoll.modify(self._fd, select.EPOLLIN | select.EPOLLONESHOT)

    def stop(self) -> None:
        """End the thread."""
        os.write(self._stop_write, b"s")
        self._thread.join()
        self._epoll.close()
        os.close(self._stop_read)
        os.close(self._stop_write)

    def _run(self) -> None:
        while True:
            ready = self._epoll.poll(RETRY_S if self._lost else None)
            if any(fd == self._stop_read for fd, _ in ready) and b"s" in os.read(self._stop_read, 64):
                return
            if not ready and not self._lost:
                continue
            self._fired = True
            self._wake()
