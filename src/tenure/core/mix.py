"""What is asked for: the requests of the jobs on a board, and how many tasks make each.

A scheduler does not know what will come, but it knows what came: the jobs that run, and while few of them run, those that wait as well.
Of many running jobs only the oldest are asked (`tenure.core.census`): so the answer changes when their number has doubled or one of the
oldest ends, not with every start, and what was worked out from it stays true for long.
Invariant: the mix is a function of the board's content alone; as long as it says the same, it is the same object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tenure.core.board import Board
from tenure.core.feasibility import Ask

ENOUGH = 32
"""So many running jobs say what is asked for; of fewer the waiting ones are asked, too."""

CACHE = "mix"
"""Where a board keeps its mix: to be put back by who puts back its census."""


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """Requests and how many tasks make each, the most frequent first."""

    tasks: tuple[tuple[Ask, int], ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A mix and what it was made of: how often the census had changed by then, or how many tasks there were of each shape."""

    source: object
    mix: Mix


def mix_of(board: Board) -> Mix:
    """What is asked for on a board."""
    kept: _Kept | None = board.caches.get(CACHE)
    enough = len(board.census) >= ENOUGH
    source: int | dict[int, int] = board.census.changes if enough else _all(board)
    if kept is None or kept.source != source:
        counts = board.census.oldest() if isinstance(source, int) else source
        kept = board.caches[CACHE] = _Kept(source, _mix((board.asks[shape], count) for shape, count in counts.items()))
    return kept.mix


def _all(board: Board) -> dict[int, int]:
    """How many jobs of each shape run or wait."""
    counts = board.census.shapes()
    for group in board.waiting.groups.values():
        counts[group.shape] += len(group.entries)
    return dict(counts)


def _mix(counted: Iterable[tuple[Ask, int]]) -> Mix:
    tasks: Counter[Ask] = Counter()
    for ask, count in counted:
        tasks[ask] += count * ask.tasks
    return Mix(tuple(sorted(tasks.items(), key=lambda item: (-item[1], _key(item[0])))))


def _key(ask: Ask) -> tuple[object, ...]:
    """An order of requests that does not depend on their numbers."""
    return (ask.need, ask.whole, *ask.device_kind, ask.labels, ask.tasks, ask.nodes)
