"""From a request for a lease to a command: what is refused, and the steps of a range."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenure.control.admission import Admission, Inadmissible
from tenure.control.granting import alternatives, check_ttl, digest_of, lease_command
from tenure.control.leasing import LeaseWatch
from tenure.model.amounts import GIB, MILLI, Amounts
from tenure.model.commands import AcquireLease, Caller, CancelJob, Holder, RenewLease, SuspendJob
from tenure.model.node import Device, Node
from tenure.wire.leases import Amounts as Most
from tenure.wire.leases import LeaseRequest
from tests.support.examples import examples

ADA = Caller(1000, "ada")
DEVICES = tuple(Device(number, 1, number, f"GPU-{number}", "H100", 80 * GIB) for number in (1, 2))
ADMISSION = Admission((Node(1, "n1", Amounts(8 * MILLI, 64 * GIB), DEVICES),), lambda _word: 0)
HOUR_MS = 3_600_000


def wish(**changes: Any) -> LeaseRequest:
    return LeaseRequest(**{"key": "k", "token": "t" * 32, "cpu_milli": MILLI} | changes)


def command(**changes: Any) -> AcquireLease:
    return lease_command(ADMISSION, wish(**changes), ADA, Holder(7, 8), HOUR_MS)[0]


def test_a_request_becomes_a_job_without_a_program() -> None:
    found = command(purpose=["python", "tool.py"], gpu_milli=500)
    assert (found.request.kind, found.request.priority, found.request.limit_ms) == ("lease", 1, 300_000)
    assert (found.spec.argv, found.spec.holder, found.spec.env) == (("python", "tool.py"), Holder(7, 8), {})
    assert found.token == digest_of("t" * 32)
    assert "t" * 32 not in repr(found)
    assert command(ttl_ms=9_000).request.grace_ms == 3_000, "who renews in time is never warned"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"token": "short"}, "printable ASCII"),
        ({"token": "ü" * 32}, "printable ASCII"),
        ({"cpu_milli": 0}, "a lease of nothing"),
        ({"ttl_ms": HOUR_MS + 1}, "the time to live"),
        ({"ttl_ms": 999}, "the time to live"),
        ({"wait_ms": 86_400_001}, "is waited for"),
        ({"wait_ms": -1}, "is waited for"),
        ({"expected_ms": -1}, "expected duration"),
        ({"priority": 11}, "priority"),
        ({"cpu_milli": 9 * MILLI}, "no declared node"),
        ({"cpu_milli": 4 * MILLI, "most": Most(cpu_milli=2 * MILLI)}, "ends below"),
        ({"gpu_milli": 500, "most": Most(gpu_milli=1500)}, "whole number"),
    ],
)
def test_what_means_nothing_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Inadmissible, match=said):
        command(**changes)


def test_the_same_question_has_the_same_digest_however_long_it_is_asked() -> None:
    assert command(poll_ms=5).asked == command(poll_ms=30_000).asked
    assert command().asked != command(ttl_ms=60_000).asked


def test_a_range_begins_with_the_most_that_a_node_could_hold() -> None:
    asked, smaller = lease_command(ADMISSION, wish(gpu_milli=250, most=Most(gpu_milli=4 * MILLI)), ADA, Holder(), HOUR_MS)
    tried = [asked.request.shape, *smaller]
    assert [shape.gpu_milli for shape in tried] == [2000, 1000, 710, 250], "three and four are more than there are"
    assert len({shape.amounts for shape in tried}) == 1


def test_a_plain_request_has_no_alternatives() -> None:
    assert lease_command(ADMISSION, wish(), ADA, Holder(), HOUR_MS)[1] == ()


amounts = st.integers(0, 8 * MILLI)
sizes = st.integers(0, 64 * GIB)


@settings(max_examples=examples(60))
@given(
    cpu=amounts,
    cpu_more=amounts,
    memory=sizes,
    memory_more=sizes,
    gpu=st.sampled_from([0, 1, 250, 999, 1000, 2000]),
    gpus=st.integers(0, 8),
)
def test_steps_go_down_from_the_most_to_the_least_and_can_all_be_asked_for(
    cpu: int, cpu_more: int, memory: int, memory_more: int, gpu: int, gpus: int
) -> None:
    asked = wish(
        cpu_milli=cpu,
        memory_bytes=memory,
        gpu_milli=gpu,
        most=Most(cpu_milli=cpu + cpu_more, memory_bytes=memory + memory_more, gpu_milli=max(gpu, gpus * MILLI) if gpu else 0),
    )
    steps = alternatives(asked)
    assert steps[-1] == wish(cpu_milli=cpu, memory_bytes=memory, gpu_milli=gpu)
    assert len(steps) <= 9
    for more, less in pairwise(steps):
        pairs = [(getattr(more, name), getattr(less, name)) for name in ("cpu_milli", "memory_bytes", "gpu_milli")]
        assert all(above >= below for above, below in pairs)
        assert any(above > below for above, below in pairs)
    assert all(step.gpu_milli < MILLI or step.gpu_milli % MILLI == 0 for step in steps)


@pytest.mark.parametrize(("ttl_ms", "is_fine"), [(1_000, True), (HOUR_MS, True), (999, False), (HOUR_MS + 1, False)])
def test_a_time_to_live_has_bounds(ttl_ms: int, is_fine: bool) -> None:
    if is_fine:
        check_ttl(ttl_ms, HOUR_MS)
    else:
        with pytest.raises(Inadmissible, match="time to live"):
            check_ttl(ttl_ms, HOUR_MS)


class Due:
    """A store that has something to do at a moment."""

    def __init__(self, next_ms: int) -> None:
        self.next_ms = next_ms
        self.looks: list[int] = []

    def expire_leases(self, now_ms: int) -> tuple[int, list[Any]]:
        self.looks.append(now_ms)
        return self.next_ms, []


def test_somebody_looks_no_later_than_there_is_something_to_do() -> None:
    watch, store = LeaseWatch(), Due(10_000_000)
    watch.look(store, 1_000)  # type: ignore[arg-type]
    watch.look(store, 9_999_999)  # type: ignore[arg-type]
    assert store.looks == [1_000], "at first at once, then when it is said"
    found = watch.note([command(wait_ms=5_000, ttl_ms=60_000), CancelJob("", ADA, 4), SuspendJob("", ADA, 5)], 2_000)
    assert watch.next_ms == 7_000
    assert [change.job_id for change in found] == [4], "who waits for a lease is told that something was asked of it"
    watch.note([RenewLease("", ADA, 3, "t", 5)], 2_000)
    assert watch.next_ms == 0
