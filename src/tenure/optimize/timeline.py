"""What is free of one node from when on, while jobs are being placed into the future.

A line is a list of states, each from its time to that of the next, the last one for ever. Lines are never changed: placing makes a new
one, so that taking back is to put the old one in its place. Devices keep their identity: a task holds the same ones from its start to
its end. Invariant: no state of a line is ever negative.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from tenure.core.feasibility import UNBOUNDED, Ask, NodeRoom, device_fits, give
from tenure.core.rooms import FOREVER, Holding
from tenure.model.amounts import MILLI


class State(NamedTuple):
    """From ``at_ms`` on: free amounts in the order of `RESOURCES`; thousandths and bytes of each device; one that is not offered
    has none."""

    at_ms: int
    free: tuple[int, ...]
    milli: tuple[int, ...]
    memory: tuple[int, ...]


Line = list[State]


class Taken(NamedTuple):
    """What some tasks of a job take of one node: amounts together, and by place of the device its thousandths and bytes."""

    need: tuple[int, ...]
    devices: tuple[tuple[int, int, int], ...]


def line_of(room: NodeRoom, holdings: Sequence[Holding], now_ms: int) -> Line:
    """The line of a node, as the holdings on it end. One that is overdue ends in the next millisecond, one without an end never."""
    room = room.copy()
    line = [_state(room, now_ms)]
    ending = sorted((holding for holding in holdings if holding.ends_ms < FOREVER), key=lambda holding: holding.ends_ms)
    for holding in ending:
        at_ms = max(holding.ends_ms, now_ms + 1)
        give(room, holding.need, holding.devices)
        if line[-1].at_ms == at_ms:
            line.pop()
        line.append(_state(room, at_ms))
    return line


def _state(room: NodeRoom, at_ms: int) -> State:
    return State(
        at_ms,
        tuple(max(amount, 0) for amount in room.free),
        tuple(device.free_milli if device.offered else 0 for device in room.devices),
        tuple(device.free_memory_bytes for device in room.devices),
    )


def least(line: Line, first: int, until_ms: int) -> State:
    """What is free all the time from the beginning of a state until then."""
    found = line[first]
    for place in range(first + 1, len(line)):
        state = line[place]
        if state.at_ms >= until_ms:
            break
        found = State(
            found.at_ms,
            tuple(map(min, found.free, state.free)),
            tuple(map(min, found.milli, state.milli)),
            tuple(map(min, found.memory, state.memory)),
        )
    return found


class Site(NamedTuple):
    """A kind of task on one node: the ask, and of each device that it could use were it free: its place, its thousandths and bytes, and
    the bytes that the task takes of it."""

    ask: Ask
    devices: tuple[tuple[int, int, int, int], ...]


def site_of(ask: Ask, room: NodeRoom) -> Site:
    """The devices of a node that such a task accepts."""
    found = []
    for place, device in enumerate(room.devices if ask.wants_devices else ()):
        free = device.copy()
        free.free_milli, free.free_memory_bytes = device.capacity_milli, device.memory_bytes
        if device_fits(ask, free):
            found.append((place, device.capacity_milli, device.memory_bytes, ask.share_of(device.memory_bytes)[1]))
    return Site(ask, tuple(found))


def count(site: Site, state: State) -> int:
    """How many tasks fit together into what is free; labels and status are the caller's concern."""
    ask = site.ask
    found = ask.tasks
    for need, free in zip(ask.need, state.free, strict=True):
        if need > free:
            return 0
        if need and free < found * need:
            found = free // need
    if ask.whole:
        return min(found, len(_usable(site, state)) // ask.whole)
    if ask.milli:
        total = 0
        for place, _, _, memory in _usable(site, state):
            total += min(state.milli[place] // ask.milli, state.memory[place] // memory if memory else UNBOUNDED)
        return min(found, total)
    return found


def _usable(site: Site, state: State) -> list[tuple[int, int, int, int]]:
    """The devices that can be (one of) those of a task."""
    milli, memory, wanted = state.milli, state.memory, site.ask.milli
    if wanted:
        return [each for each in site.devices if milli[each[0]] >= wanted and memory[each[0]] >= each[3]]
    return [each for each in site.devices if milli[each[0]] == each[1] and memory[each[0]] == each[2]]


def taken(site: Site, state: State, tasks: int) -> Taken:
    """What so many tasks take of what is free; they must fit. Fractions go to the fullest device that holds them."""
    ask = site.ask
    devices: list[tuple[int, int, int]] = []
    if ask.whole:
        devices = [(place, MILLI, memory) for place, _, memory, _ in _usable(site, state)[: ask.whole * tasks]]
    elif ask.milli:
        milli, memory = list(state.milli), list(state.memory)
        for _ in range(tasks):
            left = State(state.at_ms, state.free, tuple(milli), tuple(memory))
            place, _, _, size = min(_usable(site, left), key=lambda each: (milli[each[0]], memory[each[0]], each[0]))
            milli[place] -= ask.milli
            memory[place] -= size
            devices.append((place, ask.milli, size))
    return Taken(tuple(need * tasks for need in ask.need), tuple(devices))


def placed(line: Line, start_ms: int, end_ms: int, what: Taken) -> Line:
    """The line with that taken from ``start_ms`` until ``end_ms``."""
    first = bisect_right(line, start_ms, key=lambda state: state.at_ms) - 1
    found = line[:first]
    if line[first].at_ms < start_ms:
        found.append(line[first])
    place = first
    while place < len(line) and line[place].at_ms < end_ms:
        state = line[place]
        found.append(_less(state, max(state.at_ms, start_ms), what))
        place += 1
    if place == len(line) or line[place].at_ms > end_ms:
        last = line[place - 1]
        found.append(State(end_ms, last.free, last.milli, last.memory))
    return found + line[place:]


def _less(state: State, at_ms: int, what: Taken) -> State:
    free = tuple(have - need for have, need in zip(state.free, what.need, strict=True))
    if not what.devices:
        return State(at_ms, free, state.milli, state.memory)
    milli, memory = list(state.milli), list(state.memory)
    for place, share, size in what.devices:
        milli[place] -= share
        memory[place] -= size
    return State(at_ms, free, tuple(milli), tuple(memory))
