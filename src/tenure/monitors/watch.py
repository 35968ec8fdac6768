"""The one thread that looks at things, every few seconds, and keeps what it saw last.

Samplers are independent: one that fails is logged, counted and asked less often, up to a minute apart, while the others go on. Who
wants to do something with a round (keep it, look for trouble in it, push it) is a sink; its errors are treated the same.
Invariant: no error of a sampler or a sink ends the thread; what `seen` gives is replaced as a whole, so any thread may read it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from tenure.wire.monitoring import SamplerView

FIRST_S = 1.0
"""The second round comes this soon, for rates are differences."""
LONGEST_PAUSE_S = 60.0
STOP_S = 5.0
_LEAST_REST = 0.25
"""Of the pause between two rounds, however long a round takes."""
_FORGET = 3
"""What was seen is forgotten after so many failures in a row: old figures look like present ones."""


class Sampler(Protocol):
    """Something that looks. It may raise anything, and is then asked again later."""

    name: str

    def sample(self, now_ms: int) -> Any:
        """One look."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class Round:
    """What one round saw: the last good look of each sampler, by its name. Immutable by convention."""

    __slots__ = ("at_ms", "looks")

    def __init__(self, at_ms: int, looks: Mapping[str, Any]) -> None:
        self.at_ms = at_ms
        self.looks = looks


Sink = Callable[[Round], None]


class _Turn:
    """A sampler or a sink with its luck so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.done = 0
        self.errors = 0
        self.in_a_row = 0
        self.last_error = ""
        self.not_before_s = 0.0
        self.pause_s = 0.0

    def run(self, call: Callable[[], Any], every_s: float, log: Callable[[str], None]) -> tuple[bool, Any]:
        """Whether it went well, and what it gave."""
        if time.monotonic() < self.not_before_s:
            return False, None
        try:
            found = call()
        except Exception as error:
            self._failed(error, every_s, log)
            return False, None
        if self.in_a_row:
            log(f"monitoring: {self.name} is well again")
        self.done += 1
        self.in_a_row, self.pause_s, self.last_error = 0, every_s, ""
        return True, found

    def view(self, every_s: float) -> SamplerView:
        """As others see it."""
        pause_s = self.pause_s or every_s
        return SamplerView(name=self.name, samples=self.done, errors=self.errors, pause_s=pause_s, last_error=self.last_error)

    def _failed(self, error: Exception, every_s: float, log: Callable[[str], None]) -> None:
        said = f"{type(error).__name__}: {error}"
        self.errors += 1
        self.in_a_row += 1
        self.pause_s = min(LONGEST_PAUSE_S, every_s * 2 ** min(self.in_a_row, 10))
        self.not_before_s = time.monotonic() + self.pause_s
        if said != self.last_error:  # the same thing again says nothing new
            log(f"monitoring: {self.name} failed, trying again in {self.pause_s:g} s: {said}")
        self.last_error = said


class Watch(threading.Thread):
    """Looks every ``every_s`` seconds until `stop`. ``sinks`` are given each round, in order, on this thread."""

    def __init__(
        self,
        samplers: Sequence[Sampler],
        every_s: float,
        *,
        now_ms: Callable[[], int],
        log: Callable[[str], None] = lambda _line: None,
        sinks: Sequence[tuple[str, Sink]] = (),
    ) -> None:
        super().__init__(name="monitoring", daemon=True)
        self.every_s = every_s
        self._samplers = [(sampler, _Turn(sampler.name)) for sampler in samplers]
        self._sinks = [(sink, _Turn(name)) for name, sink in sinks]
        self._now_ms = now_ms
        self._log = log
        self._halt = threading.Event()
        self._seen = Round(0, {})

    @property
    def seen(self) -> Round:
        """The last round; its time is 0 before the first."""
        return self._seen

    def views(self) -> list[SamplerView]:
        """How each sampler and sink does."""
        turns = [turn for _, turn in self._samplers] + [turn for _, turn in self._sinks]
        return [turn.view(self.every_s) for turn in turns]

    def run(self) -> None:
        """Until stopped."""
        pause_s = min(FIRST_S, self.every_s)
        while True:
            began_s = time.monotonic()
            self.look()
            took_s = time.monotonic() - began_s  # some samplers wait for somebody; but a slow machine is left alone for a while
            if self._halt.wait(max(pause_s - took_s, pause_s * _LEAST_REST)):
                break
            pause_s = self.every_s
        for sampler, turn in self._samplers:
            turn.not_before_s = 0.0
            turn.run(sampler.close, self.every_s, self._log)

    def look(self) -> Round:
        """One round, now."""
        now_ms = self._now_ms()
        looks = dict(self._seen.looks)
        for sampler, turn in self._samplers:
            well, found = turn.run(lambda sampler=sampler: sampler.sample(now_ms), self.every_s, self._log)  # type: ignore[misc]
            if well:
                looks[sampler.name] = found
            elif turn.in_a_row >= _FORGET:
                looks.pop(sampler.name, None)
        self._seen = found_now = Round(now_ms, looks)
        for sink, turn in self._sinks:
            turn.run(lambda sink=sink: sink(found_now), self.every_s, self._log)  # type: ignore[misc]
        return found_now

    def stop(self) -> None:
        """End it after the round that is under way; one that hangs is left behind."""
        self._halt.set()
        if self.is_alive():
            self.join(STOP_S)
