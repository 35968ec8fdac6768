"""The store over one database: transactions, groups, and the calls of the port, each delegated to the module of its concept.

All calls belong to one thread at a time (a lock makes a mistake wait instead of corrupt). Outside a group every writing call is a
transaction of its own, durable when it returns. Inside one they share a transaction: if any of them raises, none took effect.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tenure.model.access import SCHEDULER
from tenure.model.anomaly import Anomaly
from tenure.model.commands import Answer, Command
from tenure.model.hint import Hint
from tenure.model.measures import Point, Reported
from tenure.model.observations import NodeFound, Observation
from tenure.model.outcomes import Commands, Committed, Event, JobChange, Recorded, Violation
from tenure.model.plan import Plan
from tenure.model.simulation import SimulationNote
from tenure.model.snapshot import Changes, Snapshot
from tenure.store import alive, guiding, leader
from tenure.store.accounts import define_projects, read_projects
from tenure.store.apply import apply
from tenure.store.choosing import count, note_strategy
from tenure.store.commit import commit
from tenure.store.conflicts import KnownConflicts
from tenure.store.database import Database
from tenure.store.forecasts import KnownForecasts
from tenure.store.holds import KnownHolds
from tenure.store.intern import Names
from tenure.store.leases import expire
from tenure.store.nodes import define_nodes
from tenure.store.queries import Queries
from tenure.store.recent import Recent
from tenure.store.record import Recording
from tenure.store.series import KnownSeries, forget_reports
from tenure.store.settings import StoreSettings
from tenure.store.snapshot import GUIDING, read_changes, read_snapshot, read_touches
from tenure.store.sql import Link
from tenure.store.stream import read_events
from tenure.store.tx import READ_ATTEMPTS, READ_REVISION, Transaction


class SqlStore:
    """The `Store` port over a `Database`. The methods' contracts stand at the port."""

    single_writer = True

    def __init__(self, database: Database, settings: StoreSettings) -> None:
        self.database = database
        self.settings = settings
        self._names = Names()
        self._holds = KnownHolds()
        self._conflicts = KnownConflicts()
        self._recent = Recent()
        self._series = KnownSeries()
        self._forecasts = KnownForecasts()
        self._lock = threading.RLock()
        self._tx: Transaction | None = None
        self._grouped = False
        self._lasting = True
        self._settled: int | None = None
        self._doomed: BaseException | None = None
        self._known_attempts = self._attempts()

    def _attempts(self) -> int:
        """How many attempts were ever begun."""
        with self._read() as link:
            return int((link.row(READ_ATTEMPTS) or (0,))[0])

    @contextmanager
    def group(self, *, lasting: bool = True) -> Iterator[None]:
        """See the port. Groups do not nest: an inner one belongs to the outer."""
        with self._lock:
            if self._grouped:
                try:
                    yield
                except BaseException as error:
                    self._doomed = error
                    raise
                return
            self._grouped, self._lasting = True, lasting
            try:
                yield
                self._refuse_doomed()
                self._finish()
            except BaseException:
                self._undo()
                raise
            finally:
                self._grouped, self._lasting = False, True
                self._doomed = None

    @contextmanager
    def _write(self, now_ms: int) -> Iterator[Transaction]:
        """The running transaction, or a new one that ends with the call."""
        with self._lock:
            try:
                self._refuse_doomed()
                tx = self._tx or self._begin(now_ms)
                tx.now_ms = now_ms
                with self.database.translated():
                    yield tx
                if not self._grouped:
                    self._finish()
            except BaseException as error:
                if self._grouped:
                    self._doomed = error
                else:
                    self._undo()
                raise

    def _refuse_doomed(self) -> None:
        """A call of this group has failed, so nothing of the group may take effect, whoever caught the failure."""
        if self._doomed is not None:
            raise self._doomed

    def _begin(self, now_ms: int) -> Transaction:
        self.database.begin(lasting=self._lasting)
        with self.database.translated():
            self._tx = Transaction(self.database.link, self._names, self.settings, now_ms)
        return self._tx

    def _finish(self) -> None:
        tx = self._tx
        if tx is None:
            return
        with self.database.translated():
            tx.write_counters()
        if not self._lasting and self._settled is None:
            self._settled = tx.event_seq - len(tx.touched)  # before the commit: a reader must not see an event and not this
        self.database.commit()
        if self._lasting:
            self._settled = None
        self._tx = None
        self._recent.add(tx.touched, tx.event_seq)

    def settle(self) -> bool:
        """See the port."""
        with self._lock:
            if self._settled is None:
                return False
            with self._write(0) as tx:
                tx.write_counters(anyway=True)
            return True

    def _undo(self) -> None:
        self._tx = None
        self._names.forget()
        self._holds.forget()
        self._conflicts.forget()
        self._series.forget()
        self._forecasts.forget()
        self.database.rollback()

    @contextmanager
    def _read(self) -> Iterator[Link]:
        """A consistent read; inside a group it sees what the group has written so far."""
        with self._lock:
            if self._tx is not None:
                with self.database.translated():
                    self._tx.write_counters()
                    yield self._tx.link
                return
            self.database.begin_read()
            try:
                with self.database.translated():
                    yield self.database.link
            finally:
                self.database.rollback()

    def apply(self, commands: Sequence[Command], now_ms: int) -> list[Answer]:
        """See the port."""
        if not commands:
            return []
        with self._write(now_ms) as tx:
            return apply(tx, commands, is_full=not self.database.has_room())

    def snapshot(self, now_ms: int) -> Snapshot:
        """See the port."""
        with self._read() as link:
            return read_snapshot(link, self._names, self.settings, now_ms)

    def changes(self, since: int, now_ms: int) -> Changes | None:
        """See the port."""
        with self._lock:
            if self._tx is not None:
                with self.database.translated():
                    return self._changes(self._tx.link, since, self._tx.event_seq, self._tx.event_floor, now_ms)
            with self._read() as link:
                revision, floor = link.row(READ_REVISION) or (0, 0)
                return self._changes(link, since, revision, floor, now_ms)

    def _changes(self, link: Link, since: int, revision: int, floor: int, now_ms: int) -> Changes | None:
        if since < floor or since > revision or revision - since > self.settings.changes_limit:
            return None
        if since == revision:
            return Changes(since, revision, now_ms)
        touches = self._recent.since(since, revision, self._tx.touched if self._tx else [])
        if touches is None:
            if self._tx is not None:
                self._tx.write_counters()
            touches = read_touches(link, since)
        if any(touch[0] in GUIDING for touch in touches):
            return None
        return read_changes(link, self._names, self.settings, touches, since, revision, now_ms)

    def commit(self, plan: Plan, epoch: int, now_ms: int) -> Committed:
        """See the port."""
        with self._write(now_ms) as tx:
            tx.require_epoch(epoch)
            rejections, launches = commit(tx, plan)
            reasons = self._holds.write(tx, plan)
            self._conflicts.write(tx, plan)
            note_strategy(tx, plan.strategy)
            count(tx, rejected=sum(rejection is not None for rejection in rejections), reasons=reasons)
            return Committed(tx.event_seq, rejections, tuple(launches))

    def record(self, observations: Sequence[Observation], epoch: int, now_ms: int) -> Recorded:
        """See the port."""
        with self._write(now_ms) as tx:
            tx.require_epoch(epoch)
            return self._record(tx, observations)

    def missing(self, keys: Sequence[tuple[int, int]], epoch: int, now_ms: int) -> Recorded:
        """See the port. A task whose launch nobody confirmed is not missing: `claim_commands` sends it again."""
        with self._write(now_ms) as tx:
            tx.require_epoch(epoch)
            observations, ignored = alive.ends_of_missing(tx, keys)
            recorded = self._record(tx, observations)
            return Recorded(recorded.revision, recorded.changes, recorded.stops, recorded.ignored + ignored)

    @staticmethod
    def _record(tx: Transaction, observations: Sequence[Observation]) -> Recorded:
        recording = Recording(tx, observations)
        recording.run()
        return Recorded(tx.event_seq, tuple(recording.changes), tuple(recording.stops), recording.ignored)

    def claim_commands(self, epoch: int, now_ms: int, *, launches: bool = True) -> Commands:
        """See the port."""
        with self._write(now_ms) as tx:
            tx.require_epoch(epoch)
            return alive.claim_commands(tx, launches=launches)

    def expire_leases(self, now_ms: int) -> tuple[int, list[JobChange]]:
        """See the port."""
        with self._write(now_ms) as tx:
            return expire(tx)

    def expire_guidance(self, now_ms: int) -> tuple[int, int]:
        """See the port."""
        with self._write(now_ms) as tx:
            return guiding.expire(tx, SCHEDULER)

    def live_tasks(self) -> list[tuple[int, int]]:
        """See the port."""
        with self._read() as link:
            return alive.live_tasks(link)

    def define_nodes(self, executor: str, nodes: Sequence[NodeFound], now_ms: int) -> int:
        """See the port."""
        with self._write(now_ms) as tx:
            define_nodes(tx, executor, nodes)
            return tx.event_seq

    def define_projects(self, now_ms: int) -> None:
        """Have the projects that the settings name, before any job is of them."""
        with self._write(now_ms) as tx:
            define_projects(tx)

    def elect(self, holder: str, lease_ms: int, now_ms: int) -> int | None:
        """See the port."""
        with self._write(now_ms) as tx:
            return leader.elect(tx, holder, lease_ms)

    def events(self, after: int, limit: int, job_id: int = 0) -> tuple[list[Event], bool]:
        """See the port."""
        with self._read() as link:
            return read_events(link, after, limit, job_id)

    def retain(self, now_ms: int) -> int:
        """See the port. Being called now and then, it also keeps a sample of what is held."""
        from tenure.store.retention import retain
        from tenure.store.usage import sample

        with self._write(now_ms) as tx:
            gone = retain(tx)
            self._series.forget()
            sample(tx)
        self.database.has_room()
        return gone

    def keep(self, points: Sequence[Point], reported: Sequence[Reported], now_ms: int) -> dict[tuple[int, int], int]:
        """Keep figures of tasks; of each file in which a task reports, up to where it has been taken in."""
        with self._write(now_ms) as tx:
            return self._series.keep(tx, points, reported)

    def note_anomalies(self, changed: Sequence[Anomaly], now_ms: int) -> None:
        """Keep and tell what opened and what closed."""
        from tenure.store.anomalies import note

        with self._write(now_ms) as tx:
            note(tx, changed)

    def foretell(self, now_ms: int) -> bool:
        """See the port."""
        with self._write(now_ms) as tx:
            return self._forecasts.foretell(tx)

    def note_simulation(self, told: SimulationNote, now_ms: int) -> None:
        """See the port."""
        from tenure.store.simulated import note

        with self._write(now_ms) as tx:
            note(tx, told)

    def tell_hints(self, given: Sequence[Hint], withdrawn: Sequence[Hint], now_ms: int) -> None:
        """Tell what is advised from now on, and what no longer."""
        from tenure.store.hints import tell

        with self._write(now_ms) as tx:
            tell(tx, given, withdrawn)

    def forget_reports(self, tasks: Sequence[tuple[int, int]], now_ms: int) -> None:
        """The files in which these tasks reported are gone."""
        with self._write(now_ms) as tx:
            forget_reports(tx, tasks)

    def note_checkpoints(self, marks: Sequence[tuple[int, int]], now_ms: int) -> None:
        """Keep when jobs wrote their last checkpoints: (job, time)."""
        from tenure.store.checkpoints import note

        with self._write(now_ms) as tx:
            note(tx, marks)

    def check(self) -> list[Violation]:
        """See the port."""
        from tenure.store.check import check

        with self._read() as link:
            return check(link, read_projects(link, self.settings), self._known_attempts)

    def queries(self) -> Queries:
        """Reads for people, on connections of their own."""
        return Queries(self.database, lambda: self._settled)

    def close(self) -> None:
        """See the port."""
        with self._lock:
            self.database.close()
