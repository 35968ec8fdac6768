"""A policy in one word: what it means, and how a mistake is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.model.settings import PlanSettings
from tenure.policies import POLICY_NAMES, policy_by_name
from tenure.policies.strategies import STRATEGIES
from tenure.policies.words import LEAST, NUMBERS, BadPolicy, policy_of, read_policy

BASE = PlanSettings(wait_bonus=3)


def test_a_name_alone_changes_nothing_but_the_name() -> None:
    policy, settings = read_policy("easy", BASE)
    assert (policy.name, policy.stages) == ("easy", policy_by_name("easy").stages)
    assert settings == PlanSettings(wait_bonus=3, policy="easy")


def test_settings_are_numbers_or_durations() -> None:
    policy, settings = read_policy("sjf-easy+fgd:wait_bonus=7,step=-2,patience=2h,wait_full_ms=5", BASE)
    assert policy.stages == policy_by_name("sjf-easy+fgd").stages
    assert (settings.wait_bonus, settings.step, settings.patience_ms, settings.wait_full_ms) == (7, -2, 7_200_000, 5)


@given(
    st.sampled_from(POLICY_NAMES),
    st.dictionaries(st.sampled_from(NUMBERS), st.integers(1000, 10**12), max_size=3),
)
def test_what_was_read_reads_the_same_again(name: str, changes: dict[str, int]) -> None:
    word = name + ("" if not changes else ":" + ",".join(f"{key}={value}" for key, value in changes.items()))
    policy, settings = read_policy(word, BASE)
    again, same = read_policy(settings.policy, settings)
    assert same == settings
    assert {key: getattr(settings, key) for key in changes} == changes
    assert policy_of(settings).stages == again.stages == policy.stages == policy_by_name(name).stages


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("defualt", "no policy is called 'defualt'; did you mean default? tenure policy list has all of them"),
        ("load-balancin", "did you mean load_balancing?"),
        ("easy+fdg", "did you mean easy+fgd?"),
        ("sjf-eazy+fgd", "did you mean sjf-easy"),
        ("qqqq", "no policy is called 'qqqq'; tenure policy list has all of them"),
        ("predictive", "predictive is a strategy of the policy adaptive, and is not available yet: it needs a forecast of demand"),
        ("delayed", "delayed is a strategy of the policy adaptive, and is written adaptive:strategy=delayed"),
        ("easy:", "'easy:' names no setting behind the colon"),
        ("easy:waitbonus=3", "a policy has no setting 'waitbonus'; did you mean wait_bonus? there are base_low, "),
        ("easy:step", "'step' is no setting; write step=VALUE with a whole number"),
        ("easy:step=fast", "'step=fast' is no setting; write step=VALUE with a whole number"),
        ("easy:patience=long", "write patience=VALUE with a duration such as 90s or 2h"),
        ("easy:backfill_depth=0", "'backfill_depth=0' means nothing; backfill_depth is at least 1"),
        ("easy:policy=fifo", "a policy has no setting 'policy'"),
        ("easy:patience=1h,patience_ms=5", "says patience_ms twice; leave one of them out"),
    ],
)
def test_a_mistake_names_the_way_out(word: str, sentence: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        read_policy(word, BASE)
    assert sentence in str(caught.value)


def test_every_strategy_has_a_policy() -> None:
    six = {"priority_based", "fair_sharing", "time_slicing", "resource_pooling", "load_balancing", "hybrid"}
    assert STRATEGIES.keys() == six
    for name, stands_for in STRATEGIES.items():
        for spelled in (name, name.replace("_", "-")):
            assert read_policy(spelled, BASE)[0].stages == policy_by_name(stands_for).stages


def test_by_priority_is_what_is_done_when_nobody_says_anything() -> None:
    assert policy_by_name("priority_based").stages == policy_by_name("default").stages
    assert set(LEAST) <= set(NUMBERS)
