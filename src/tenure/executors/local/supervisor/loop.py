"""The event loop: file descriptors, what to do when they are ready, and nothing else.

Why not a library: an idle supervisor must not wake, and a busy one must not allocate per event.
Invariant: `after` runs once per round, after every ready descriptor has been served.
"""

from __future__ import annotations

import select
from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Loop:
    """Runs until `stop`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._going = True

    def watch(self, fd: int, ready: Callable[[int], None], mask: int = READ) -> None:
        """Call `ready(mask)` whenever the descriptor is."""
        self._ready[fd] = ready
        self._epoll.register(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        """From now on wait for `mask`."""
        self._epoll.modify(fd, mask)

    def unwatch(self, fd: int) -> None:
        """To be called before the descriptor is closed."""
        if self._ready.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def stop(self) -> None:
        """Return from `run` after this round."""
        self._going = False

    def run(self, after: Callable[[], None]) -> None:
        """Serve until stopped."""
        poll, ready = self._epoll.poll, self._ready
        after()
        while self._going:
            for fd, mask in poll():
                serve = ready.get(fd)
                if serve is not None:
                    serve(mask)
            after()

    def close(self) -> None:
        """Nothing is watched any more."""
        self._epoll.close()
