"""A time limit that an older executor cannot change is refused, and only for what runs."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.api.fixed import fixed, fixed_limit, may_be_fixed
from tenure.model.observations import Capabilities
from tenure.wire.dto import ArrayView, JobView
from tenure.wire.requests import JobPatch


def view(state: str, **facts: Any) -> JobView:
    return JobView(id="7", number=7, name="train", state=state, **facts)


@pytest.mark.parametrize("state", ["starting", "running", "suspended"])
def test_what_runs_keeps_its_limit_and_is_told_the_way_out(state: str) -> None:
    refusal = fixed_limit([view("pending"), view(state)])
    assert refusal is not None
    assert refusal.code == "limit_fixed"
    assert "requeue 7" in refusal.remedy


def test_what_waits_or_has_ended_is_not_concerned() -> None:
    waiting = ArrayView(indices="0-3", size=4, waiting=2, states={"succeeded": 2, "running": 0})
    assert fixed_limit([view("pending"), view("held"), view("succeeded"), view("pending", array=waiting)]) is None


def test_an_array_is_concerned_as_soon_as_one_element_runs() -> None:
    busy = ArrayView(indices="0-3", size=4, waiting=3, states={"running": 1})
    assert fixed_limit([view("pending", array=busy)]) is not None


def test_amounts_are_refused_only_where_the_executor_cannot_and_only_for_what_runs() -> None:
    wish, unable = JobPatch(cpu_milli=500), Capabilities(limit=True)
    assert may_be_fixed(wish, unable)
    assert not may_be_fixed(wish, Capabilities(resize=True))
    assert not may_be_fixed(JobPatch(name="other"), Capabilities())
    refusal = fixed(wish, [view("pending"), view("running")], unable)
    assert refusal is not None
    assert (refusal.code, "doctor" in refusal.remedy) == ("resize_fixed", True)
    busy = ArrayView(indices="0-3", size=4, waiting=3, states={"running": 1})
    assert fixed(wish, [view("pending"), view("pending", array=busy)], unable) is None
    assert fixed(JobPatch(limit_ms=5, memory_bytes=5), [view("running")], Capabilities()).code == "limit_fixed"  # type: ignore[union-attr]
