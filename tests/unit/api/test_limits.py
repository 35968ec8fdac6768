"""Buckets: nobody gets more than his rate, nobody who waited as told is refused, and one caller's haste costs no other."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.api.errors import ApiError
from tenure.api.identity import CALLER
from tenure.api.limits import KEPT, Buckets, Kind, Limits, kind_of
from tenure.config.listen import ListenSettings, Rate
from tenure.model.access import Caller, Role
from tests.support.examples import examples


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class NaiveBucket:
    """Tokens as a number that grows with time."""

    def __init__(self, rate: Rate) -> None:
        self.rate, self.tokens, self.seen_s = rate, float(rate.times), 1000.0

    def take(self, now_s: float) -> bool:
        per_s = self.rate.times * 1000 / self.rate.period_ms
        self.tokens = min(float(self.rate.times), self.tokens + (now_s - self.seen_s) * per_s)
        self.seen_s = now_s
        if self.tokens < 1 - 1e-6:
            return False
        self.tokens -= 1
        return True


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 20), st.sampled_from([1_000, 60_000]), st.lists(st.integers(0, 3_000), max_size=60))
def test_as_a_bucket_of_tokens(times: int, period_ms: int, pauses_ms: list[int]) -> None:
    rate, clock = Rate(times, period_ms), Clock()
    ours, naive = Buckets(rate, clock), NaiveBucket(rate)
    for pause_ms in pauses_ms:
        clock.now_s += pause_ms / 1000
        wait_s = ours.take("a")
        assert (wait_s == 0) == naive.take(clock.now_s)
        if wait_s:
            assert ours.left_s("a") == pytest.approx(wait_s)
            clock.now_s += wait_s + 1e-6
            assert ours.take("a") == 0
            assert naive.take(clock.now_s)


def test_callers_are_counted_apart_and_forgotten_in_the_end() -> None:
    clock = Clock()
    buckets = Buckets(Rate(1, 3_600_000), clock)
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0
    assert [buckets.take(number) for number in range(KEPT - 1)] == [0] * (KEPT - 1)
    assert buckets.take("a") > 0
    assert buckets.take("one too many") == 0
    assert buckets.take("a") == 0


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/v1/jobs/1", Kind.READ),
        ("POST", "/api/v1/jobs/query", Kind.READ),
        ("POST", "/api/v1/jobs/wait", Kind.READ),
        ("POST", "/api/v1/jobs", Kind.SUBMIT),
        ("POST", "/api/v1/leases", Kind.SUBMIT),
        ("DELETE", "/api/v1/x", Kind.SUBMIT),
        ("POST", "/api/v1/what-if", Kind.SIMULATE),
        ("POST", "/api/v1/plan", Kind.SIMULATE),
        ("GET", "/api/v1/simulations/3", Kind.SIMULATE),
    ],
)
def test_what_a_call_counts_as(method: str, path: str, kind: Kind) -> None:
    assert kind_of(method, path) is kind


def test_a_caller_is_told_when_to_come_again_and_others_are_not_concerned() -> None:
    clock = Clock()
    limits = Limits(ListenSettings(reads="2/m", submissions="1/m"), clock)

    def call(user: str, method: str = "GET") -> None:
        limits.charge({"path": "/api/v1/jobs/1", "client": ("10.0.0.1", 1), CALLER: Caller(7, user, Role.USER)}, method)

    call("ann")
    call("ann")
    call("ann", "POST")
    with pytest.raises(ApiError) as refused:
        call("ann")
    assert (refused.value.status, refused.value.reply.code, refused.value.wait_s) == (429, "too_many_calls", 30)
    call("bob")
    clock.now_s += refused.value.wait_s
    call("ann")
    assert limits.refused == 1


def test_the_own_user_on_the_socket_has_no_limit() -> None:
    limits = Limits(ListenSettings(submissions="1/h"))
    for _ in range(3):
        limits.charge({"path": "/api/v1/jobs", "client": ("uid", os.getuid())}, "POST")
    assert limits.refused == 0
