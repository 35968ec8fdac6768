"""From the control thread to whoever waits in the event loop: one message per durable turn, and only while somebody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from tenure.model.outcomes import JobChange


@dataclass(frozen=True, slots=True)
class Turn:
    """A durable turn: the store's revision after it and the jobs whose state it is known to have moved."""

    revision: int
    changes: Sequence[JobChange]


@dataclass(slots=True)
class Bus:
    """Turns for listeners. `publish` is called from the control thread, everything else in the event loop.

    A listener that falls behind loses turns, never blocks one: every listener re-reads the store, turns only wake it.
    """

    loop: asyncio.AbstractEventLoop
    _listeners: list[asyncio.Queue[Turn]] = field(default_factory=list)

    def publish(self, revision: int, changes: Sequence[JobChange]) -> None:
        """Tell the listeners, if there are any."""
        if self._listeners and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._deliver, Turn(revision, changes))

    def _deliver(self, turn: Turn) -> None:
        for listener in self._listeners:
            if listener.full():
                listener.get_nowait()
            listener.put_nowait(turn)

    def listen(self) -> asyncio.Queue[Turn]:
        """Begin to listen; read the store *after* this call, so that nothing falls between."""
        listener: asyncio.Queue[Turn] = asyncio.Queue(64)
        self._listeners.append(listener)
        return listener

    def leave(self, listener: asyncio.Queue[Turn]) -> None:
        """Stop listening."""
        self._listeners.remove(listener)
