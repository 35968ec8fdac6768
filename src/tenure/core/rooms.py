"""What is free of every node and device, who holds the rest until when, and how to try something and take it back.

A trial writes an undo log; `rollback` replays it backwards, which costs what the trial touched and nothing else. Every change also
appends the node to `log`, from which each reader of derived figures (scores, times) re-derives only what was touched since it last
looked. Invariant: free = capacity - sum of holdings, per amount and per device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tenure.core.columns import RoomColumns
from tenure.core.feasibility import NodeRoom, give, node_room, take
from tenure.model.allocation import DeviceShare
from tenure.model.node import Node

FOREVER = 2**62
"""The end of a holding without a time limit: nothing is known, so nobody may count on it."""

Key = tuple[int, int, int]
"""What holds: (kind, id, task). See the constants below."""

RUNNING = 0
CLAIMED = 1
PLANNED = 2
FORESEEN = 3
KEPT = 4


class Who(NamedTuple):
    """Whose job it is: numbers of project and user."""

    project: int = 0
    user: int = 0


NOBODY = Who()


@dataclass(frozen=True, slots=True)
class Holding:
    """Amounts and device shares held on one node until ``ends_ms`` (`FOREVER`: unknown) by a task of a job, which may be of an app.

    ``who`` says whose the job is, of which nothing else may be known here: it is foreseen to have started, and waits no more.
    """

    job_id: int
    ends_ms: int
    need: Sequence[int]
    devices: tuple[DeviceShare, ...]
    app: str = ""
    who: Who = NOBODY


class Rooms:
    """All nodes by index (the order of their ids). Indexes stay valid until the nodes themselves change, which makes new rooms."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: list[NodeRoom] = sorted((node_room(node) for node in nodes), key=lambda room: room.id)
        self.index: dict[int, int] = {node.id: position for position, node in enumerate(self.nodes)}
        self.holdings: list[dict[Key, Holding]] = [{} for _ in self.nodes]
        self.log: list[int] = []
        self.log_base = 0
        self._emptied = 0
        self._columns: RoomColumns | None = None
        self._undo: list[tuple[bool, int, Key, Holding]] = []
        self._trials = 0

    @property
    def cursor(self) -> int:
        """The end of the log: what a reader remembers when it is up to date."""
        return self.log_base + len(self.log)

    @property
    def columns(self) -> RoomColumns:
        """The same in columns. They are made when somebody asks for the first time: a small board never needs them."""
        if self._columns is None:
            self._columns = RoomColumns(self.nodes, [holdings.values() for holdings in self.holdings])
        return self._columns

    def log_since(self, cursor: int) -> list[int] | None:
        """Indexes of nodes touched after ``cursor``, in order; None when the log no longer goes back so far."""
        return None if cursor < self.log_base else self.log[cursor - self.log_base :]

    def touched_since(self, cursor: int) -> list[int] | None:
        """The same sorted, each once."""
        tail = self.log_since(cursor)
        return sorted(set(tail)) if tail is not None and len(tail) > 1 else tail

    def only_filled_since(self, cursor: int) -> bool:
        """Whether no holding has left any node after ``cursor``: what did not fit then does not fit now."""
        return cursor >= self._emptied

    def forget_log(self) -> None:
        """Drop the log; readers that are not up to date start anew."""
        self.log_base += len(self.log)
        self.log.clear()

    def hold(self, index: int, key: Key, holding: Holding) -> None:
        """Let somebody hold something on a node."""
        self._put(index, key, holding)
        if self._trials:
            self._undo.append((True, index, key, holding))

    def release(self, index: int, key: Key) -> None:
        """End a holding."""
        holding = self._drop(index, key)
        if self._trials:
            self._undo.append((False, index, key, holding))

    def mark(self) -> int:
        """Begin a trial; trials nest. The answer goes to `rollback`, which ends it."""
        self._trials += 1
        return len(self._undo)

    def rollback(self, mark: int) -> None:
        """Undo everything since the mark."""
        while len(self._undo) > mark:
            held, index, key, holding = self._undo.pop()
            if held:
                self._drop(index, key)
            else:
                self._put(index, key, holding)
        self._trials -= 1

    def _put(self, index: int, key: Key, holding: Holding) -> None:
        node = self.nodes[index]
        take(node, holding.need, holding.devices, holding.app)
        self.holdings[index][key] = holding
        self.log.append(index)
        if self._columns is not None:
            self._columns.put(index, node, holding)

    def _drop(self, index: int, key: Key) -> Holding:
        node, holdings = self.nodes[index], self.holdings[index]
        holding = holdings.pop(key)
        give(node, holding.need, holding.devices, holding.app)
        self.log.append(index)
        self._emptied = self.cursor
        if self._columns is not None:
            self._columns.drop(index, node, holding, holdings.values())
        return holding

    def until(self, index: int, at_ms: int) -> NodeRoom:
        """A copy of a node as it will be at ``at_ms`` if nothing starts and every limit is kept."""
        room = self.nodes[index].copy()
        for holding in self.holdings[index].values():
            if holding.ends_ms <= at_ms:
                give(room, holding.need, holding.devices, holding.app)
        return room
