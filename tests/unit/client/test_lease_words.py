"""What people write for a lease, read into the request."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.client.errors import BadRequest
from tenure.client.lease_words import lease_request
from tenure.wire.leases import Amounts
from tests.support.examples import examples

GIB = 1 << 30


def test_words_and_numbers_mean_the_same() -> None:
    words = lease_request(gpus="0.5", gpu_memory="8G", cpus="2", memory="4G", storage="1G", bandwidth="1G", ttl="5m", wait="30s")
    numbers = lease_request(gpus=0.5, gpu_memory=8 * GIB, cpus=2, memory=4 * GIB, storage=GIB, bandwidth=10**9, ttl=300, wait=30)
    for request in (words, numbers):
        assert (request.storage_bytes, request.bandwidth_bps) == (GIB, 10**9)
        assert (request.gpu_milli, request.gpu_memory_bytes, request.cpu_milli, request.memory_bytes) == (500, 8 * GIB, 2000, 4 * GIB)
        assert (request.ttl_ms, request.wait_ms, request.most) == (300_000, 30_000, None)


def test_the_defaults_are_those_of_tools() -> None:
    request = lease_request(cpus=1)
    assert (request.priority, request.wait_ms, request.expected_ms, request.ttl_ms, request.bound) == (
        1,
        300_000,
        60_000,
        300_000,
        True,
    )
    assert request.purpose


def test_each_request_has_a_key_and_a_token_of_its_own() -> None:
    first, second = lease_request(cpus=1), lease_request(cpus=1)
    assert first.key != second.key
    assert first.token != second.token
    assert len(first.token) == 64


@pytest.mark.parametrize("gpus", ["0.25..1", (0.25, 1), ["0.25", "1"]])
def test_ranges_have_two_ends(gpus: Any) -> None:
    request = lease_request(gpus=gpus, memory="4G..16G")
    assert (request.gpu_milli, request.memory_bytes) == (250, 4 * GIB)
    assert request.most == Amounts(gpu_milli=1000, memory_bytes=16 * GIB)


def test_a_model_may_be_named_with_a_range() -> None:
    assert lease_request(gpus="a100:0.25..1").gpu_model == "a100"


@pytest.mark.parametrize(
    "given_words",
    [
        {"gpus": "1..0.5"},
        {"gpus": (1, 2, 3)},
        {"memory": "much"},
        {"ttl": "soon"},
        {"priority": 11},
        {"gpus": "1.5"},
        {"memory": "8G.."},
    ],
)
def test_what_cannot_be_read_is_refused(given_words: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        lease_request(**given_words)


@settings(max_examples=examples(80))
@given(st.text(alphabet="0123456789.GgmMi:a- ", max_size=12))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    for name in ("gpus", "cpus", "memory", "ttl"):
        with contextlib.suppress(BadRequest):
            assert lease_request(**{name: text}).ttl_ms >= 0  # type: ignore[arg-type]
