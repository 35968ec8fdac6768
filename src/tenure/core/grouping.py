"""A whole table of waiting jobs, sorted into groups by array operations.

A board that is built anew may hold a hundred thousand jobs: to put them into their groups one by one takes seconds. Property: these are
the groups that `tenure.core.waiting.Waiting.put` makes job by job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tenure.core.columns import Bools, Ints, is_among
from tenure.model.job import JOB_COLUMNS, JobTable

Columns = Mapping[str, Ints]
"""All rows of a table, by the name of the field of `tenure.model.job.PendingJob`."""


def columns_of(table: JobTable) -> Columns:
    """The columns of all chunks together."""
    parts = {name: [chunk.columns[number] for chunk in table.chunks] for number, name in enumerate(JOB_COLUMNS)}
    return {name: np.frombuffer(b"".join(part), dtype=np.int64) for name, part in parts.items()}


def may_start(columns: Columns, paused: Collection[int]) -> Bools:
    """Which jobs may start once they are eligible: not held, not blocked, in none of the paused queues, with room in their array."""
    stopped = (columns["held"] != 0) | (columns["blocked"] != 0) | is_among(columns["queue"], paused)
    free: Bools = ~stopped & (columns["array_left"] > 0) & (columns["array_room"] > 0)
    return free


def eligible_times(columns: Columns, wanted: Bools) -> list[tuple[int, int]]:
    """(eligible_ms, id) of the wanted jobs, sorted."""
    return sorted(zip(columns["eligible_ms"][wanted].tolist(), columns["id"][wanted].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Grouped:
    """G groups by F fields. ``keys`` [F, G]; ``entries`` of each group are (submitted_ms, id), sorted; ``lowest`` [G] is the lowest of
    its ids, which follow the same order where ``by_id`` [G]; ``runs`` [G] is what has not started of all of them."""

    keys: Ints
    entries: list[list[tuple[int, int]]]
    lowest: Ints
    runs: Ints
    by_id: Bools

    def each(self) -> Iterator[tuple[tuple[int, ...], list[tuple[int, int]], int, bool]]:
        """Key, entries, runs and whether the entries follow their ids, group by group."""
        return zip(zip(*self.keys.tolist(), strict=True), self.entries, self.runs.tolist(), self.by_id.tolist(), strict=True)


def grouped(columns: Columns, fields: Sequence[str], wanted: Bools) -> Grouped:
    """The wanted jobs, those together that have the same values in these fields."""
    keys = np.stack([columns[name][wanted] for name in fields])
    submitted, ids, runs = (columns[name][wanted] for name in ("submitted_ms", "id", "array_left"))
    order = np.lexsort((ids, submitted, *keys[::-1]))
    keys, submitted, ids = keys[:, order], submitted[order], ids[order]
    if not len(ids):
        return Grouped(keys, [], ids, runs, np.empty(0, dtype=np.bool_))
    is_first = np.ones(len(ids), dtype=np.bool_)
    is_first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    follows = is_first.copy()
    follows[1:] |= ids[1:] > ids[:-1]
    starts = np.flatnonzero(is_first)
    rows = list(zip(submitted.tolist(), ids.tolist(), strict=True))
    entries = [rows[start:stop] for start, stop in pairwise([*starts.tolist(), len(rows)])]
    lowest, runs = np.minimum.reduceat(ids, starts), np.add.reduceat(runs[order], starts)
    return Grouped(keys[:, starts], entries, lowest, runs, np.logical_and.reduceat(follows, starts))
