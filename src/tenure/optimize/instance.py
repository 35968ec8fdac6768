"""What a search works on: the first waiting jobs, the nodes and when what is held comes back. Plain values, cut loose from the board.

The jobs are those that the incumbent policy would consider first; who has lost patience under it keeps its place in front of what may
be rearranged, so that no search lets anybody starve. Jobs of one group differ in age alone, so their order among themselves is never
searched. Invariant: the same board, time and policy give the same instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tenure.core.board import Board
from tenure.core.feasibility import NodeRoom, is_allowed
from tenure.core.forward import first_in_order
from tenure.core.objectives import WHOLE, length_ms, share_of
from tenure.core.possible import Possible
from tenure.core.rooms import FOREVER
from tenure.core.stages import Stages
from tenure.core.turns import scores_of
from tenure.optimize.timeline import Line, Site, line_of, site_of
from tenure.policies.patience import OVERDUE

MOST_COPIES = 8
"""So many elements of one array are planned for."""


@dataclass(frozen=True, slots=True)
class Token:
    """A waiting job, or one of the next elements of an array. ``group`` is equal for jobs that are alike; ``usable`` are the indexes of
    the nodes that may hold it, ``sites`` one task on each; ``shares`` what it takes of each, in millionths."""

    job_id: int
    sites: tuple[Site, ...]
    tasks: int
    length_ms: int
    priority: int
    deadline_ms: int
    group: int
    usable: tuple[int, ...]
    shares: tuple[int, ...]

    def share_on(self, node: int) -> int:
        """What one task takes of that node."""
        return self.shares[self.usable.index(node)]

    def site_on(self, node: int) -> Site:
        """One task on that node."""
        return self.sites[self.usable.index(node)]


@dataclass(frozen=True, slots=True)
class Instance:
    """``pinned`` tokens in front stay where they are. ``held`` is what is already held of each node, in millionths times milliseconds
    from now on, and ``ends_ms`` when the last of it ends."""

    now_ms: int
    revision: int
    rooms: tuple[NodeRoom, ...]
    lines: tuple[Line, ...]
    tokens: tuple[Token, ...]
    pinned: int
    held: tuple[int, ...]
    ends_ms: int

    def canonical(self, order: Sequence[int]) -> list[int]:
        """The order in which jobs that are alike stand by age and the pinned ones in front: the same schedule for everybody else."""
        rest = [place for place in order if place >= self.pinned]
        waiting: dict[int, list[int]] = {}
        for place in sorted(rest, reverse=True):
            waiting.setdefault(self.tokens[place].group, []).append(place)
        return [*range(self.pinned), *(waiting[self.tokens[place].group].pop() for place in rest)]

    def by_job(self, job_ids: Sequence[int]) -> list[int]:
        """The order in which the tokens of these jobs come first, in theirs, the others behind as they are."""
        rank = {job_id: place for place, job_id in enumerate(dict.fromkeys(job_ids))}
        places = sorted(range(len(self.tokens)), key=lambda place: (rank.get(self.tokens[place].job_id, len(rank)), place))
        return self.canonical(places)

    def jobs(self, order: Sequence[int]) -> list[int]:
        """The jobs of an order, each once."""
        return list(dict.fromkeys(self.tokens[place].job_id for place in order))


def instance_of(board: Board, now_ms: int, stages: Stages, window: int) -> Instance:
    """The first ``window`` jobs that wait, as the stages order them, those that never can run left out."""
    ids = first_in_order(board, now_ms, stages, window)
    possible, rows, rooms = Possible.of(board), board.waiting.rows, tuple(room.copy() for room in board.rooms.nodes)
    slots = {job_id: group.slot for group in board.waiting.groups.values() for _, job_id in group.entries[:window]}
    scores = scores_of(board, now_ms, stages.order)
    tokens: list[Token] = []
    pinned = 0
    for job_id in ids:
        row, ask = rows[job_id], board.asks[rows[job_id].shape]
        if not possible.could_hold(row.shape) or len(tokens) >= window:
            continue
        usable = tuple(index for index, room in enumerate(rooms) if is_allowed(ask, room))
        shares = tuple(round(share_of(ask, rooms[index]) * WHOLE) for index in usable)
        sites = tuple(site_of(ask, rooms[index]) for index in usable)
        token = Token(job_id, sites, ask.tasks, length_ms(row), row.priority, row.deadline_ms, slots[job_id], usable, shares)
        tokens += [token] * min(row.array_left, row.array_room, MOST_COPIES)
        if scores[slots[job_id]] > OVERDUE / 2:
            pinned = len(tokens)
    held, ends_ms = _held(board, now_ms)
    lines = tuple(line_of(room, list(board.rooms.holdings[index].values()), now_ms) for index, room in enumerate(rooms))
    return Instance(now_ms, board.revision, rooms, lines, tuple(tokens), pinned, held, ends_ms)


def _held(board: Board, now_ms: int) -> tuple[tuple[int, ...], int]:
    """What running jobs hold of each node from now until they end; of those without an end nothing is known."""
    found: list[int] = []
    last_ms = now_ms
    for room, holdings in zip(board.rooms.nodes, board.rooms.holdings, strict=True):
        total = 0
        for holding in holdings.values():
            if now_ms < holding.ends_ms < FOREVER:
                gpu = sum(share.milli for share in holding.devices) / (max(1, len(room.devices)) * 1000)
                parts = (holding.need[0] / max(1, room.capacity[0]), holding.need[1] / max(1, room.capacity[1]), gpu)
                total += round(max(parts) * WHOLE) * (holding.ends_ms - now_ms)
                last_ms = max(last_ms, holding.ends_ms)
        found.append(total)
    return tuple(found), last_ms
