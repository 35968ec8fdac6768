"""Hybrid: who goes first by share and then by points, and which rule of placement the load calls for, without flapping."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.strategy import PACKED, SPREAD, Tide
from tenure.model.settings import PlanSettings
from tenure.policies.hybrid import Hybrid
from tenure.policies.words import BadPolicy, read_policy

TIDE = Tide({}, 500, 700)


def test_the_load_decides_and_between_the_bounds_what_was_before() -> None:
    assert [TIDE.settled("", used) for used in (0, 499, 500, 699, 700, 1000)] == [SPREAD] * 4 + [PACKED] * 2
    assert [TIDE.settled(PACKED, used) for used in (499, 500, 699, 700)] == [SPREAD, PACKED, PACKED, PACKED]
    assert TIDE.settled("delayed", 600) == SPREAD, "what another policy followed says nothing"


@given(st.lists(st.integers(500, 699), max_size=20), st.sampled_from((SPREAD, PACKED)))
def test_between_the_bounds_nothing_changes_whatever_the_load_does(loads: list[int], before: str) -> None:
    now = before
    for used in loads:
        now = TIDE.settled(now, used)
    assert now == before


def test_its_settings_are_read_and_kept_under_another_name() -> None:
    policy, _ = read_policy("hybrid:spread_below=20,pack_above=90,guard=1h", PlanSettings())
    assert isinstance(policy, Hybrid)
    assert policy.stages.chooser is not None
    chooser = policy.altered("other").stages.chooser
    assert isinstance(chooser, Tide)
    assert (chooser.low_milli, chooser.high_milli) == (200, 900)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("hybrid:spread_below=80", "spread_below=80 is above pack_above=70"),
        ("hybrid:pack_above=many", "write per cent"),
        ("hybrid:strategy=other", "pin spread or packed"),
    ],
)
def test_a_mistake_names_the_way_out(word: str, says: str) -> None:
    with pytest.raises(BadPolicy, match=says):
        read_policy(word, PlanSettings())
