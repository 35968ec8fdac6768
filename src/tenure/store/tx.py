"""One write transaction: counters read under the writer's lock, events collected, everything written at the end.

Why: an event's cursor must be dense and in commit order, so it is taken while the lock is held and from the row that every writer
locks first. Invariant: ``event_seq`` after `write_counters` is the cursor of the last event in the table, and is the store's revision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec
from sqlalchemy import select

from tenure.ports import StaleEpoch
from tenure.store.counts import Line, Lines
from tenure.store.intern import Names
from tenure.store.people_schema import audit
from tenure.store.schema import event, meta
from tenure.store.settings import StoreSettings
from tenure.store.sql import Link, Row, Statement, const, insert, param

_COUNTERS = select(
    meta.c.job_seq,
    meta.c.attempt_seq,
    meta.c.allocation_seq,
    meta.c.event_seq,
    meta.c.event_floor,
    meta.c.leader_epoch,
    meta.c.audit_seq,
    meta.c.audit_hash,
).where(meta.c.id == const(1))
LOCK_META = Statement(_COUNTERS.with_for_update())
READ_ATTEMPTS = Statement(select(meta.c.attempt_seq).where(meta.c.id == const(1)))
READ_REVISION = Statement(select(meta.c.event_seq, meta.c.event_floor).where(meta.c.id == const(1)))
WRITE_META = Statement(
    meta.update()
    .ordered_values(
        (meta.c.job_seq, param("job")),
        (meta.c.attempt_seq, param("attempt")),
        (meta.c.allocation_seq, param("allocation")),
        (meta.c.event_seq, param("event")),
        (meta.c.audit_seq, param("audit")),
        (meta.c.audit_hash, param("hash")),
    )
    .where(meta.c.id == const(1)),
    "job",
    "attempt",
    "allocation",
    "event",
    "audit",
    "hash",
)
INSERT_EVENT = insert(event, "cursor", "kind", "job_id", "project_id", "at_ms", "data")
INSERT_AUDIT = insert(audit, *(column.name for column in audit.columns))

_encode = msgspec.json.Encoder().encode


def to_json(value: Any) -> str:
    """JSON text of plain data."""
    return _encode(value).decode()


Touch = tuple[str, int, int | None, bool]
"""What an event says that planning needs: its kind, its job, the array whose template changed too, and whether the job neither waits
nor holds anything any more, so that nobody need read it."""


class JobLine(Protocol):
    """What of a job's row says in which line of a listing it is counted."""

    @property
    def array_id(self) -> int | None: ...
    @property
    def project_id(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def queue_id(self) -> int: ...
    @property
    def state(self) -> str: ...


class Mark(NamedTuple):
    """Where the counters of a transaction stood."""

    job_seq: int
    attempt_seq: int
    allocation_seq: int
    event_seq: int
    events: int
    moved: Mapping[Line, int]


class Point:
    """A savepoint: what was written after it can be taken back without ending the transaction."""

    __slots__ = ("_link",)

    def __init__(self, link: Link) -> None:
        self._link = link

    def __enter__(self) -> Point:
        self._link.cursor.execute("SAVEPOINT tenure_point")
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            self._link.cursor.execute("RELEASE SAVEPOINT tenure_point")

    def rollback(self) -> None:
        """Take back what was written since."""
        self._link.cursor.execute("ROLLBACK TO SAVEPOINT tenure_point")


class Transaction:
    """What the parts of the store write through. ``now_ms`` is the time of the call being carried out; ``before`` is what the command
    that is being carried out has found of what it changes, for the audit log."""

    __slots__ = (
        "_audits",
        "_events",
        "_read",
        "allocation_seq",
        "attempt_seq",
        "audit_hash",
        "audit_seq",
        "before",
        "event_floor",
        "event_seq",
        "job_seq",
        "leader_epoch",
        "lines",
        "link",
        "names",
        "now_ms",
        "settings",
        "touched",
    )

    def __init__(self, link: Link, names: Names, settings: StoreSettings, now_ms: int) -> None:
        row: Row | None = link.row(LOCK_META)
        if row is None:
            raise RuntimeError("the store has no meta row; restore a backup")
        self.link = link
        self.names = names
        self.settings = settings
        self.now_ms = now_ms
        counters: tuple[int, ...] = row[:6]
        self.job_seq, self.attempt_seq, self.allocation_seq, self.event_seq, self.event_floor, self.leader_epoch = counters
        self.audit_seq: int = row[6]
        self.audit_hash: str = row[7]
        self.before: Mapping[str, Any] = {}
        self._read = self._counters()
        self._audits: list[tuple[Any, ...]] = []
        self._events: list[tuple[int, str, int, int, int, str]] = []
        self.lines = Lines({})
        self.touched: list[Touch] = []

    def require_epoch(self, epoch: int) -> None:
        """Raise `StaleEpoch` unless ``epoch`` is the present leader's."""
        if epoch != self.leader_epoch:
            raise StaleEpoch(f"epoch {epoch} is not the leader's, which is {self.leader_epoch}")

    def emit(
        self, kind: str, job_id: int = 0, project_id: int = 0, data: str = "{}", array_id: int | None = None, *, gone: bool = False
    ) -> int:
        """Add an event; its cursor. ``array_id`` names the array whose template changed with the job, where that is known; ``gone``
        says that the job neither waits nor holds anything from here on."""
        self.event_seq += 1
        self.touched.append((kind, job_id, array_id, gone))
        self._events.append((self.event_seq, kind, job_id, project_id, self.now_ms, data))
        return self.event_seq

    def keep(self, row: tuple[Any, ...]) -> None:
        """Add the next row to the audit log: its number is first, its hash last."""
        self.audit_seq, *_, self.audit_hash = row
        self._audits.append(row)

    def next_job(self) -> int:
        """A new job id."""
        self.job_seq += 1
        return self.job_seq

    def next_attempt(self) -> int:
        """A new attempt id."""
        self.attempt_seq += 1
        return self.attempt_seq

    def next_allocation(self) -> int:
        """A new allocation id."""
        self.allocation_seq += 1
        return self.allocation_seq

    def savepoint(self) -> Point:
        """A point to which what follows can be taken back."""
        return Point(self.link)

    def move(self, row: JobLine, state: str) -> None:
        """A job's row goes from the state that it was read with to another one."""
        if row.array_id is None and row.state != state:
            self.lines.add((row.project_id, row.user_id, row.queue_id, row.state), -1)
            self.lines.add((row.project_id, row.user_id, row.queue_id, state), 1)

    def move_to_queue(self, row: JobLine, queue_id: int) -> None:
        """A job's row goes from the queue that it was read with to another one."""
        if row.array_id is None and row.queue_id != queue_id:
            self.lines.add((row.project_id, row.user_id, row.queue_id, row.state), -1)
            self.lines.add((row.project_id, row.user_id, queue_id, row.state), 1)

    def mark(self) -> Mark:
        """Where the counters stand, for `rewind`."""
        moved = dict(self.lines.moved)
        return Mark(self.job_seq, self.attempt_seq, self.allocation_seq, self.event_seq, len(self._events), moved)

    def rewind(self, mark: Mark) -> None:
        """Set the counters back and forget the events since; the rows are taken back by a savepoint."""
        back = self.event_seq - mark.event_seq
        self.job_seq, self.attempt_seq, self.allocation_seq, self.event_seq, kept, moved = mark
        self.lines = Lines(dict(moved))
        del self._events[kept:]
        if back:
            del self.touched[-back:]

    def write_counters(self, *, anyway: bool = False) -> bool:
        """Write the events collected so far and the counters, so that a read inside the transaction sees them; whether they moved.
        ``anyway``: write them even if they did not."""
        if self._events:
            self.link.write_many(INSERT_EVENT, self._events)
            self._events = []
        if self._audits:
            self.link.write_many(INSERT_AUDIT, self._audits)
            self._audits = []
        self.lines.write(self.link)
        now = self._counters()
        if now == self._read and not anyway:
            return False
        self.link.write(WRITE_META, *now)
        self._read = now
        return True

    def _counters(self) -> tuple[int, int, int, int, int, str]:
        """What `write_counters` writes."""
        return (self.job_seq, self.attempt_seq, self.allocation_seq, self.event_seq, self.audit_seq, self.audit_hash)
