"""What accepted decisions will write, collected so that it goes to the database set by set.

Ids are taken while staging, rows are written by `Staged.write`: capacity first (guarded, counted), then elements, attempts,
allocations, devices, jobs, templates, events. If a guard touches fewer rows than it should, `Overcommitted` is raised and the caller
takes the savepoint back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from tenure.core.ledger import NOTHING, Account
from tenure.core.resizing import taken
from tenure.model.allocation import Allocation, Placement
from tenure.model.amounts import RESOURCES, Amounts
from tenure.model.job import limit_until
from tenure.model.lifecycle import AllocationState, JobState
from tenure.model.observations import Launch
from tenure.model.plan import ClaimRequest, Evict, Resize, Resume, Start
from tenure.model.project import Bundle
from tenure.model.shape import Shape
from tenure.store import accounts, arrays
from tenure.store.launches import in_room, launch_of, log_paths
from tenure.store.plan_schema import claim
from tenure.store.resizing import Resizes
from tenure.store.resting import CPU, Turns
from tenure.store.rows import JobRow
from tenure.store.schema import allocation, allocation_device, attempt, job
from tenure.store.sql import Statement, const, insert, param
from tenure.store.statements import TAKE_CAPACITY, TAKE_DEVICE
from tenure.store.tx import Transaction, to_json
from tenure.store.wishes import ASK_STOP

INSERT_ATTEMPT = insert(attempt, "id", "job_id", "previous_id", "number", "fence", "tasks", "limit_ms", "committed_ms")
INSERT_ALLOCATION = insert(
    allocation,
    "attempt_id",
    "task",
    "id",
    "job_id",
    "node_id",
    "cpu_milli",
    "memory_bytes",
    "storage_bytes",
    "bandwidth_bps",
    "devices",
    "state",
    "fence",
    "stdout",
    "stderr",
    "room",
    "behind",
)
INSERT_SHARE = insert(allocation_device, "attempt_id", "task", "device_id", "milli", "memory_bytes")
START_JOB = Statement(
    job.update()
    .ordered_values(
        (job.c.state, const("starting")),
        (job.c.attempts, job.c.attempts + const(1)),
        (job.c.attempt_id, param("attempt")),
        (job.c.last_attempt_id, param("last")),
    )
    .where(job.c.id == param("id"), job.c.state == const("pending"), job.c.attempt_id == const(0)),
    "attempt",
    "last",
    "id",
)
INSERT_CLAIM = insert(claim, "id", "job_id", "placements", "deadline_ms", "made_ms", "victims")
KEEP_CLAIM = Statement(claim.update().ordered_values((claim.c.deadline_ms, const(0))).where(claim.c.id == param("id")), "id")


class Overcommitted(Exception):
    """A guarded update found less room, or another state, than verification had seen. ``subject`` is the node, device or job."""

    def __init__(self, subject: int) -> None:
        super().__init__(subject)
        self.subject = subject


class _Template:
    """An array whose elements are being started: what will be written of it."""

    __slots__ = ("live", "row", "taken", "touched")

    def __init__(self, row: JobRow, touched: tuple[int, ...]) -> None:
        self.row = row
        self.touched = touched
        self.taken: list[int] = []
        self.live = 0


class Staged:
    """The rows to be written for accepted decisions. ``rows`` are the locked jobs, templates included."""

    def __init__(self, tx: Transaction, rows: Mapping[int, JobRow]) -> None:
        self._tx = tx
        self.rows = rows
        self.launches: list[Launch] = []
        self._capacity: dict[tuple[int, str], int] = {}
        self._devices: dict[int, tuple[int, int]] = {}
        self._templates: dict[int, _Template] = {}
        self._elements: list[tuple[object, ...]] = []
        self._attempts: list[tuple[object, ...]] = []
        self._allocations: list[tuple[object, ...]] = []
        self._shares: list[tuple[object, ...]] = []
        self._jobs: list[tuple[int, int, int]] = []
        self._stops: list[tuple[str, str, int, int, int]] = []
        self._moved: dict[Account, Bundle] = {}
        self._claims: list[tuple[int, int, str, int, int, str]] = []
        self._kept: list[tuple[int]] = []
        self._events: list[tuple[str, int, int, str, int | None]] = []
        self.turns = Turns(rows)
        self.resizes = Resizes(rows)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was staged."""
        return not self._attempts and not self._stops and not self._claims and not self.turns and not self.resizes

    def room(self, row: JobRow) -> int:
        """How many more elements of the array that a job is (or belongs to) may start; plenty for a plain job."""
        array = row.id if row.is_array else row.array_id
        if array is None:
            return row.room
        staged = self._templates.get(array)
        return max(0, self.rows[array].room - (staged.live if staged else 0))

    def is_free(self, row: JobRow, position: int) -> bool:
        """Whether a start may name this position: -1 for what is not an array, else one that is not a row yet."""
        if not row.is_array:
            return position == -1
        template = self._template(row)
        return row.array_next <= position < row.array_size and position not in template.touched and position not in template.taken

    def _template(self, row: JobRow) -> _Template:
        found = self._templates.get(row.id)
        if found is None:
            found = self._templates[row.id] = _Template(row, arrays.touched_of(self._tx.link, [row]).get(row.id, ()))
        return found

    def start(self, start: Start, shape: Shape) -> JobRow:
        """Stage one start and its successors; the row of the job that starts (an array's element: as it will be inserted)."""
        row, attempt_id = self._begin(start, start.position, shape)
        for position in start.successors:
            self._begin(start, position, shape, room=attempt_id)
        return row

    def _begin(self, start: Start, position: int, shape: Shape, room: int = 0) -> tuple[JobRow, int]:
        """Stage one attempt, in the room of another one or in its own; its job and its id."""
        tx = self._tx
        row = self.rows[start.job_id]
        attempt_id = tx.next_attempt()
        number = row.attempts + 1
        if row.is_array:
            row, number = self._element(row, position, attempt_id), 1
        else:
            if row.array_id:
                self._template(self.rows[row.array_id]).live += 1
            self._jobs.append((attempt_id, attempt_id, row.id))
        if row.deadline_ms:
            row = row._replace(limit_ms=limit_until(row.deadline_ms, row.limit_ms, tx.now_ms))
        self._attempts.append(
            (attempt_id, row.id, row.last_attempt_id, number, tx.leader_epoch, len(start.placements), row.limit_ms, tx.now_ms)
        )
        peers = tuple(tx.names.node_name(tx.link, placement.node_id) for placement in start.placements)
        if start.successors:
            room = room or attempt_id
        for placement, node in zip(start.placements, peers, strict=True):
            self._place(row, shape, attempt_id, number, placement, node, peers, room)
        if room in (0, attempt_id):
            self._charge(row, shape, start)
        if start.claim:
            self._kept.append((start.claim,))
            self._events.append(("claim.changed", row.id, row.project_id, to_json({"kept": start.claim}), row.array_id))
        data = f'{{"attempt":{number},"nodes":{_as_json(peers)}}}'
        self._events.append(("job.starting", row.id, row.project_id, data, row.array_id))
        return row, attempt_id

    def _charge(self, row: JobRow, shape: Shape, start: Start) -> None:
        """Count what a start holds in the account of whom it is for."""
        owner = (row.project_id, row.user_id)
        gpu_milli = sum(share.milli for placement in start.placements for share in placement.devices)
        tasks = len(start.placements)
        held = Bundle(shape.amounts.cpu_milli * tasks, shape.amounts.memory_bytes * tasks, gpu_milli)
        self._moved[owner] = self._moved.get(owner, NOTHING).plus(held)

    def _element(self, row: JobRow, position: int, attempt_id: int) -> JobRow:
        """Make the element of an array at a position a row of its own, which starts."""
        template = self._template(row)
        template.taken.append(position)
        template.live += 1
        job_id = self._tx.next_job()
        index = arrays.index_at(row.array_ranges, position)
        self._elements.append(arrays.element_values(row, job_id, position, JobState.STARTING.value, attempt_id))
        return row._replace(id=job_id, array_id=row.id, array_index=index, array_position=position, array_size=0)

    def _place(
        self,
        row: JobRow,
        shape: Shape,
        attempt_id: int,
        number: int,
        placement: Placement,
        node: str,
        peers: tuple[str, ...],
        room: int,
    ) -> None:
        tx = self._tx
        amounts = shape.amounts.as_tuple()
        behind = room not in (0, attempt_id)
        if not behind:
            self._take(amounts, placement, attempt_id)
        spec = tx.names.spec(tx.link, row.spec_id)
        paths = log_paths(tx.settings.log_dir, row, spec, number, placement.task, shape.tasks)
        self._allocations.append(
            (
                attempt_id,
                placement.task,
                tx.next_allocation(),
                row.id,
                placement.node_id,
                *amounts,
                len(placement.devices),
                AllocationState.LAUNCHING.value,
                tx.leader_epoch,
                *paths,
                room or None,
                int(behind),
            )
        )
        launch = launch_of(tx, row, shape, attempt_id, number, placement.task, node, peers, placement.devices, row.limit_ms, paths)
        self.launches.append(in_room(launch, room, tx.settings.plan) if room else launch)

    def _take(self, amounts: tuple[int, ...], placement: Placement, attempt_id: int) -> None:
        """What the placement of one task counts as use."""
        for resource, amount in zip(RESOURCES, amounts, strict=True):
            if amount:
                key = (placement.node_id, resource)
                self._capacity[key] = self._capacity.get(key, 0) + amount
        for share in placement.devices:
            milli, memory = self._devices.get(share.device_id, (0, 0))
            self._devices[share.device_id] = (milli + share.milli, memory + share.memory_bytes)
            self._shares.append((attempt_id, placement.task, share.device_id, share.milli, share.memory_bytes))

    def evict(self, evict: Evict) -> None:
        """Stage the stop of an attempt in favour of another job."""
        row = self.rows[evict.job_id]
        why = evict.why or f"it makes room for job {evict.beneficiary}"
        self._stops.append(("preempted", why, self._tx.now_ms, self._tx.event_seq + 1, evict.attempt_id))
        data = to_json({"reason": "preempted", "for": evict.beneficiary, "why": why})
        self._events.append(("job.stopping", row.id, row.project_id, data, row.array_id))

    def resume(self, resume: Resume, cpu_milli: int, held: Sequence[Allocation]) -> None:
        """Stage that an attempt with these tasks goes on: each takes so much cpu again."""
        row = self.rows[resume.job_id]
        for one in held:
            self._capacity[one.node_id, CPU] = self._capacity.get((one.node_id, CPU), 0) + cpu_milli
        owner = (row.project_id, row.user_id)
        self._moved[owner] = self._moved.get(owner, NOTHING).plus(Bundle(cpu_milli * len(held)))
        self.turns.resume(resume, cpu_milli)

    def resize(self, resize: Resize, held: Sequence[Allocation]) -> None:
        """Stage that an attempt with these tasks is to hold something else: it takes at once what is more."""
        row = self.rows[resize.job_id]
        owner = (row.project_id, row.user_id)
        for one in held:
            more = taken(one.amounts, resize)
            for resource, amount in zip(RESOURCES, more.as_tuple(), strict=True):
                if amount:
                    self._capacity[one.node_id, resource] = self._capacity.get((one.node_id, resource), 0) + amount
            if more != Amounts():
                self._moved[owner] = self._moved.get(owner, NOTHING).plus(Bundle(more.cpu_milli, more.memory_bytes))
        self.resizes.add(resize, held)

    def claim(self, claim: ClaimRequest, victims: Sequence[int]) -> None:
        """Stage a promise of capacity, for which these jobs leave."""
        row, number = self.rows[claim.job_id], self._tx.next_allocation()
        left = to_json(list(victims))
        self._claims.append((number, row.id, to_json(claim.placements), claim.deadline_ms, self._tx.now_ms, left))
        data = to_json({"displaced": list(victims), "until_ms": claim.deadline_ms})
        self._events.append(("claim.changed", row.id, row.project_id, data, row.array_id))

    def write(self, tx: Transaction) -> None:
        """Write everything. Raises `Overcommitted` when a guard did not touch every row it should."""
        self._write_use(tx)
        link = tx.link
        link.write_many(arrays.INSERT_ELEMENT, self._elements)
        link.write_many(INSERT_ATTEMPT, self._attempts)
        link.write_many(INSERT_ALLOCATION, self._allocations)
        link.write_many(INSERT_SHARE, self._shares)
        if link.write_many(START_JOB, self._jobs) != len(self._jobs):
            raise Overcommitted(self._jobs[0][2])
        for _, _, number in self._jobs:
            tx.move(self.rows[number], JobState.STARTING.value)
        if link.write_many(ASK_STOP, self._stops) != len(self._stops):
            raise Overcommitted(self._stops[0][4])
        wrong = self.turns.write(tx) or self.resizes.write(tx)
        if wrong:
            raise Overcommitted(wrong)
        link.write_many(INSERT_CLAIM, self._claims)
        accounts.move(tx, self._moved)
        link.write_many(KEEP_CLAIM, self._kept)
        for template in self._templates.values():
            if template.live:
                _write_template(tx, template)
        for item in self._events:
            tx.emit(*item)

    def _write_use(self, tx: Transaction) -> None:
        taken = [(amount, node_id, resource, amount) for (node_id, resource), amount in sorted(self._capacity.items())]
        if taken and tx.link.write_many(TAKE_CAPACITY, taken) != len(taken):
            raise Overcommitted(taken[0][1])
        shares = [(milli, memory, number, milli, memory) for number, (milli, memory) in sorted(self._devices.items())]
        if shares and tx.link.write_many(TAKE_DEVICE, shares) != len(shares):
            raise Overcommitted(shares[0][2])


@lru_cache(maxsize=1024)
def _as_json(nodes: tuple[str, ...]) -> str:
    """The names of nodes as a JSON list, each once."""
    return to_json(sorted(set(nodes)))


def _write_template(tx: Transaction, template: _Template) -> None:
    row = template.row
    left = row.array_left - len(template.taken)
    following = arrays.next_after(row, template.taken, template.touched)
    state = JobState.RUNNING.value if left == 0 else row.state
    started_ms = row.started_ms or tx.now_ms
    standing = arrays.Standing(state, started_ms, row.ended_ms, following, left, row.array_dropped, row.array_pace_ms)
    arrays.write_template(tx, row, standing, template.live)
