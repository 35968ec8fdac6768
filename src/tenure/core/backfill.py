"""The reservation of the head, and what may start without delaying it (EASY).

When the first job in the order does not fit, the time limits of the running jobs say when it will: the *shadow time*. Its nodes and
devices at that time are reserved; what stays free of them even then is *extra*. A later job may start now if it ends by the shadow
time, or if it takes only extra room, judged per node and per device.

A running job without a limit never frees anything. If the head depends on one, its start is unknown and delaying it cannot be
measured: then jobs are only steered away from the head's node while there is room elsewhere, and all that fits may start
(work-conserving). So that nothing starves, once the head has waited until its bonus is full (`PlanSettings.wait_full_ms`) or for as
long as the guard says (`PlanSettings.guard_ms`), its room is protected all the same.

Where room is promised from later on, a `tenure.core.calendar.Calendar` says what is free on those nodes, and for how long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from tenure.core.board import Board
from tenure.core.calendar import Calendar, Step
from tenure.core.columns import NEVER
from tenure.core.days import who_of
from tenure.core.feasibility import Ask, NodeRoom, count_tasks, fits, give, is_allowed, lack
from tenure.core.horizon import bounds as bounds_of
from tenure.core.placement import Layout, Option, arrange, deal, is_enough
from tenure.core.rooms import FOREVER, Holding, Rooms
from tenure.core.stages import Score
from tenure.core.tables import NodeTable
from tenure.model.job import PendingJob
from tenure.model.plan import Reservation
from tenure.model.reasons import WouldDelay

CHUNK = 16
"""So many nodes are looked at closely before the first attempt at an answer; then twice as many each time."""


@dataclass(frozen=True, slots=True)
class Window:
    """A reservation and its consequences. ``start_ms`` is `FOREVER` when unknown. By index of the reserved nodes: ``extra`` is what
    stays free beside the reservation at that time, ``before`` what was free when it was made. ``firm``: the room is protected.
    ``delay`` is the reason of those that wait for its sake."""

    reservation: Reservation
    delay: WouldDelay
    start_ms: int
    extra: dict[int, NodeRoom]
    before: dict[int, NodeRoom]
    firm: bool

    def ends_before(self, now_ms: int, limit_ms: int) -> bool:
        """Whether a job with that limit, started now, is gone by then."""
        return 0 < limit_ms <= self.start_ms - now_ms and self.start_ms < FOREVER


def steps(rooms: Rooms, index: int, ask: Ask, now_ms: int) -> list[Step]:
    """How many tasks fit on a node from when on, as running jobs end; an overdue end is expected in the next millisecond."""
    node = rooms.nodes[index]
    if not is_allowed(ask, node):
        return []
    count = count_tasks(ask, node, ask.tasks)
    found = [(now_ms, index, count)] if count else []
    holdings = sorted(rooms.holdings[index].values(), key=attrgetter("ends_ms"))
    if ask.tasks == 1 and not (ask.wants_devices or ask.max_per_node):
        return found or _first_step(index, ask, node.free, holdings, now_ms)
    room, single = node.copy(), ask.tasks == 1
    for position, holding in enumerate(holdings, 1):
        give(room, holding.need, holding.devices, holding.app)
        if position < len(holdings) and holdings[position].ends_ms == holding.ends_ms:
            continue
        grown = int(fits(ask, room)) if single else count_tasks(ask, room, ask.tasks)
        if grown > count:
            count = grown
            found.append((max(holding.ends_ms, now_ms + 1), index, count))
        if count >= ask.tasks:
            break
    return found


def _first_step(index: int, ask: Ask, free: Sequence[int], holdings: Iterable[Holding], now_ms: int) -> list[Step]:
    """`steps` of a single task that takes amounts alone: when the holdings, sorted by their ends, have left enough of them."""
    cpu, memory, storage, bandwidth = (have - need for have, need in zip(free, ask.need, strict=True))
    for holding in holdings:
        need = holding.need
        cpu, memory, storage, bandwidth = cpu + need[0], memory + need[1], storage + need[2], bandwidth + need[3]
        if cpu >= 0 and memory >= 0 and storage >= 0 and bandwidth >= 0:
            return [(max(holding.ends_ms, now_ms + 1), index, 1)]
    return []


def earliest(ask: Ask, profile: Sequence[Step]) -> tuple[int, dict[int, int]] | None:
    """When all tasks fit together for the first time, and how many fit where just then; None for never. Room that comes before
    a window may be gone again."""
    counts: dict[int, int] = {}
    ordered = sorted(profile)
    for position, (at_ms, index, count) in enumerate(ordered):
        counts[index] = count
        if position + 1 < len(ordered) and ordered[position + 1][0] == at_ms:
            continue
        if is_enough(ask, list(counts.values())):
            return at_ms, {index: count for index, count in counts.items() if count}
    return None


def _first_time(
    board: Board, ask: Ask, job: PendingJob, now_ms: int, table: NodeTable | None, calendar: Calendar | None
) -> tuple[int, dict[int, int]] | None:
    """`earliest` over all nodes, looking closely only at those whose bound says that they may matter."""
    rooms = board.rooms

    def steps_of(index: int) -> list[Step]:
        if calendar is not None and index in calendar:
            return calendar.steps(index, ask, job.limit_ms, who_of(job))
        return steps(rooms, index, ask, now_ms)

    if table is None:
        return earliest(ask, [step for index in range(len(rooms.nodes)) for step in steps_of(index)])
    bounds = bounds_of(table, ask, now_ms)
    order = np.argsort(bounds, kind="stable").tolist()
    profile: list[Step] = []
    found: tuple[int, dict[int, int]] | None = None
    done, chunk = 0, CHUNK
    while done < len(order):
        bound = int(bounds[order[done]])
        if bound == NEVER or (found is not None and bound > found[0]):
            break
        for index in order[done : done + chunk]:
            profile += steps_of(index)
        found = earliest(ask, profile)
        done, chunk = done + chunk, chunk * 2
    return found


def reserve(
    board: Board,
    ask: Ask,
    job_id: int,
    score: Score,
    now_ms: int,
    table: NodeTable | None = None,
    calendar: Calendar | None = None,
) -> Window | None:
    """The reservation of a job that does not fit now; None when it would not fit even with every job gone.

    ``table``, the board's rooms in columns, makes it faster on many nodes and changes nothing. ``calendar``: what is promised to others
    or set aside.
    """
    rooms, job = board.rooms, board.waiting.rows[job_id]
    found = _first_time(board, ask, job, now_ms, table, calendar)
    if found is None:
        return None
    (start_ms, counts), who = found, who_of(job)
    at_start = {
        index: rooms.until(index, start_ms) if calendar is None else calendar.over(index, start_ms, job.limit_ms, who)
        for index in counts
    }
    layout = _layout(ask, rooms, at_start, counts, score, start_ms < FOREVER)
    extra = {index: at_start[index] for index, _ in layout}
    before = {index: rooms.nodes[index].copy() for index, _ in layout}
    placements = deal(ask, layout, extra)
    if ask.max_per_node:
        for room in extra.values():
            room.caps = {ask.app: ask.max_per_node}
    return window_of(board, Reservation(job_id, start_ms if start_ms < FOREVER else 0, placements), now_ms, extra, before)


def has_waited(board: Board, job_id: int, now_ms: int) -> bool:
    """Whether a job has waited until its bonus is full, or for as long as the guard says: its room is protected though nobody knows
    when it starts."""
    settings, age_ms = board.settings, now_ms - board.waiting.rows[job_id].submitted_ms
    return age_ms >= settings.wait_full_ms or 0 < settings.guard_ms < age_ms


def window_of(board: Board, made: Reservation, now_ms: int, extra: dict[int, NodeRoom], before: dict[int, NodeRoom]) -> Window:
    """A reservation and what follows from its start, which may be unknown."""
    firm = made.start_ms > 0 or has_waited(board, made.job_id, now_ms)
    return Window(made, WouldDelay(made.job_id, made.start_ms), made.start_ms or FOREVER, extra, before, firm)


def _layout(ask: Ask, rooms: Rooms, at_start: dict[int, NodeRoom], counts: dict[int, int], score: Score, known: bool) -> Layout:
    """The best nodes at that time; when the time is unknown, the nodes that lack least now. Of a single one there is no best."""
    if len(counts) == 1 and ask.nodes <= 1:
        return [(index, ask.tasks) for index in counts]
    options = []
    for index, count in counts.items():
        rank = score.score(ask, at_start[index]) if known else lack(ask, rooms.nodes[index])
        options.append(Option(rank, index, count))
    layout = arrange(ask, options)
    return layout if layout is not None else []
