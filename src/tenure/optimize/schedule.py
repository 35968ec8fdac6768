"""A schedule is an order of jobs: each in turn is placed as early as it can be without moving those before it.

This is the serial schedule generation scheme (J. Kelley, "The critical-path method", 1963; R. Kolisch, "Serial and parallel
resource-constrained project scheduling methods revisited", EJOR 90, 1996), which plan-based schedulers use (X. Zheng, Z. Zhou, X. Yang,
Z. Lan and J. Wang, "Exploring plan-based scheduling for large-scale computing systems", CLUSTER 2016). A new order is decoded from the
first place where it differs from the one before: that is what makes a small move cheap.

Fitness is 30 % resource efficiency (work over capacity until the last end), 25 % deadlines met, 25 % priorities satisfied (a job counts
its priority times L / (L + delay), L its length, at least 10 s: all of it when it starts now, half when it is delayed for as long as it
runs; nothing while it can be placed nowhere, beside jobs without an end), 20 % balance (Jain's index of the nodes' loads). Whole
numbers throughout. Invariant: a decoder's answer does not depend on what it decoded before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from tenure.core.objectives import BOUND_MS, WHOLE
from tenure.core.placement import Layout, Option, arrange
from tenure.optimize.instance import Instance, Token
from tenure.optimize.timeline import Line, Site, State, count, least, placed, taken

EFFICIENCY, DEADLINES, PRIORITIES, BALANCE = 30, 25, 25, 20
BEST = (EFFICIENCY + DEADLINES + PRIORITIES + BALANCE) * WHOLE
"""The largest fitness there is."""


class Fitness(NamedTuple):
    """The four parts, each 0 to `WHOLE`."""

    efficiency: int
    deadlines: int
    priorities: int
    balance: int

    @property
    def value(self) -> int:
        """The weighted sum, 0 to `BEST`."""
        return EFFICIENCY * self.efficiency + DEADLINES * self.deadlines + PRIORITIES * self.priorities + BALANCE * self.balance


class Slot(NamedTuple):
    """Where and when a token was placed; ``start_ms`` -1 and no layout where it never can be."""

    start_ms: int
    layout: tuple[tuple[int, int], ...]


NOWHERE = Slot(-1, ())


class _Step(NamedTuple):
    """What was decoded up to a place: length of the undo log, last end, deadlines met, weighted slowdowns, and the weight of those that
    were placed."""

    undo: int
    ends_ms: int
    met: int
    slowed: int
    weight: int


class Decoder:
    """Decodes orders of one instance. ``spent`` counts the tokens that were placed: a search's work."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.spent = 0
        self._lines: list[Line] = list(instance.lines)
        self._load = list(instance.held)
        self._undo: list[tuple[int, Line, int]] = []
        self._order: list[int] = []
        self._slots: list[Slot] = []
        self._steps = [_Step(0, instance.ends_ms, 0, 0, 0)]
        self._due = sum(token.deadline_ms > 0 for token in instance.tokens)
        self._weight = sum(token.priority for token in instance.tokens)

    def fitness(self, order: Sequence[int]) -> Fitness:
        """How good the schedule of an order is."""
        self._decode(order)
        last = self._steps[-1]
        nodes, work = len(self._load), sum(self._load)
        span = (last.ends_ms - self.instance.now_ms) * nodes
        squares = nodes * sum(load * load for load in self._load)
        return Fitness(
            min(work // span, WHOLE) if span else WHOLE,
            WHOLE * last.met // self._due if self._due else WHOLE,
            WHOLE * WHOLE * last.weight * last.weight // (last.slowed * self._weight) if last.slowed else WHOLE,
            WHOLE * work * work // squares if squares else WHOLE,
        )

    def lines(self) -> list[Line]:
        """What is free of each node beside what was decoded last."""
        return list(self._lines)

    def slots(self, order: Sequence[int]) -> list[Slot]:
        """Where and when each token is placed, by token."""
        self._decode(order)
        found = [NOWHERE] * len(order)
        for place, slot in zip(self._order, self._slots, strict=True):
            found[place] = slot
        return found

    def _decode(self, order: Sequence[int]) -> None:
        same = 0
        for one, other in zip(order, self._order, strict=False):
            if one != other:
                break
            same += 1
        self._take_back(same)
        for place in order[same:]:
            self._place(place)

    def _take_back(self, kept: int) -> None:
        mark = self._steps[kept].undo
        while len(self._undo) > mark:
            index, line, load = self._undo.pop()
            self._lines[index], self._load[index] = line, load
        del self._order[kept:], self._slots[kept:], self._steps[kept + 1 :]

    def _place(self, place: int) -> None:
        token, last, now_ms = self.instance.tokens[place], self._steps[-1], self.instance.now_ms
        self.spent += 1
        slot = self._earliest(token)
        self._order.append(place)
        self._slots.append(slot)
        if slot is NOWHERE:
            self._steps.append(last)
            return
        end_ms = slot.start_ms + token.length_ms
        for index, tasks in slot.layout:
            line = self._lines[index]
            first = bisect_right(line, slot.start_ms, key=lambda state: state.at_ms) - 1
            what = taken(token.site_on(index), least(line, first, end_ms), tasks)
            self._undo.append((index, line, self._load[index]))
            self._lines[index] = placed(line, slot.start_ms, end_ms, what)
            self._load[index] += token.share_on(index) * tasks * token.length_ms
        length_ms = max(token.length_ms, BOUND_MS)
        met = last.met + (0 < end_ms <= token.deadline_ms)
        slowed = last.slowed + token.priority * (WHOLE * (length_ms + slot.start_ms - now_ms) // length_ms)
        self._steps.append(_Step(len(self._undo), max(last.ends_ms, end_ms), met, slowed, last.weight + token.priority))

    def _earliest(self, token: Token) -> Slot:
        if token.tasks == 1:
            return self._earliest_node(token)
        times = sorted({state.at_ms for index in token.usable for state in self._lines[index]})
        for start_ms in times:
            layout = self._layout(token, start_ms)
            if layout is not None:
                return Slot(start_ms, tuple(layout))
        return NOWHERE

    def _layout(self, token: Token, start_ms: int) -> Layout | None:
        """Which nodes hold all tasks from then until their end, if any do."""
        options = []
        for index, site in zip(token.usable, token.sites, strict=True):
            line = self._lines[index]
            first = bisect_right(line, start_ms, key=lambda state: state.at_ms) - 1
            many = count(site, line[first])
            if many:
                state = least(line, first, start_ms + token.length_ms)
                many = min(many, count(site, state))
                options.append(Option(_left(state), index, many))
        return arrange(token.sites[0].ask, options) if options else None

    def _earliest_node(self, token: Token) -> Slot:
        """The node where one task starts first; of several the one with least left."""
        best: tuple[int, int, int] | None = None
        for index, site in zip(token.usable, token.sites, strict=True):
            found = self._earliest_on(site, token.length_ms, index, best[0] if best else None)
            if found is not None and (best is None or (*found, index) < best):
                best = (*found, index)
        return NOWHERE if best is None else Slot(best[0], ((best[2], 1),))

    def _earliest_on(self, site: Site, length_ms: int, index: int, until_ms: int | None) -> tuple[int, int] | None:
        """(when, what is left then) of the first fit on a node, no later than ``until_ms``."""
        line = self._lines[index]
        first, size = 0, len(line)
        while first < size:
            start_ms = line[first].at_ms
            if until_ms is not None and start_ms > until_ms:
                return None
            end_ms, place = start_ms + length_ms, first
            while place < size and line[place].at_ms < end_ms and count(site, line[place]):
                place += 1
            if place == size or line[place].at_ms >= end_ms:
                state = least(line, first, end_ms)
                if not site.ask.wants_devices or count(site, state):
                    return start_ms, _left(state)
                place = first
            first = place + 1
        return None


def _left(state: State) -> int:
    """What is free there, devices above all: best fit takes the least."""
    return sum(state.milli) * 1_000_000 + state.free[0]
