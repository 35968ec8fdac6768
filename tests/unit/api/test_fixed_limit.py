"""A time limit that an older executor cannot change is refused, and only for what runs."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.api.jobs import fixed_limit
from tenure.wire.dto import ArrayView, JobView


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
