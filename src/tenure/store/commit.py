"""Making a plan true: lock, verify, write; a decision is committed whole or leaves no trace.

The rows of all decisions are read once under the writer's lock, each decision is verified against them (and against what the ones
before it took), then everything is written set by set. Use is changed by guarded updates whose row counts are compared: should
verification ever be wrong, nothing is over-committed: the batch is taken back and its decisions are tried one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tenure.core import resizing
from tenure.core.feasibility import ask_of
from tenure.core.ledger import asked_by
from tenure.core.set_aside import ends_of, holders_of
from tenure.core.verify import awake_milli, verify
from tenure.model.amounts import Amounts
from tenure.model.commands import LEASE
from tenure.model.job import RESTS, RunningJob, limit_until
from tenure.model.lifecycle import AllocationState, JobState
from tenure.model.observations import Launch
from tenure.model.plan import (
    ClaimRequest,
    Decision,
    Evict,
    LockedHolder,
    LockedJob,
    LockedNode,
    LockedRows,
    Plan,
    Rejection,
    Resize,
    Resume,
    Start,
)
from tenure.model.project import Bundle
from tenure.store.accounts import lock_projects
from tenure.store.locking import APPS, lock_devices, lock_nodes
from tenure.store.rows import JobRow, read_jobs
from tenure.store.snapshot import read_claims, read_holders
from tenure.store.staging import Overcommitted, Staged
from tenure.store.tx import Transaction


def commit(tx: Transaction, plan: Plan) -> tuple[tuple[Rejection | None, ...], list[Launch]]:
    """Verify and write the decisions of a plan; one entry per decision, and the launches that follow."""
    if not plan.decisions:
        return (), []
    mark = tx.mark()
    batch = Batch(tx, plan.decisions)
    rejections = [batch.judge(decision) for decision in plan.decisions]
    if batch.staged.is_empty:
        return tuple(rejections), []
    with tx.savepoint() as point:
        try:
            batch.staged.write(tx)
            return tuple(rejections), batch.staged.launches
        except Overcommitted:
            point.rollback()
    tx.rewind(mark)
    return _one_by_one(tx, plan.decisions)


def _one_by_one(tx: Transaction, decisions: Sequence[Decision]) -> tuple[tuple[Rejection | None, ...], list[Launch]]:
    """The slow way, after a batch did not fit: each decision in a savepoint of its own."""
    rejections: list[Rejection | None] = []
    launches: list[Launch] = []
    for decision in decisions:
        mark = tx.mark()
        batch = Batch(tx, [decision])
        rejection = batch.judge(decision)
        if rejection is None:
            with tx.savepoint() as point:
                try:
                    batch.staged.write(tx)
                    launches += batch.staged.launches
                except Overcommitted as error:
                    point.rollback()
                    tx.rewind(mark)
                    rejection = Rejection("no_room", error.subject, "the guard of the store found no room")
        rejections.append(rejection)
    return tuple(rejections), launches


class Batch:
    """The locked rows of several decisions, and what the accepted ones among them will write."""

    def __init__(self, tx: Transaction, decisions: Sequence[Decision]) -> None:
        self._tx = tx
        starts = [start for decision in decisions for start in decision.starts]
        jobs = {start.job_id for start in starts}
        for decision in decisions:
            jobs.update(evict.job_id for evict in decision.evicts)
            jobs.update(claim.job_id for claim in decision.claims)
            jobs.update(suspend.job_id for suspend in decision.suspends)
            jobs.update(resume.job_id for resume in decision.resumes)
            jobs.update(resize.job_id for resize in decision.resizes)
        rows = read_jobs(tx.link, sorted(jobs))
        templates = sorted({row.array_id for row in rows.values() if row.array_id} - rows.keys())
        rows.update(read_jobs(tx.link, templates))
        wanted: list[Start | ClaimRequest] = [*starts, *(claim for decision in decisions for claim in decision.claims)]
        placements = [placement for item in wanted for placement in item.placements]
        going = self._read_resting(decisions)
        resting = tuple(held for job in going for held in job.allocations)
        resized = self._read_resizing(decisions)
        changing = tuple(held for job in resized for held in job.allocations)
        touched = {item.node_id for item in placements} | {held.node_id for held in (*resting, *changing)}
        nodes = lock_nodes(tx.link, sorted(touched))
        devices = lock_devices(tx.link, sorted({share.device_id for item in placements for share in item.devices}))
        self.staged = Staged(tx, rows)
        self._paused = {queue.id for queue in tx.names.queues(tx.link).values() if queue.paused}
        self._locked = LockedRows(
            nodes,
            devices,
            {number: self._lock_job(row) for number, row in rows.items()},
            projects=lock_projects(tx, {row.project_id for row in rows.values()}),
            resting=resting,
            resizing=changing,
        )
        for job in going:
            self._locked.jobs[job.id] = replace(self._locked.jobs[job.id], cpu_milli=job.cpu_milli)
        for job in resized:  # it has run for a while: its limit ends sooner than that of one that starts now
            left_ms = max(job.ends_by_ms - tx.now_ms, 1) if job.ends_by_ms else 0
            self._locked.jobs[job.id] = replace(self._locked.jobs[job.id], limit_ms=left_ms)
        self._shapes = {row.shape_id: tx.names.shape(tx.link, row.shape_id) for row in rows.values()}
        if any(shape.max_per_node for shape in self._shapes.values()):
            self._count_apps()
        self._close(tx)
        self._leaving: dict[int, RunningJob] = {}
        if any(decision.evicts or decision.claims or decision.resizes for decision in decisions):
            self._read_leaving(decisions)

    def _close(self, tx: Transaction) -> None:
        """What is set aside of the locked nodes, and, where that is a part of one, who holds what there until when."""
        standing, nodes = tx.names.reservations(tx.link), self._locked.nodes
        windows = tuple(row.window for row in standing if row.until_ms > tx.now_ms and any(part.node_id in nodes for part in row.parts))
        if not windows:
            return
        shared = sorted({part.node_id for window in windows for part in window.parts if part.node_id in nodes and not part.whole})
        running = read_holders(tx.link, shared, ()) if shared else {}
        holders = tuple(
            LockedHolder(held.node_id, ends_of(job), held.amounts, job.project, job.user)
            for job in running.values()
            for held in job.allocations
        )
        self._locked = replace(self._locked, windows=windows, holders=holders)

    def _read_leaving(self, decisions: Sequence[Decision]) -> None:
        """Who leaves the locked nodes, or is to, and the promises that stand there: only where somebody makes room for another."""
        link, kept = self._tx.link, {start.claim for decision in decisions for start in decision.starts}
        evicted = {evict.attempt_id for decision in decisions for evict in decision.evicts}
        holders = read_holders(link, sorted(self._locked.nodes), sorted(evicted))
        self._leaving = {number: job for number, job in holders.items() if job.stopping or job.attempt_id in evicted}
        claims = tuple(claim for claim in read_claims(link, self._tx.names, self._tx.now_ms) if claim.id not in kept)
        leaving = tuple(held for job in self._leaving.values() for held in job.allocations)
        self._locked = replace(self._locked, leaving=leaving, claims=claims)

    def _read_resting(self, decisions: Sequence[Decision]) -> list[RunningJob]:
        """The attempts that are to go on, with what they hold."""
        attempts = sorted({resume.attempt_id for decision in decisions for resume in decision.resumes})
        rests = [job for job in read_holders(self._tx.link, [], attempts).values() if job.rest == RESTS and not job.stopping]
        alive = [tuple(held for held in job.allocations if held.state != AllocationState.RELEASING) for job in rests]
        return [replace(job, allocations=held) for job, held in zip(rests, alive, strict=True)]

    def _read_resizing(self, decisions: Sequence[Decision]) -> list[RunningJob]:
        """The attempts that are to hold something else, with what they hold."""
        attempts = sorted({resize.attempt_id for decision in decisions for resize in decision.resizes})
        return [job for job in read_holders(self._tx.link, [], attempts).values() if not job.stopping]

    def _count_apps(self) -> None:
        """What stands beside what on the locked nodes: only where a shape limits it, because it is one more look at the store."""
        nodes, found = self._locked.nodes, dict[int, list[tuple[str, int]]]()
        for node_id, app, count in self._tx.link.rows_in(APPS, sorted(nodes)):
            found.setdefault(node_id, []).append((app, count))
        for node_id, apps in found.items():
            nodes[node_id] = replace(nodes[node_id], apps=tuple(apps))

    def _lock_job(self, row: JobRow) -> LockedJob:
        holder = self.staged.rows[row.array_id] if row.array_id else row
        due = row.eligible_ms <= self._tx.now_ms and row.queue_id not in self._paused
        return LockedJob(
            row.id,
            JobState(row.state),
            row.shape_id,
            row.state == "pending" and not holder.blocked and due and row.waits,
            row.is_array,
            row.array_left if row.is_array else 1,
            self.staged.room(row),
            row.project_id,
            limit_until(row.deadline_ms, row.limit_ms, self._tx.now_ms) if row.deadline_ms else row.limit_ms,
            row.user_id,
        )

    def judge(self, decision: Decision) -> Rejection | None:
        """Verify a decision against the locked rows; when it holds, stage it and count it as taken for those after it."""
        rejection = verify(decision, self._touched(decision), self._shapes) or self._judge_rows(decision)
        if rejection is not None:
            return rejection
        for start in decision.starts:
            row = self.staged.start(start, self._shapes[self._locked.jobs[start.job_id].shape])
            self._take(start, row)
        for evict in decision.evicts:
            self.staged.evict(evict)
        for claim in decision.claims:
            self.staged.claim(claim, [evict.job_id for evict in decision.evicts])
        for suspend in decision.suspends:
            self.staged.turns.suspend(suspend)
        for resume in decision.resumes:
            self._go_on(resume)
        for resize in decision.resizes:
            self._resize(resize)
        return None

    def _go_on(self, resume: Resume) -> None:
        """Stage that an attempt goes on, and count its cpus in the locked rows."""
        cpu_milli = awake_milli(self._locked.jobs[resume.job_id], self._shapes)
        held = [one for one in self._locked.resting if one.attempt_id == resume.attempt_id]
        self.staged.resume(resume, cpu_milli, held)
        for one in held:
            self._use(one.node_id, Amounts(cpu_milli))
        self._charge(self.staged.rows[resume.job_id].project_id, Bundle(cpu_milli * len(held)))

    def _resize(self, resize: Resize) -> None:
        """Stage that an attempt is to hold something else, and count what it takes in the locked rows."""
        held = resizing.held_by(resize, self._locked)
        self._charge(self.staged.rows[resize.job_id].project_id, resizing.taken_by(resize, self._locked))
        self.staged.resize(resize, held)
        for one in held:
            self._use(one.node_id, resizing.taken(one.amounts, resize))
        others = tuple(one for one in self._locked.resizing if one.attempt_id != resize.attempt_id)
        wide = tuple(replace(one, amounts=resizing.wider(one.amounts, resize)) for one in held)
        self._locked = replace(self._locked, resizing=(*others, *wide))

    def _use(self, node_id: int, amounts: Amounts) -> None:
        """Count so much more of a node in the locked rows."""
        node = self._locked.nodes[node_id]
        self._locked.nodes[node_id] = replace(node, used=node.used + amounts)

    def _charge(self, project: int, bundle: Bundle) -> None:
        """Count so much more for a project in the locked rows."""
        projects = self._locked.projects
        if (found := projects.get(project)) is not None:
            projects[project] = replace(found, held=found.held.plus(bundle))

    def _touched(self, decision: Decision) -> LockedRows:
        """The locked rows that one decision touches: verifying must not cost more because others are in the batch."""
        items: list[Start | ClaimRequest] = [*decision.starts, *decision.claims]
        placements = [placement for item in items for placement in item.placements]
        nodes, devices = self._locked.nodes, self._locked.devices
        going_on = {resume.attempt_id for resume in decision.resumes}
        resting = tuple(held for held in self._locked.resting if held.attempt_id in going_on)
        changing = {resize.attempt_id for resize in decision.resizes}
        resized = tuple(held for held in self._locked.resizing if held.attempt_id in changing)
        wanted = {item.node_id for item in placements} | {held.node_id for held in (*resting, *resized)}
        return LockedRows(
            {node_id: nodes[node_id] for node_id in sorted(wanted & nodes.keys())},
            {share.device_id: devices[share.device_id] for item in placements for share in item.devices if share.device_id in devices},
            self._locked.jobs,
            self._locked.leaving,
            self._locked.claims,
            self._locked.projects,
            self._tx.now_ms,
            self._locked.windows,
            self._locked.holders,
            resting,
            resized,
        )

    def _judge_rows(self, decision: Decision) -> Rejection | None:
        """What only the store can see: positions of an array that are rows already, rooms of arrays, attempts that are gone."""
        seen: set[tuple[int, int]] = set()
        rooms: dict[int, int] = {}
        for start in decision.starts:
            row = self.staged.rows.get(start.job_id)
            if row is None or not self._locked.jobs[start.job_id].ready:
                return Rejection("job_changed", start.job_id, "it does not wait any more")
            for position in (start.position, *start.successors):
                if (start.job_id, position) in seen or not self.staged.is_free(row, position):
                    return Rejection("job_changed", start.job_id, f"position {position} has started already")
                seen.add((start.job_id, position))
            array = row.id if row.is_array else row.array_id
            if array is not None:
                rooms[array] = rooms.get(array, 0) + 1 + len(start.successors)
                if rooms[array] > self.staged.room(row):
                    return Rejection("job_changed", start.job_id, "its array runs as many elements as its cap allows")
        for evict in decision.evicts:
            if not self._may_evict(evict):
                return Rejection("job_changed", evict.job_id, "that attempt does not run any more, or is being stopped already")
        return self._judge_rests(decision)

    def _judge_rests(self, decision: Decision) -> Rejection | None:
        """Whether those run who are to rest, or to hold something else."""
        for resize in decision.resizes:
            row = self.staged.rows.get(resize.job_id)
            if row is None or row.attempt_id != resize.attempt_id or row.kind == LEASE:
                return Rejection("job_changed", resize.job_id, "that attempt does not run now")
        for suspend in decision.suspends:
            row = self.staged.rows.get(suspend.job_id)
            if row is None or row.attempt_id != suspend.attempt_id or row.state != "running":
                return Rejection("job_changed", suspend.job_id, "that attempt does not run now")
        return None

    def _may_evict(self, evict: Evict) -> bool:
        row, holder = self.staged.rows.get(evict.job_id), self._leaving.get(evict.job_id)
        if row is None or row.attempt_id != evict.attempt_id or row.state not in ("starting", "running", "suspended"):
            return False
        return holder is not None and not holder.stopping

    def _take(self, start: Start, shape_of: JobRow) -> None:
        """Count a staged start in the locked rows."""
        nodes, devices, jobs = self._locked.nodes, self._locked.devices, self._locked.jobs
        shape = self._shapes[shape_of.shape_id]
        amounts, app = shape.amounts, shape.app
        for placement in start.placements:
            held = nodes[placement.node_id]
            nodes[held.id] = LockedNode(
                held.id, held.status, held.capacity, held.used + amounts, held.labels, (*held.apps, (app, 1)) if app else held.apps
            )
            for share in placement.devices:
                card = devices[share.device_id]
                devices[card.id] = replace(
                    card, used_milli=card.used_milli + share.milli, used_memory_bytes=card.used_memory_bytes + share.memory_bytes
                )
        self._charge(shape_of.project_id, asked_by(ask_of(shape)))
        if self._locked.windows:
            more = holders_of(start, jobs[start.job_id], shape.amounts, self._tx.now_ms)
            self._locked = replace(self._locked, holders=(*self._locked.holders, *more))
        job = jobs[start.job_id]
        left = job.array_left - 1 - len(start.successors)
        state = job.state if job.is_array else JobState.STARTING
        jobs[job.id] = replace(
            job, state=state, ready=job.is_array and left > 0, array_left=left, array_room=self.staged.room(shape_of)
        )
