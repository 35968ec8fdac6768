"""Pools as labels: who belongs to which, what may run where, and what work is taken for."""

from __future__ import annotations

import pytest

from tenure.model.amounts import Amounts
from tenure.model.pool import CLASSES, Pool, class_of, labels_in, of_class, told_class
from tenure.model.shape import Shape

CPU = Shape(Amounts(1000))
TRAIN = Pool("big", nodes=("gpu*",), gpu="H100", classes=("training",))
SERVE = Pool("front", labels=("fast",), classes=("inference", "graphics"), borrow=True)
POOLS = (TRAIN, SERVE)


def test_a_node_belongs_where_all_that_is_said_holds() -> None:
    assert TRAIN.has("gpu1", (), ["NVIDIA H100 80GB HBM3"])
    assert not TRAIN.has("gpu1", (), ["A100"])
    assert not TRAIN.has("cpu1", (), ["H100"])
    assert SERVE.has("anything", ("fast", "x"), ())


def test_a_closed_pool_is_for_its_own_work_and_one_that_may_be_borrowed_for_all() -> None:
    assert labels_in(POOLS, "gpu1", ("x",), ["H100"]) == ("class=training", "for=training", "pool=big", "x")
    lent = labels_in(POOLS, "n", ("fast",), [])
    assert {f"class={kind}" for kind in CLASSES} < set(lent)
    assert [label for label in lent if label.startswith("for=")] == ["for=graphics", "for=inference"]


def test_a_node_of_no_pool_is_open_to_all_and_for_none() -> None:
    assert labels_in(POOLS, "other", (), []) == tuple(sorted(f"class={kind}" for kind in CLASSES))
    assert labels_in((), "other", ("b", "a"), []) == ("a", "b")


@pytest.mark.parametrize(
    ("shape", "limit_ms", "serves", "kind"),
    [
        (CPU, 0, False, "compute"),
        (CPU, 0, True, "inference"),
        (Shape(Amounts(1000), 1000), 0, False, "training"),
        (Shape(Amounts(1000), 1000), 60_000, False, "inference"),
        (Shape(Amounts(1000), 1000, tasks=2), 60_000, False, "training"),
        (Shape(Amounts(1000), 500), 0, False, "general"),
        (Shape(Amounts(1000), 500), 60_000, False, "inference"),
    ],
)
def test_work_that_does_not_say_what_it_is(shape: Shape, limit_ms: int, serves: bool, kind: str) -> None:
    assert class_of(shape, limit_ms, serves=serves) == kind


def test_work_of_a_class_goes_where_it_may_and_prefers_its_own() -> None:
    found = of_class(CPU, "inference", POOLS)
    assert (found.labels, found.prefer, told_class(found.labels)) == (("class=inference",), ("for=inference",), "inference")
    assert of_class(CPU, "compute", POOLS).prefer == (), "there is no pool of its own to prefer"
    assert of_class(CPU, "compute", ()) is CPU


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"classes": ("gaming",), "nodes": ("a",)}, "is no class of work"),
        ({"nodes": ("a",)}, "for nothing"),
        ({"classes": ("compute",)}, "no nodes"),
    ],
)
def test_a_pool_that_means_nothing_is_refused(words: dict[str, tuple[str, ...]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Pool("p", **words)  # type: ignore[arg-type]
