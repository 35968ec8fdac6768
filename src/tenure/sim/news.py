"""What has happened in a replay that the board has not been told of, and how it is told: by `Changes`, as from a store."""

from __future__ import annotations

from dataclasses import dataclass, field

from tenure.core.ledger import Account, Ledger
from tenure.model.allocation import Allocation
from tenure.model.amounts import Amounts
from tenure.model.job import PendingJob, RunningJob
from tenure.model.node import Node
from tenure.model.plan import Reservation, Start
from tenure.model.snapshot import Changes
from tenure.sim.displaced import Displaced


@dataclass(slots=True)
class News:
    """Changes since the board's revision. ``moved`` are the accounts of whom something started or ended."""

    pending: dict[int, PendingJob] = field(default_factory=dict)
    pending_removed: list[int] = field(default_factory=list)
    running: dict[int, RunningJob] = field(default_factory=dict)
    running_removed: list[int] = field(default_factory=list)
    moved: dict[Account, None] = field(default_factory=dict)
    promises: tuple[Reservation, ...] | None = None
    nodes: tuple[Node, ...] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing has happened."""
        return (
            not (self.pending or self.running or self.running_removed or self.pending_removed or self.nodes) and self.promises is None
        )

    def changes(self, revision: int, now_ms: int, ledger: Ledger, displaced: Displaced) -> Changes:
        """All of it as the difference to the next revision."""
        return Changes(
            revision,
            revision + 1,
            now_ms,
            self.pending,
            tuple(self.pending_removed),
            self.running,
            tuple(self.running_removed),
            usage=tuple(ledger.used[account] for account in sorted(self.moved)) if self.moved else (),
            promises=self.promises,
            nodes=self.nodes,
            claims=tuple(displaced.claims.values()) if displaced.has_news else None,
            evictions=tuple(displaced.evictions) if displaced.has_news else None,
        )


def attempt_of(row: PendingJob, start: Start, amounts: Amounts, limit_ms: int, now_ms: int) -> RunningJob:
    """A waiting job as it runs from now on."""
    return RunningJob(
        id=row.id,
        attempt_id=row.id,
        shape=row.shape,
        queue=row.queue,
        project=row.project,
        user=row.user,
        priority=row.priority,
        started_ms=now_ms,
        ends_by_ms=now_ms + limit_ms if limit_ms else 0,
        allocations=tuple(
            Allocation(0, row.id, row.id, place.task, place.node_id, amounts, place.devices) for place in start.placements
        ),
        slice_ms=now_ms,
    )
