"""From a submission on the wire to a command for the store: everything that can be judged before a transaction is judged here.

What can never run is refused with the nearest thing that can. Invariant: a `SubmitJob` that leaves this module is within every limit on
its size, so that one caller cannot fill the store with a single call.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tenure.core.nearest import never_fits
from tenure.model.amounts import MIB, MILLI, MIN_MEMORY_BYTES, Amounts, format_bits, format_bytes, format_duration_ms, format_milli
from tenure.model.commands import Caller, DependsOn, JobRequest, JobSpec, SubmitJob
from tenure.model.job import NO_CAP
from tenure.model.node import Node
from tenure.model.pool import CLASSES, MAY, Pool, class_of, of_class
from tenure.model.shape import ONE_GROUP, Shape
from tenure.wire.dto import ErrorReply, SubmitRequest
from tenure.wire.ids import parse_indices

MAX_ARGV_BYTES = 1 * MIB
MAX_ENV_BYTES = 1 * MIB
MAX_NAME = 200
MAX_PREFER_WAIT_MS = 30 * 86_400_000
KINDS = ("batch", "service")
CONDITIONS = ("ok", "any", "failed")


class Inadmissible(Exception):
    """A submission is refused; ``reply`` says why and what to do instead."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__(reply.message)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Admission:
    """What admission must know: the nodes that are declared, how a job's name is resolved, a default for memory, and the shapes that
    are known to fit these nodes."""

    nodes: Sequence[Node]
    resolve: Callable[[str], int]
    default_memory_bytes: int = 0
    possible: set[Shape] = field(default_factory=set)
    pools: Sequence[Pool] = ()

    def command(self, request: SubmitRequest, caller: Caller) -> SubmitJob:
        """The command for the store. Raises Inadmissible."""
        _check_sizes(request)
        check_project(caller, request.project)
        shape = self.shape(request)
        ranges, cap = _array_of(request)
        after = tuple(DependsOn(self.resolve(ref.job), self._condition(ref.condition)) for ref in request.after)
        job = JobRequest(
            name=request.name or _name_of(request.argv),
            shape=shape,
            kind=_one_of(request.kind, KINDS, "kind"),
            project=request.project,
            queue=request.queue,
            priority=_within(request.priority, 1, 10, "priority"),
            limit_ms=_within(request.limit_ms, 0, NO_CAP * 1000, "time limit"),
            deadline_ms=request.deadline_ms,
            not_before_ms=request.not_before_ms,
            after=after,
            array=ranges,
            array_cap=cap or NO_CAP,
            retries=_within(request.retries, 0, 1000, "retries"),
            grace_ms=_within_span(request.grace_ms, 3_600_000, "--grace"),
            hold=request.hold,
            group=request.group,
        )
        return SubmitJob(request.key, caller, job, spec_of(request))

    def shape(self, request: SubmitRequest) -> Shape:
        """The shape that is asked for. Raises Inadmissible when it means nothing or can never run on the declared nodes."""
        memory = request.memory_bytes or self.default_memory_bytes
        refuse_little_memory(memory)
        try:
            shape = Shape(
                Amounts(request.cpu_milli, memory, request.storage_bytes, request.bandwidth_bps),
                request.gpu_milli,
                request.gpu_memory_bytes,
                request.gpu_model,
                request.tasks,
                request.nodes,
                tuple(sorted(request.labels)),
                request.app,
                _within(request.max_per_node, 0, 100_000, "--max-per-node"),
                _wish(request),
                _within_span(request.prefer_wait_ms, MAX_PREFER_WAIT_MS, "--prefer-wait"),
            )
        except ValueError as error:
            raise refusal("bad_request", str(error)) from None
        shape = self._in_pools(shape, request)
        self.refuse_impossible(shape)
        return shape

    def _in_pools(self, shape: Shape, request: SubmitRequest) -> Shape:
        """The shape with what its class of work says of where it may run. Raises Inadmissible where that is nowhere."""
        told = request.work_class and _one_of(request.work_class, CLASSES, "--class")
        if not self.pools:
            return shape
        kind = told or class_of(shape, request.limit_ms, serves=request.kind != "batch")
        if not any(MAY + kind in node.labels for node in self.nodes):
            what = f"no pool takes {kind} work, and none lets itself be borrowed"
            raise refusal("no_pool", what, "tenure pools lists them; say what work it is with --class, or have a pool opened to it")
        return of_class(shape, kind, self.pools)

    def refuse_impossible(self, shape: Shape) -> None:
        """Raise Inadmissible, naming the nearest shape that can run, when no declared node could ever hold this one."""
        if shape in self.possible:
            return
        nearest = never_fits(self.nodes, shape)
        if nearest is None:
            self.possible.add(shape)
            return
        lacks = ", ".join(f"{item.resource} {item.free} of {item.needed}" for item in nearest.short)
        possible = describe_shape(nearest.shape) if nearest.shape else ""
        raise Inadmissible(
            ErrorReply(
                code="never_fits",
                message=f"no declared node can ever run this: {describe_shape(shape)}",
                remedy=f"the nearest that can run is {possible} (on {nearest.node})" if possible else self._to_declare(shape),
                details={"nearest_node": nearest.node, "lacks": lacks, "nearest": possible},
            )
        )

    def _to_declare(self, shape: Shape) -> str:
        """What helps where no node comes near: one may only not have said how much it has of something."""
        for name, setting in (("bandwidth_bps", "bandwidth"), ("storage_bytes", "storage")):
            if getattr(shape.amounts, name) and not any(getattr(node.capacity, name) for node in self.nodes):
                return f"no node says how much {setting} it has; set {setting} below [node] in the settings"
        return "declare a node that can hold it"

    def _condition(self, condition: str) -> str:
        return _one_of(condition, CONDITIONS, "condition of --after")


def check_project(caller: Caller, project: str) -> None:
    """Raise Inadmissible where the caller may not submit for a project."""
    if not caller.may_use(project):
        what = f"{caller.user} is no member of project {project!r}"
        raise refusal("foreign_project", what, "tenure whoami lists yours; leave --project out for the default one")


def refuse_little_memory(memory_bytes: int) -> None:
    """Raise Inadmissible for a limit under which nothing runs; 0 is none."""
    if 0 < memory_bytes < MIN_MEMORY_BYTES:
        raise refusal(
            "bad_request", f"a memory limit of {format_bytes(memory_bytes)} is below {format_bytes(MIN_MEMORY_BYTES)}", "ask for more"
        )


def spec_of(request: SubmitRequest) -> JobSpec:
    """What the executor must know of the job."""
    return JobSpec(
        argv=tuple(request.argv),
        cwd=request.cwd,
        env=request.env,
        stdout=request.stdout,
        stderr=request.stderr,
        script=request.script,
        umask=request.umask,
        submit_dir=request.submit_dir,
        origin=request.origin,
    )


def describe_shape(shape: Shape) -> str:
    """A shape as options people type: ``--cpus 4 --memory 8G --gpus 2``."""
    parts = [f"--cpus {format_milli(shape.amounts.cpu_milli)}"]
    if shape.amounts.memory_bytes:
        parts.append(f"--memory {format_bytes(shape.amounts.memory_bytes)}")
    if shape.amounts.storage_bytes:
        parts.append(f"--storage {format_bytes(shape.amounts.storage_bytes)}")
    if shape.amounts.bandwidth_bps:
        parts.append(f"--bandwidth {format_bits(shape.amounts.bandwidth_bps)}")
    if shape.gpu_milli:
        model = f"{shape.gpu_model}:" if shape.gpu_model else ""
        parts.append(f"--gpus {shlex.quote(model + format_milli(shape.gpu_milli))}")
    if shape.gpu_memory_bytes:
        parts.append(f"--gpu-memory {format_bytes(shape.gpu_memory_bytes)}")
    if labels := [label for label in shape.labels if not label.startswith(MAY)]:  # not what a class of work stands for
        parts.append(f"--constraint {shlex.quote('&'.join(labels))}")
    if shape.nodes:
        parts.append(f"--nodes {shape.nodes}")
    if shape.tasks > 1:
        parts.append(f"--tasks {shape.tasks}")
    if shape.prefer:
        parts.append(f"--prefer {'&'.join(shape.prefer)}")
    if shape.max_per_node:
        parts.append(f"--max-per-node {shape.max_per_node}")
    return " ".join(parts)


def _wish(request: SubmitRequest) -> tuple[str, ...]:
    """What is preferred, each word once, sorted."""
    if any("," in word or not word for word in request.prefer):
        raise refusal("bad_request", "a label that is preferred is a word without commas", "join several by &")
    if ONE_GROUP in request.prefer and request.gpu_milli < 2 * MILLI:
        why, remedy = "only several GPUs of one task can be in one group", f"ask for --gpus 2, or leave --prefer {ONE_GROUP} out"
        raise refusal("bad_request", why, remedy)
    return tuple(sorted(set(request.prefer)))


def _check_sizes(request: SubmitRequest) -> None:
    if not request.argv or not request.argv[0]:
        raise refusal("bad_request", "a job needs a command", "put it after --, as in: tenure submit -- python train.py")
    if not request.key:
        raise refusal("bad_request", "a submission carries an idempotency key", "send any unique text as key")
    if any("\0" in word for word in request.argv) or any("\0" in k + v or "=" in k or not k for k, v in request.env.items()):
        raise refusal("bad_request", "a command or variable contains what no process can be given (NUL, or = in a name)")
    if sum(len(word) for word in request.argv) > MAX_ARGV_BYTES or len(request.script) > MAX_ARGV_BYTES:
        raise refusal("too_large", "the command is longer than 1M", "put it in a script file and submit that")
    if sum(len(k) + len(v) for k, v in request.env.items()) > MAX_ENV_BYTES:
        raise refusal("too_large", "the environment is larger than 1M", "unset what the job does not need")
    if len(request.name) > MAX_NAME or len(request.key) > MAX_NAME:
        raise refusal("too_large", f"a name or key has at most {MAX_NAME} characters", "shorten it")
    if not request.cwd.startswith("/"):
        raise refusal("bad_request", f"the working directory {request.cwd!r} is not a full path")


def _array_of(request: SubmitRequest) -> tuple[tuple[tuple[int, int, int], ...], int]:
    if not request.array:
        return (), 0
    try:
        return parse_indices(request.array)
    except ValueError as error:
        raise refusal("bad_request", str(error)) from None


def _name_of(argv: Sequence[str]) -> str:
    """The program's file name; for an interpreter, that of the script it runs."""
    words = [word for word in argv[:2] if not word.startswith("-")]
    return words[-1].rsplit("/", 1)[-1][:MAX_NAME] if words else argv[0][:MAX_NAME]


def _one_of(value: str, allowed: Sequence[str], what: str) -> str:
    if value not in allowed:
        raise refusal("bad_request", f"{what} is one of {', '.join(allowed)}, not {value!r}")
    return value


def _within(value: int, low: int, high: int, what: str) -> int:
    if not low <= value <= high:
        raise refusal("bad_request", f"{what} is between {low} and {high}, not {value}")
    return value


def _within_span(value_ms: int, high_ms: int, what: str) -> int:
    if not 0 <= value_ms <= high_ms:
        raise refusal(
            "bad_request", f"{what} is at most {format_duration_ms(high_ms)}, not {format_duration_ms(value_ms)}", "give less"
        )
    return value_ms


def refusal(code: str, message: str, remedy: str = "") -> Inadmissible:
    """The refusal of a submission, to be raised."""
    return Inadmissible(ErrorReply(code=code, message=message, remedy=remedy))
