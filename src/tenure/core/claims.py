"""Room that was promised to a job while those who hold it are still leaving.

A claim holds all of its room on the board. Of what a job that is being stopped holds there, the part that the claims of the node will
take counts as theirs at once, and only the rest as the stopping job's own: so nothing is counted twice, what is free now stays free for
others, and nobody's reservation counts on what comes free and is promised already. The claim's end is the latest end of the job it is
for. Invariant: the holdings of a node follow from the running jobs and the claims alone, in whatever order these came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tenure.core.rooms import CLAIMED, FOREVER, NOBODY, RUNNING, Holding, Who
from tenure.model.allocation import Allocation, Claim, DeviceShare

if TYPE_CHECKING:
    from tenure.core.board import Board


def hold(board: Board, claim: Claim) -> None:
    """Let a claim hold its room."""
    row = board.waiting.rows.get(claim.job_id)
    ends_ms = claim.deadline_ms + row.limit_ms if row is not None and row.limit_ms else FOREVER
    need, rooms = claim.amounts.as_tuple(), board.rooms
    app, who = (board.shapes[row.shape].app, Who(row.project, row.user)) if row is not None else ("", NOBODY)
    for placement in claim.placements:
        index = rooms.index.get(placement.node_id)
        if index is not None:
            holding = Holding(claim.job_id, ends_ms, need, placement.devices, app, who)
            rooms.hold(index, (CLAIMED, claim.id, placement.task), holding)
    cover(board, claim)


def lift(board: Board, claim: Claim) -> None:
    """The inverse."""
    for placement in claim.placements:
        index = board.rooms.index.get(placement.node_id)
        if index is not None:
            board.rooms.release(index, (CLAIMED, claim.id, placement.task))
    cover(board, claim)


def cover(board: Board, held: Claim | Iterable[Allocation]) -> None:
    """Share out anew what stopping jobs hold, on the nodes of a claim or of allocations."""
    places = held.placements if isinstance(held, Claim) else held
    for node_id in sorted({place.node_id for place in places}):
        if node_id in board.rooms.index:
            _cover(board, board.rooms.index[node_id])


def _cover(board: Board, index: int) -> None:
    holdings = board.rooms.holdings[index]
    claimed = _Claimed(holding for key, holding in holdings.items() if key[0] == CLAIMED)
    leaving = sorted(key for key in holdings if key[0] == RUNNING and board.running[key[1]].stopping)
    for key in leaving:
        job, old = board.running[key[1]], holdings[key]
        held = next(held for held in job.allocations if held.task == key[2])
        new = Holding(job.id, old.ends_ms, *claimed.rest_of(held.amounts.as_tuple(), held.devices), old.app, old.who)
        if new != old:
            board.rooms.release(index, key)
            board.rooms.hold(index, key, new)


class _Claimed:
    """What the claims of a node take, as far as no stopping job was found yet that leaves it."""

    def __init__(self, holdings: Iterable[Holding]) -> None:
        self.need = [0, 0, 0, 0]
        self.devices: dict[int, tuple[int, int]] = {}
        for holding in holdings:
            self.need = [sum(pair) for pair in zip(self.need, holding.need, strict=True)]
            for share in holding.devices:
                milli, memory = self.devices.get(share.device_id, (0, 0))
                self.devices[share.device_id] = (milli + share.milli, memory + share.memory_bytes)

    def rest_of(self, need: Sequence[int], devices: Iterable[DeviceShare]) -> tuple[tuple[int, ...], tuple[DeviceShare, ...]]:
        """What stays of these amounts beside the claims; what the claims take of them is found."""
        rest = tuple(max(amount - claimed, 0) for amount, claimed in zip(need, self.need, strict=True))
        self.need = [max(claimed - amount, 0) for amount, claimed in zip(need, self.need, strict=True)]
        shares = tuple(self._rest_of(share) for share in devices)
        return rest, tuple(share for share in shares if share.milli or share.memory_bytes)

    def _rest_of(self, share: DeviceShare) -> DeviceShare:
        milli, memory = self.devices.get(share.device_id, (0, 0))
        self.devices[share.device_id] = (max(milli - share.milli, 0), max(memory - share.memory_bytes, 0))
        return DeviceShare(share.device_id, max(share.milli - milli, 0), max(share.memory_bytes - memory, 0))
