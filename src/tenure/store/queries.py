"""Reads for people: what the wire shows, asked of read-only connections, from any thread.

They grow freely; nothing here decides or writes. Invariant: one call is one consistent read.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import select

from tenure.model.access import SCHEDULER
from tenure.model.anomaly import Anomaly
from tenure.model.commands import Caller
from tenure.model.lifecycle import ENDED_STATES
from tenure.model.measures import LiveTask, Series
from tenure.model.outcomes import Violation
from tenure.model.shape import Shape
from tenure.store import audit, details, overview, people
from tenure.store.accounts import PROJECT_NAMES, USER_NAMES
from tenure.store.audit import Ends, Record
from tenure.store.chosen import Choice, last_choice
from tenure.store.database import Database
from tenure.store.intern import Names
from tenure.store.leased import LeaseRow, open_leases, read_leases
from tenure.store.listing import JobRow, counts_by_state, filter_of, ids_of, owner_of, resolve
from tenure.store.pages import jobs_page
from tenure.store.people import Person, TokenRow
from tenure.store.reader import Reader, ask
from tenure.store.schema import allocation, attempt, job
from tenure.store.series import live_tasks, read_series, writers_of
from tenure.store.sight import seen
from tenure.store.sql import InList, Link, const
from tenure.store.stream import event_views, read_events
from tenure.store.tx import READ_REVISION
from tenure.store.usage import UsageSample, read_samples
from tenure.wire.cursors import Key
from tenure.wire.dto import EventView, JobDetail, JobsReply, NodesReply, QueuesReply, Selection
from tenure.wire.policy import PolicyUse

if TYPE_CHECKING:
    from tenure.core.advice import Habit
    from tenure.store.guided import GuidanceRow
    from tenure.store.reports import Held, Wasted

__all__ = ["JobRow", "LogFile", "Queries"]
MAX_BUCKETS = 1_000
T = TypeVar("T")
SHAPE_IDS = InList(lambda keys: select(job.c.id, job.c.shape_id).where(job.c.id.in_(keys)))
_ENDED = [const(state) for state in sorted(ENDED_STATES)]
UNFINISHED = InList(lambda keys: select(job.c.id).where(job.c.id.in_(keys), job.c.state.not_in(_ENDED)))


@dataclass(frozen=True, slots=True)
class LogFile:
    """Where a task writes, and whose it is. ``stream`` 1 are its errors, where they are kept apart. ``uid`` -1: whosesoever it is."""

    path: str
    attempt_id: int
    task: int
    stream: int = 0
    uid: int = -1


class Queries:
    """Every method is one consistent read. Raises StoreUnavailable when the store cannot be read."""

    def __init__(self, database: Database, settled: Callable[[], int | None] = lambda: None) -> None:
        """``settled`` is the cursor up to which events may be told, None for all: others the end of the machine could still undo."""
        self._settled = settled
        self.url = database.url
        self._database = database
        self._reader = Reader(database)
        self.stamp = self._reader.stamp
        self._own = threading.local()

    @property
    def _names(self) -> Names:
        """Interned values, cached per thread: they never change once written."""
        names = getattr(self._own, "names", None)
        if names is None:
            names = self._own.names = Names()
        return names

    def jobs(self, selection: Selection, caller: Caller) -> JobsReply:
        """A page of jobs, as `jobs_page` says."""
        with self._reader.read() as link:
            reply = jobs_page(link, self._names, selection, caller, _now_ms())
            reply.revision = self._cursor(link)
            return reply

    def resolve(self, selection: Selection, caller: Caller) -> list[JobRow]:
        """The jobs a selection names, by id. Raises ValueError for a word that names nothing."""
        with self._reader.read() as link:
            return resolve(link, selection, caller)

    def detail(self, job_id: int, position: int = -1) -> JobDetail | None:
        """Everything about one job; None when there is none."""
        with self._reader.read() as link:
            return details.detail(link, self._names, job_id, position, _now_ms())

    def named(self, word: str, caller: Caller) -> tuple[int, JobDetail | None]:
        """How many jobs a word names of those that the caller may see; if it is one, everything about it. Raises ValueError."""
        with self._reader.read() as link:
            rows = resolve(link, Selection(ids=[word]), caller)
            found = details.detail(link, self._names, rows[0].job_id, rows[0].position, _now_ms()) if len(rows) == 1 else None
            return len(rows), found

    def shapes(self, job_ids: Sequence[int]) -> dict[int, Shape]:
        """What these jobs ask for, by id."""
        with self._reader.read() as link:
            return {job_id: self._names.shape(link, shape_id) for job_id, shape_id in link.rows_in(SHAPE_IDS, job_ids)}

    def ids_of(self, numbers: Sequence[int]) -> dict[int, str]:
        """What people type for these jobs, by number."""
        with self._reader.read() as link:
            return ids_of(link, numbers)

    def owner(self, project_name: str, caller: Caller) -> tuple[int, int]:
        """The numbers of a project and a user in snapshots; 0 for one that has had no job."""
        with self._reader.read() as link:
            return owner_of(link, project_name, caller)

    def seen(self, caller: Caller, numbers: Sequence[int]) -> set[int]:
        """Those of these jobs that the caller may see."""
        if caller.sees_all or not numbers:
            return set(numbers)
        with self._reader.read() as link:
            return seen(link, caller, numbers)

    def person(self, uid: int) -> Person | None:
        """The user of a uid, None for one that was never seen."""
        with self._reader.read() as link:
            return people.person_of_uid(link, uid)

    def token(self, digest: str) -> tuple[TokenRow, Person] | None:
        """The token of a digest, and whom it names."""
        with self._reader.read() as link:
            row = people.token_of(link, digest)
            person = people.person_of_id(link, row.user_id) if row is not None else None
            return (row, person) if row is not None and person is not None else None

    def people(self) -> list[Person]:
        """All users, by number."""
        with self._reader.read() as link:
            return people.people(link)

    def tokens(self) -> list[TokenRow]:
        """All tokens, by number."""
        with self._reader.read() as link:
            return people.tokens(link)

    def audit(self, after: int = 0, before: int = 0, limit: int = MAX_BUCKETS) -> list[Record]:
        """Rows of the audit log after a number in order; or, with ``before``, the last ones before it, the newest first."""
        with self._reader.read() as link:
            return audit.newest(link, before, limit) if before else audit.records(link, after, limit)

    def audit_page(self, after: int, limit: int) -> tuple[list[Record], Ends]:
        """Rows of the audit log after a number in order, and where the log began and ended at that moment."""
        with self._reader.read() as link:
            return audit.records(link, after, limit), audit.ends_of(link)

    def audit_breaks(self, count: int) -> list[Violation]:
        """Where the last rows of the audit log, so many, do not hold."""
        with self._reader.read() as link:
            return list(audit.breaks_lately(link, count))

    def nodes(self, caller: Caller = SCHEDULER) -> NodesReply:
        """All nodes and devices, with those jobs on them that the caller may see."""
        with self._reader.read() as link:
            return overview.nodes_view(link, caller)

    def queues(self) -> QueuesReply:
        """All queues."""
        with self._reader.read() as link:
            return overview.queues_view(link)

    def sharers(self) -> tuple[dict[int, str], dict[int, str]]:
        """The names of all projects and of all users, by number."""
        with self._reader.read() as link:
            return {number: name for name, number in link.rows(PROJECT_NAMES)}, dict(link.rows(USER_NAMES))

    def lease(self, number: int) -> LeaseRow | None:
        """One lease; None when that is no lease."""
        with self._reader.read() as link:
            found = read_leases(link, self._names, [number])
            return found[0] if found else None

    def open_leases(self) -> list[LeaseRow]:
        """The leases that are not over, by id."""
        with self._reader.read() as link:
            return read_leases(link, self._names, open_leases(link))

    def policy_choice(self) -> Choice | None:
        """The present choice of a policy."""
        with self._reader.read() as link:
            return last_choice(link)

    def policy_uses(self) -> list[PolicyUse]:
        """What each policy has done, the present one first."""
        from tenure.store.performance import policy_uses

        with self._reader.read() as link:
            return policy_uses(link)

    def counts(self) -> dict[str, int]:
        """How many jobs are in which state; an array counts once."""
        with self._reader.read() as link:
            return counts_by_state(link, filter_of(link, Selection(), SCHEDULER))

    def usage(self, span: tuple[int, int], node: str, after: Key, limit: int) -> list[UsageSample]:
        """What was held of the nodes, as `read_samples` says."""
        with self._reader.read() as link:
            return read_samples(link, span, node, after, limit)

    def live_tasks(self) -> list[LiveTask]:
        """The tasks whose processes should be there."""
        with self._reader.read() as link:
            return live_tasks(link)

    def writers_of(self, tasks: Sequence[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, bool]]:
        """The job of each of these tasks, and whether its processes may still be there."""
        with self._reader.read() as link:
            return writers_of(link, tasks)

    def still_open(self, jobs: Sequence[int]) -> set[int]:
        """Those of these jobs that have not ended."""
        from tenure.store.checkpoints import still_open

        with self._reader.read() as link:
            return still_open(link, jobs)

    def anomalies(self, *, job_id: int = 0) -> list[Anomaly]:
        """Those that are open, the oldest first; or the last of one job, the newest first."""
        from tenure.store import anomalies as rows

        with self._reader.read() as link:
            return rows.of_job(link, job_id) if job_id else rows.open_to(link)

    def habits(self, job_ids: Sequence[int]) -> dict[int, Habit]:
        """What earlier runs of the same kind have used, by job, where there were any."""
        from tenure.store.habits import habits

        with self._reader.read() as link:
            return habits(link, job_ids)

    def held(self, spans: Sequence[tuple[int, int]], by: str, caller: Caller, now_ms: int) -> list[Held]:
        """What was held in each of these times, by user, project, queue or day."""
        from tenure.store.reports import held

        with self._reader.read() as link:
            return held(link, spans, by, caller, now_ms)

    def wasted(self, spans: Sequence[tuple[int, int]], by: str, caller: Caller, now_ms: int) -> dict[tuple[int, str], Wasted]:
        """What was held in vain in each of these times."""
        from tenure.store.reports import wasted

        with self._reader.read() as link:
            return wasted(link, spans, by, caller, now_ms)

    def guidance(self) -> list[GuidanceRow]:
        """What guidance stands, by id."""
        from tenure.store.guided import read

        with self._reader.read() as link:
            return read(link)

    def read(self, look: Callable[[Link], T]) -> T:
        """A look of another module, as one consistent read."""
        with self._reader.read() as link:
            return look(link)

    def owners(self, job_ids: Sequence[int]) -> dict[int, tuple[int, str]]:
        """The uid and the project of each of these jobs."""
        from tenure.store.habits import owners

        with self._reader.read() as link:
            return owners(link, job_ids)

    def movable(self) -> dict[int, int]:
        """The running jobs that can be sent back into the line by themselves, and when each was submitted."""
        from tenure.store.habits import movable

        with self._reader.read() as link:
            return movable(link)

    def series(self, job_id: int, since_ms: int = 0, step_ms: int = 0, limit: int = MAX_BUCKETS) -> list[Series]:
        """A job's figures over time."""
        with self._reader.read() as link:
            return read_series(link, job_id, since_ms, step_ms, min(limit, MAX_BUCKETS))

    def last_cursor(self) -> int:
        """The cursor of the last event."""
        with self._reader.read() as link:
            return self._cursor(link)

    def _cursor(self, link: Link) -> int:
        """The cursor of the last event that may be told."""
        found, last = int((link.row(READ_REVISION) or (0,))[0]), self._settled()
        return found if last is None else min(found, last)

    def events(self, after: int, limit: int, job_id: int = 0) -> tuple[list[EventView], bool]:
        """Events after a cursor that may be told, and whether that cursor is older than what is retained."""
        with self._reader.read() as link:
            found, reset = read_events(link, after, limit, job_id)
            last = self._settled()
            return event_views(link, [item for item in found if last is None or item.cursor <= last]), reset

    def log_file(self, job_id: int, position: int, attempt_number: int = 0, task: int = 0, stream: str = "out") -> LogFile | None:
        """Where a task of a job (the last attempt, unless another is named) writes; None when it has not started."""
        if position >= 0:
            return None
        with self._reader.read() as link:
            last = ask(link, select(job.c.last_attempt_id, job.c.uid).where(job.c.id == job_id))
            chain = details.attempt_chain(link, last[0][0] if last else 0)
            chosen = [row for row in chain if attempt_number in (0, row[2])][:1]
            if not chosen:
                return None
            clause = select(allocation.c.stdout, allocation.c.stderr)
            rows = ask(link, clause.where(allocation.c.attempt_id == chosen[0][0], allocation.c.task == task))
        if not rows:
            return None
        number = 1 if stream == "err" and rows[0][1] else 0
        return LogFile(rows[0][number], chosen[0][0], task, number, last[0][1])

    def task_ended(self, attempt_id: int, task: int) -> bool:
        """Whether a task's main process is gone, so that its log is complete."""
        joined = allocation.join(attempt, attempt.c.id == allocation.c.attempt_id)
        clause = select(allocation.c.ended_ms, attempt.c.ended_ms).select_from(joined)
        with self._reader.read() as link:
            rows = ask(link, clause.where(allocation.c.attempt_id == attempt_id, allocation.c.task == task))
        return not rows or rows[0][0] is not None or rows[0][1] is not None

    def unfinished(self, job_ids: Sequence[int]) -> list[int]:
        """Those of the jobs that have not ended, by id."""
        with self._reader.read() as link:
            return sorted({number for (number,) in link.rows_in(UNFINISHED, job_ids)})

    def backup(self, target: Path) -> int:
        """Write a consistent copy to a new file, made durable; how many jobs it holds. Raises OSError or StoreUnavailable."""
        return self._database.copy_to(target)

    def close(self) -> None:
        """Give back every connection."""
        self._reader.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
