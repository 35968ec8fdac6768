"""Pools of nodes, each for some classes of work, told to every planner as labels.

A node of a pool carries ``pool=NAME``, ``for=CLASS`` for each class the pool is for, and ``class=CLASS`` for each class that may run
there: those, or all of them where the pool may be borrowed. A node of no pool is open to every class. A job of a class asks for
``class=CLASS`` and prefers ``for=CLASS``. Labels travel with nodes and shapes through every store, executor, list of machines and
explanation, and all that decides heeds them already; so nothing else need know of pools. Invariant: without pools nobody carries such
a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from tenure.model.amounts import MILLI
from tenure.model.shape import Shape

INFERENCE, TRAINING, COMPUTE, GRAPHICS, GENERAL = CLASSES = ("inference", "training", "compute", "graphics", "general")

POOL, MAY, FOR = "pool=", "class=", "for="

SHORT_MS = 600_000
"""GPU work with a limit of no more than this is taken for inference."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Nodes by name (``gpu*`` matches), by label and by the model of a GPU: whatever is given must hold. ``classes`` are what the pool
    is for, ``borrow`` says whether other work may run there as well. Raises ValueError for what means nothing."""

    name: str
    nodes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    gpu: str = ""
    classes: tuple[str, ...] = ()
    borrow: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.classes if name not in CLASSES]
        if unknown or not self.classes:
            what = f"{unknown[0]!r} is no class of work" if unknown else "it is for nothing"
            raise ValueError(f"{what}; write for = [...] with some of {', '.join(CLASSES)}")
        if not (self.nodes or self.labels or self.gpu):
            raise ValueError("it has no nodes; name some with nodes = [...], labels = [...] or gpu = '...'")

    def has(self, name: str, labels: Iterable[str], models: Iterable[str]) -> bool:
        """Whether a node of this name, with these labels and these models of GPU, belongs to it."""
        return (
            (not self.nodes or any(fnmatchcase(name, pattern) for pattern in self.nodes))
            and set(self.labels).issubset(labels)
            and (not self.gpu or any(self.gpu.lower() in model.lower() for model in models))
        )


def labels_in(pools: Sequence[Pool], name: str, labels: tuple[str, ...], models: Sequence[str]) -> tuple[str, ...]:
    """The labels of a node with those that its pools give it, sorted; of several pools it is for what any of them is for."""
    if not pools:
        return tuple(sorted(labels))
    mine = [pool for pool in pools if pool.has(name, labels, models)]
    own = [kind for kind in CLASSES if any(kind in pool.classes for pool in mine)]
    open_to = CLASSES if not mine or any(pool.borrow for pool in mine) else own
    given = [*(POOL + pool.name for pool in mine), *(FOR + kind for kind in own), *(MAY + kind for kind in open_to)]
    return tuple(sorted({*labels, *given}))


def labels_if(pools: Sequence[Pool], name: str, labels: tuple[str, ...], models: Sequence[str]) -> tuple[str, ...]:
    """The labels of a node that is only supposed: one that says ``pool=NAME`` is of that pool, whatever its name is; one that says what
    may run there is taken at its word."""
    if any(label.startswith((MAY, FOR)) for label in labels):
        return tuple(sorted(labels))
    said = {label.removeprefix(POOL) for label in labels if label.startswith(POOL)}
    pools = [replace(pool, nodes=("*",), labels=(), gpu="") if pool.name in said else pool for pool in pools]
    return labels_in(pools, name, labels, models)


def class_of(shape: Shape, limit_ms: int, *, serves: bool = False) -> str:
    """The class of work that does not say its own. What serves others, or is over soon, is inference; what asks for no GPU is compute;
    whole GPUs or several tasks for long are training; a part of a GPU for long is general. Nothing is taken for graphics."""
    if serves:
        return INFERENCE
    if not shape.gpu_milli:
        return COMPUTE
    if shape.tasks == 1 and 0 < limit_ms <= SHORT_MS:
        return INFERENCE
    return TRAINING if shape.gpu_milli >= MILLI or shape.tasks > 1 else GENERAL


def of_class(shape: Shape, kind: str, pools: Sequence[Pool]) -> Shape:
    """The shape of work of a class: it goes where that may run, and prefers the pools that are for it."""
    if not pools:
        return shape
    prefer = {*shape.prefer, FOR + kind} if any(kind in pool.classes for pool in pools) else shape.prefer
    return replace(shape, labels=tuple(sorted({*shape.labels, MAY + kind})), prefer=tuple(sorted(prefer)))


def told_class(labels: Iterable[str]) -> str:
    """The class of a shape by its labels, empty for none."""
    return next((label.removeprefix(MAY) for label in labels if label.startswith(MAY)), "")
