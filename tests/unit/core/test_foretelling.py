"""Baselines of how long a job will run: by hand, and within what it may take."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenure.core.foretelling import LOOKED_AT, Asked, Ran, foretold, of_last_two, of_same_name


def test_the_mean_of_the_last_two_and_the_median_of_the_same_name() -> None:
    runs = [Ran(1, 1, "train", 100), Ran(1, 2, "eval", 300), Ran(1, 1, "train", 20), Ran(2, 1, "train", 7)]
    asked = [Asked(10, 1, 1, "train", 0), Asked(11, 1, 1, "eval", 0), Asked(12, 2, 1, "train", 5), Asked(13, 3, 1, "train", 0)]
    found = [(one.job_id, one.model, one.p50_ms, one.p90_ms, one.as_of_ms) for one in foretold(asked, runs, 9)]
    assert found == [
        (10, "last_two", 200, 300, 9),
        (10, "same_name", 20, 100, 9),
        (11, "last_two", 200, 300, 9),
        (12, "last_two", 5, 5, 9),
        (12, "same_name", 5, 5, 9),
    ]


def test_only_the_last_runs_of_a_name_count() -> None:
    assert of_same_name([5] * LOOKED_AT + [10**6] * 100, 0) == (5, 5)
    assert of_same_name(list(range(1, 11)), 0) == (5, 9)


@given(runs=st.lists(st.integers(0, 10**9), min_size=1, max_size=40), limit_ms=st.integers(0, 10**9))
def test_a_forecast_is_ordered_and_within_what_the_job_may_take(runs: list[int], limit_ms: int) -> None:
    for p50_ms, p90_ms in (of_last_two(runs, limit_ms), of_same_name(runs, limit_ms)):
        assert 1 <= p50_ms <= p90_ms <= max(limit_ms or max(runs), 1)
