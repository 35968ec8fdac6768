"""From a request to act on jobs, with the jobs it selected, to one command per job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tenure.control.admission import Admission, refuse_little_memory
from tenure.model.amounts import RESOURCES, Amounts
from tenure.model.commands import (
    Caller,
    CancelJob,
    Command,
    HoldJob,
    ReleaseJob,
    RequeueJob,
    SuspendJob,
    UpdateJob,
)
from tenure.model.node import Node
from tenure.model.shape import Shape
from tenure.wire.dto import ActRequest, UpdateRequest

Target = tuple[int, int]
"""A job and, for one element of an array, its position (-1: the whole job)."""

_ACTIONS: Mapping[str, Callable[[str, Caller, Target, str], Command]] = {
    "cancel": lambda key, caller, target, why: CancelJob(key, caller, *target, why=why),
    "hold": lambda key, caller, target, _why: HoldJob(key, caller, *target),
    "release": lambda key, caller, target, _why: ReleaseJob(key, caller, *target),
    "requeue": lambda key, caller, target, _why: RequeueJob(key, caller, *target),
    "suspend": lambda key, caller, target, _why: SuspendJob(key, caller, *target),
    "resume": lambda key, caller, target, _why: SuspendJob(key, caller, *target, resume=True),
}


def act_commands(wish: ActRequest, targets: Sequence[Target], caller: Caller) -> list[Command]:
    """One command per selected job, each with its own idempotency key. Raises ValueError for an unknown action."""
    make = _ACTIONS.get(wish.action)
    if make is None:
        raise ValueError(f"an action is one of {', '.join(_ACTIONS)}, not {wish.action!r}")
    return [make(_key(wish.key, target), caller, target, wish.why) for target in targets]


def update_commands(
    wish: UpdateRequest, targets: Sequence[Target], shapes: Mapping[int, Shape], caller: Caller, nodes: Sequence[Node]
) -> list[Command]:
    """One update per selected job. Raises Inadmissible when a changed request could never run, ValueError when it means nothing."""
    if wish.priority is not None and not 1 <= wish.priority <= 10:
        raise ValueError(f"priority is between 1 and 10, not {wish.priority}")
    commands: list[Command] = []
    for target in targets:
        shape = changed_shape(wish, shapes.get(target[0]))
        if shape is not None:
            refuse_little_memory(shape.amounts.memory_bytes)
            Admission(nodes, lambda _word: 0).refuse_impossible(shape)
        commands.append(
            UpdateJob(
                _key(wish.key, target),
                caller,
                *target,
                name=wish.name,
                priority=wish.priority,
                limit_ms=wish.limit_ms,
                queue=wish.queue,
                shape=shape,
                deadline_ms=wish.deadline_ms,
                array_cap=wish.array_cap,
                retries=wish.retries,
                cpu_milli=wish.cpu_milli,
                memory_bytes=wish.memory_bytes,
            )
        )
    return commands


def changed_shape(wish: UpdateRequest, shape: Shape | None) -> Shape | None:
    """The job's shape with the wished amounts; None when none was wished."""
    amounts = {name: getattr(wish, name) for name in RESOURCES}
    others = {
        "gpu_milli": wish.gpu_milli,
        "gpu_memory_bytes": wish.gpu_memory_bytes,
        "gpu_model": wish.gpu_model,
        "tasks": wish.tasks,
        "nodes": wish.nodes,
    }
    wished_amounts = {name: value for name, value in amounts.items() if value is not None}
    wished = {name: value for name, value in others.items() if value is not None}
    if shape is None or not (wished_amounts or wished):
        return None
    new_amounts: Amounts = replace(shape.amounts, **wished_amounts)
    return replace(shape, amounts=new_amounts, **wished)  # type: ignore[arg-type]


def _key(key: str, target: Target) -> str:
    return f"{key}:{target[0]}:{target[1]}" if key else ""
