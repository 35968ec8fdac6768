"""What a workload promises: order, unique numbers, shared shapes, and how much it asks for."""

from __future__ import annotations

import pytest

from tenure.model.amounts import Amounts
from tenure.model.shape import Shape
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload, TraceJob, offered_load, span_ms, workload_of


def job(number: int, submitted: int = 0, run: int = 0, shape: Shape | None = None, *, lives: bool = False) -> TraceJob:
    return TraceJob(number, str(number), shape or Shape(Amounts(1000)), submitted, run, lives=lives)


def test_jobs_are_in_order_and_equal_shapes_are_one() -> None:
    workload = workload_of("x", (), [job(3, 5), job(2, 5), job(1, 9)], {"why": 1})
    assert [item.number for item in workload.jobs] == [2, 3, 1]
    assert len({id(item.shape) for item in workload.jobs}) == 1
    assert workload.skipped == {"why": 1}
    assert [item.number for item in workload.limited(2).jobs] == [2, 3]


def test_numbers_are_unique() -> None:
    with pytest.raises(BadWorkload, match="the same number"):
        workload_of("x", (), [job(1), job(1)])


def test_the_load_is_that_of_the_shorter_resource() -> None:
    nodes = parse_nodes("1x2xT4,10c")
    gpu = Shape(Amounts(1000), gpu_milli=1000)
    workload = workload_of("x", nodes, [job(1, 0, 50, gpu), job(2, 100, 50, gpu), job(3, 50, 999, gpu, lives=True)])
    assert span_ms(workload) == 100
    assert offered_load(workload) == pytest.approx(0.5)
    gang = Shape(Amounts(5000), tasks=2)
    assert offered_load(workload_of("x", nodes, [job(1, 0, 100, gang), job(2, 100)])) == pytest.approx(1.0)


def test_an_empty_workload_asks_for_nothing() -> None:
    empty = workload_of("x", (), [])
    assert (span_ms(empty), offered_load(empty)) == (1, 0.0)
