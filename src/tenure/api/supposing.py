"""From a what-if request, with its names, to alterations of a snapshot, and to sentences that say what was supposed.

What a request names must exist, and a job that is added must be able to run on the nodes that would be there: both are refused with
the way out, as a submission is. Nothing is written; everything is read from the snapshot and from queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tenure.api.context import ApiError, Context
from tenure.api.jobs import not_found, refused
from tenure.control.admission import Admission, Inadmissible, describe_shape
from tenure.core.whatif import (
    Alteration,
    JobAdded,
    JobCancelled,
    NodeRemoved,
    NodesAdded,
    NodeTurned,
    PriorityChanged,
    SettingsChanged,
)
from tenure.model.amounts import Amounts, format_bytes, format_duration_ms
from tenure.model.commands import Caller, SubmitJob
from tenure.model.job import NO_CAP, PendingJob
from tenure.model.lifecycle import NodeStatus
from tenure.model.node import Device, Node
from tenure.model.pool import Pool, labels_if
from tenure.model.snapshot import Snapshot
from tenure.optimize.words import read_policy
from tenure.policies import MEMBERS, StagedPolicy
from tenure.policies.words import BadPolicy
from tenure.store.queries import JobRow
from tenure.store.submit import limit_refusal
from tenure.wire.dto import ErrorReply, Selection, SubmitRequest
from tenure.wire.ids import range_size
from tenure.wire.text import count_text
from tenure.wire.whatif import MachineSpec, PriorityWish, WhatIfRequest

MAX_NODES, MAX_GPUS, MAX_JOBS, MAX_COMPARED = 2000, 128, 100, 2000


@dataclass(slots=True)
class Supposed:
    """What is different: ``alterations`` in their order and another ``policy`` (None: the present one), the sentences
    that say so, notes about them, and how jobs that are added are shown: (what people would type, name) by id."""

    alterations: list[Alteration] = field(default_factory=list)
    policy: StagedPolicy | None = None
    sentences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    added: dict[int, tuple[str, str]] = field(default_factory=dict)


def supposed(context: Context, snapshot: Snapshot, wish: WhatIfRequest, caller: Caller) -> Supposed:
    """The alterations that a request asks for, in the order nodes, cancelled jobs, priorities, new jobs, policy. Raises ApiError."""
    if not 1 <= wish.limit <= MAX_COMPARED:
        raise _mistake(f"between 1 and {MAX_COMPARED} waiting jobs are compared, not {wish.limit}")
    reading = _Reading(context, snapshot, caller)
    reading.add_nodes(wish.add_nodes)
    for name in wish.drain_nodes:
        reading.drain(name)
    for name in wish.resume_nodes:
        reading.resume(name)
    for name in wish.remove_nodes:
        reading.remove(name)
    for word in wish.cancel:
        reading.cancel(word)
    for priority in wish.priorities:
        reading.prefer(priority)
    reading.add_jobs(wish.add_jobs)
    if wish.policy:
        reading.follow(wish.policy)
    return reading.found


def job_added(context: Context, snapshot: Snapshot, command: SubmitJob, number: int) -> JobAdded:
    """A submission as one more waiting job of that number. Raises ApiError when its queue does not take it."""
    request = command.request
    queue = next((queue for queue in snapshot.queues if queue.name == request.queue), None)
    if queue is None:
        remedy = f"see tenure queue, or make it with tenure queue set {request.queue}"
        raise ApiError(404, ErrorReply(code="not_found", message=f"there is no queue {request.queue!r}", remedy=remedy))
    limit_ms = request.limit_ms or queue.default_limit_ms
    refusal = limit_refusal(queue, limit_ms)
    if refusal is not None:
        raise refused(refusal)
    project, user = context.queries.owner(request.project, command.caller)
    alive = {job.id for job in snapshot.pending.jobs()}.union(*((job.id, job.array_id) for job in snapshot.running))
    job = PendingJob(
        id=number,
        shape=0,
        queue=queue.id,
        project=project,
        user=user,
        priority=request.priority,
        submitted_ms=snapshot.now_ms,
        eligible_ms=request.not_before_ms,
        limit_ms=limit_ms,
        deadline_ms=request.deadline_ms,
        held=int(request.hold),
        blocked=int(any(dependency.job_id in alive for dependency in request.after)),
        is_array=int(bool(request.array)),
        array_left=sum(range_size(item) for item in request.array) or 1,
        array_room=min(request.array_cap, NO_CAP),
    )
    return JobAdded(job, request.shape)


def next_job(snapshot: Snapshot) -> int:
    """A number that no job of the snapshot has."""
    ids = [job.id for job in snapshot.pending.jobs()] + [number for job in snapshot.running for number in (job.id, job.array_id)]
    return 1 + max(ids, default=0)


class _Reading:
    """One request being read; ``after`` is the snapshot with what was read so far."""

    def __init__(self, context: Context, snapshot: Snapshot, caller: Caller) -> None:
        self.context = context
        self.before = self.after = snapshot
        self.caller = caller
        self.found = Supposed()
        self.waiting = {job.id: job for job in snapshot.pending.jobs()}
        self.running = {job.id for job in snapshot.running} | {job.array_id for job in snapshot.running if job.array_id}
        self._shown: dict[int, str] = {}

    def _suppose(self, alteration: Alteration, sentence: str = "") -> None:
        self.after = alteration.on(self.after)
        self.found.alterations.append(alteration)
        if sentence:
            self.found.sentences.append(sentence)

    # --- nodes

    def add_nodes(self, specs: Sequence[MachineSpec]) -> None:
        """Nodes with new ids and names, one sentence per spec."""
        if sum(max(spec.count, 1) for spec in specs) > MAX_NODES:
            raise _mistake(f"at most {MAX_NODES} nodes can be supposed", "what more would do differs little: ask for fewer")
        number = 0
        for spec in specs:
            _check(spec)
            number += spec.count
            names = [f"new-{n}" for n in range(number - spec.count + 1, number + 1)]
            self._suppose(NodesAdded(_nodes(self.after, spec, names, self.context.pools)), _nodes_text(spec))

    def _node(self, name: str) -> Node:
        node = next((node for node in self.before.nodes if node.name == name), None)
        if node is None:
            reply = ErrorReply(code="not_found", message=f"there is no node {name}", remedy="tenure nodes lists them")
            raise ApiError(404, reply)
        return node

    def drain(self, name: str) -> None:
        """A node that takes nothing new."""
        self._suppose(NodeTurned(self._node(name).id, NodeStatus.DRAINING), f"node {name} takes nothing new")

    def resume(self, name: str) -> None:
        """A node that takes work again."""
        node = self._node(name)
        if node.status is NodeStatus.UP:
            self._note(f"node {name} takes work already: to resume it changes nothing")
        elif node.status is NodeStatus.DOWN:
            self._note(f"node {name} is down: it is supposed to be back as it was")
        self._suppose(NodeTurned(node.id, NodeStatus.UP), f"node {name} takes work again")

    def remove(self, name: str) -> None:
        """A node that is gone, and what ran there."""
        node_id = self._node(name).id
        hit = [job.id for job in self.after.running if not job.stopping and any(held.node_id == node_id for held in job.allocations)]
        again = f"; {_jobs_text(self._names(hit))} that {_verb(hit, 'run')} there would wait again, from the beginning" if hit else ""
        self._suppose(NodeRemoved(node_id), f"node {name} is gone{again}")

    # --- jobs

    def cancel(self, word: str) -> None:
        """Jobs that end now, running ones too."""
        targets = self._targets(word)
        for job_id, position, _ in targets:
            self._suppose(JobCancelled(job_id, position))
        shown = [name for _, _, name in targets if name]
        self.found.sentences.append(f"{_jobs_text(shown)} {'is' if len(shown) == 1 else 'are'} cancelled")
        if any(job_id in self.running for job_id, _, _ in targets):
            self._note("what a cancelled job holds counts as free at once; really it is when its processes are gone")

    def prefer(self, wish: PriorityWish) -> None:
        """Jobs with another priority."""
        if not 1 <= wish.priority <= 10:
            raise _mistake(f"priority is between 1 and 10, not {wish.priority}")
        for job_id, position, name in self._targets(wish.job):
            if position >= 0:
                array = name.partition("_")[0]
                raise _mistake(f"{name} has not started and has the priority of its array", f"name the array: {array}={wish.priority}")
            job = self.waiting.get(job_id)
            if job is None:
                self._note(f"job {name} runs already: its priority decides nothing any more")
            else:
                sentence = f"job {name} has priority {wish.priority} instead of {job.priority}" if name else ""
                self._suppose(PriorityChanged(job_id, wish.priority), sentence)

    def add_jobs(self, requests: Sequence[SubmitRequest]) -> None:
        """Jobs that are submitted now, judged by the nodes that would be there."""
        if len(requests) > MAX_JOBS:
            raise _mistake(f"at most {MAX_JOBS} jobs can be supposed", "an array (--array 0-999) is one job")
        admission = Admission(self.after.nodes, self._number, self.context.default_memory_bytes, pools=self.context.pools)
        first = next_job(self.before)
        for number, request in enumerate(requests, 1):
            try:
                command = admission.command(request, self.caller)
            except Inadmissible as error:
                raise refused(error.reply) from None
            shown = "new" if len(requests) == 1 else f"new-{number}"
            added = job_added(self.context, self.after, command, first + number - 1)
            limit = f"limit {format_duration_ms(added.job.limit_ms)}" if added.job.limit_ms else "no time limit"
            array = f"an array of {added.job.array_left}, " if added.job.is_array else ""
            self._suppose(added, f"one more job, {shown} ({array}{describe_shape(added.shape)}, {limit})")
            self.found.added[added.job.id] = (shown, request.name)

    def follow(self, name: str) -> None:
        """Another policy, or another setting of the present one."""
        try:
            policy, settings = read_policy(name, self.context.own_plan)
        except BadPolicy as error:
            raise ApiError(422, ErrorReply(code="unknown_policy", message=str(error))) from None
        if not policy.foreseeable:
            raise _mistake(f"nobody can look ahead under {name}, which decides anew in each cycle", f"name one of {', '.join(MEMBERS)}")
        self._suppose(SettingsChanged(settings))
        self.found.policy = policy
        self.found.sentences.append(f"the policy is {name} instead of {self.context.loop.ports.policy.name}")

    def _note(self, text: str) -> None:
        if text not in self.found.notes:
            self.found.notes.append(text)

    def _names(self, job_ids: Sequence[int]) -> list[str]:
        shown = self.context.queries.ids_of(job_ids)
        return [shown.get(job_id, str(job_id)) for job_id in job_ids]

    def _targets(self, word: str) -> list[tuple[int, int, str]]:
        """What a word of the id grammar names: (job, position or -1, how it is shown); elements of a named array are not shown."""
        rows = self._rows(word)
        found: list[tuple[int, int, str]] = []
        for row in rows:
            elements = [] if row.position >= 0 else self._elements(row.job_id)
            if row.job_id not in self.waiting and row.job_id not in self.running and not elements:
                reply = ErrorReply(code="ended", message=f"job {row.id} has ended", remedy="tenure ps lists what waits and what runs")
                raise ApiError(409, reply)
            found += [(row.job_id, row.position, row.id), *((number, -1, "") for number in elements)]
        return found

    def _rows(self, word: str) -> list[JobRow]:
        try:
            rows = self.context.queries.resolve(Selection(ids=[word]), self.caller)
        except ValueError as error:
            raise _mistake(str(error)) from None
        if not rows:
            raise not_found(word)
        return rows

    def _number(self, word: str) -> int:
        return self._rows(word)[0].job_id

    def _elements(self, array_id: int) -> list[int]:
        """The waiting elements of an array that are jobs of their own: a plan does not know whose they are, their names do."""
        if not self._shown:
            self._shown = self.context.queries.ids_of(list(self.waiting))
        return [number for number, name in sorted(self._shown.items()) if name.startswith(f"{array_id}_")]


def _check(spec: MachineSpec) -> None:
    """Refuse a node that means nothing."""
    amounts = (spec.cpu_milli, spec.memory_bytes, spec.storage_bytes, spec.bandwidth_bps, spec.gpu_memory_bytes)
    if spec.count < 1 or min(amounts) < 0 or not 0 <= spec.gpus <= MAX_GPUS:
        raise _mistake(f"a supposed node has amounts of 0 or more and at most {MAX_GPUS} GPUs, and there is at least one such node")
    if not spec.cpu_milli:
        raise _mistake("a node without cpus runs nothing", "say how many it has, as in 2x8xA100:80G,64c,512G")


def _nodes(snapshot: Snapshot, spec: MachineSpec, names: Sequence[str], pools: Sequence[Pool]) -> tuple[Node, ...]:
    """The nodes of a spec, with ids that are new to the snapshot, in the pools that they belong to."""
    node_id = max((node.id for node in snapshot.nodes), default=0)
    device_id = max((device.id for node in snapshot.nodes for device in node.devices), default=0)
    capacity = Amounts(spec.cpu_milli, spec.memory_bytes, spec.storage_bytes, spec.bandwidth_bps)
    nodes: list[Node] = []
    for name in names:
        node_id += 1
        devices = tuple(
            Device(device_id + 1 + index, node_id, index, f"{name}-{index}", spec.gpu_model, spec.gpu_memory_bytes)
            for index in range(spec.gpus)
        )
        device_id += spec.gpus
        nodes.append(Node(node_id, name, capacity, devices, labels=labels_if(pools, name, tuple(spec.labels), [spec.gpu_model])))
    return tuple(nodes)


def _nodes_text(spec: MachineSpec) -> str:
    """``2 more nodes, each with 8 GPUs (A100, 80G), 64 cpus and 512G of memory``."""
    parts = []
    if spec.gpus:
        kind = ", ".join([*([spec.gpu_model] if spec.gpu_model else []), format_bytes(spec.gpu_memory_bytes)])
        parts.append(f"{spec.gpus} GPU{'s' if spec.gpus > 1 else ''} ({kind})")
    parts.append(count_text(spec.cpu_milli, "cpu"))
    parts += [f"{format_bytes(spec.memory_bytes)} of memory"] if spec.memory_bytes else []
    parts += [f"labels {', '.join(sorted(spec.labels))}"] if spec.labels else []
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"{spec.count} more nodes, each with {listed}" if spec.count > 1 else f"one more node, with {listed}"


def _jobs_text(names: Sequence[str]) -> str:
    """``job 3``, ``jobs 3, 4 and 9``, ``3, 4, 5 and 12 more``."""
    if len(names) == 1:
        return f"job {names[0]}"
    if len(names) > 6:
        return f"jobs {', '.join(names[:5])} and {len(names) - 5} more"
    return f"jobs {', '.join(names[:-1])} and {names[-1]}"


def _verb(items: Sequence[object], verb: str) -> str:
    return f"{verb}s" if len(items) == 1 else verb


def _mistake(message: str, remedy: str = "") -> ApiError:
    return refused(ErrorReply(code="bad_request", message=message, remedy=remedy))
