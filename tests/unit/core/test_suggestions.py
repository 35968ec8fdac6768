"""What an explanation suggests can be typed and done; each case here was once suggested wrongly, or not at all."""

from __future__ import annotations

import pytest

from tenure.api.suggesting import suggestion_view
from tenure.model.amounts import GIB, MIB, Amounts, format_bytes, parse_bytes, spelled_bytes
from tenure.model.explanation import Change, UnknownStart
from tenure.model.lifecycle import DeviceStatus, NodeStatus
from tenure.model.reasons import DeviceUnavailable, NodeUnavailable
from tenure.model.shape import Shape
from tenure.policies import policy_by_name
from tenure.testing.builders import NOW_MS, Cluster

DEFAULT, EASY = policy_by_name("default"), policy_by_name("easy")
CPU = Shape(Amounts(1000))


def options_for(cluster: Cluster, name: str) -> dict[str, str]:
    """The options of each suggestion for a job, by what they change."""
    snapshot = cluster.snapshot()
    job = cluster.pending[cluster.jobs[name]]
    suggestions = DEFAULT.explain(snapshot, job.id).suggestions
    return {item.change.value: suggestion_view(item, job, snapshot).options for item in suggestions}


def test_an_odd_amount_that_is_free_is_rounded_down_to_one_that_can_be_typed() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(4000, 8 * GIB))
    cluster.run("r", Shape(Amounts(0, 1_234_567_890)), ["a"])
    cluster.wait("j", Shape(Amounts(1000, 8 * GIB)))
    assert options_for(cluster, "j") == {"smaller": "--memory 6.8G"}
    assert parse_bytes("6.8G") <= 8 * GIB - 1_234_567_890 < parse_bytes("6.9G")


@pytest.mark.parametrize("amount", [0, 1, 1023, 1024, 8 * MIB + 1, 1023 * MIB + 1_047_000, GIB - 1, 7_301_444_403, 2**61])
def test_what_is_spelled_is_read_as_the_same_amount(amount: int) -> None:
    found = spelled_bytes(amount)
    assert parse_bytes(format_bytes(found)) == found
    assert amount * 9 // 10 <= found <= amount or amount < 1024


def test_too_little_memory_is_not_suggested() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(4000, 8 * GIB))
    cluster.run("r", Shape(Amounts(0, 8 * GIB - 7 * MIB)), ["a"])
    cluster.wait("j", Shape(Amounts(1000, GIB)))
    assert options_for(cluster, "j") == {}


def test_nothing_is_suggested_of_what_no_option_changes() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(4000, bandwidth_bps=1000))
    cluster.wait("j", Shape(Amounts(1000, bandwidth_bps=2000)))
    assert options_for(cluster, "j") == {}


def test_a_gang_of_one_task_and_the_number_of_nodes_are_spelled() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000, storage_bytes=GIB))
    cluster.wait("j", Shape(Amounts(1000), tasks=2, nodes=2))
    assert options_for(cluster, "j") == {"smaller": "--tasks 1 --nodes 1"}
    cluster.wait("k", Shape(Amounts(1000, storage_bytes=2 * GIB)))
    assert options_for(cluster, "k") == {"smaller": "--storage 1G"}


def test_a_model_with_a_space_is_quoted_and_memory_that_goes_is_named() -> None:
    cluster = Cluster()
    cluster.node("a", gpus=2, model="Tesla T4", gpu_memory_bytes=16 * GIB)
    cluster.run("r", Shape(gpu_milli=500), ["a"], devices=[0])
    cluster.run("s", Shape(gpu_milli=300), ["a"], devices=[1])
    cluster.wait("j", Shape(Amounts(1000), gpu_milli=1000, gpu_model="Tesla T4", gpu_memory_bytes=12 * GIB))
    assert options_for(cluster, "j") == {"smaller": "--gpus 'Tesla T4:0.7' --gpu-memory 0"}


def test_a_limit_below_a_second_is_not_suggested() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(2000))
    cluster.run("r", CPU, ["a"], ends_ms=1000)
    cluster.wait("head", Shape(Amounts(2000)), limit_ms=1000, priority=10)
    job = cluster.wait("long", CPU, limit_ms=3_600_000)
    assert Change.SHORTER not in {item.change for item in DEFAULT.explain(cluster.snapshot(), job.id).suggestions}


def test_a_higher_priority_is_suggested_last_with_the_start_it_would_reserve() -> None:
    cluster = Cluster()
    cluster.node("a", Amounts(1000))
    cluster.run("r", CPU, ["a"], ends_ms=50_000)
    cluster.wait("first", CPU, limit_ms=60_000, priority=7)
    job = cluster.wait("second", CPU, limit_ms=60_000)
    suggestion = DEFAULT.explain(cluster.snapshot(), job.id).suggestions[-1]
    assert (suggestion.change, suggestion.priority, suggestion.start_ms) == (Change.PRIORITY, 9, NOW_MS + 50_000)
    assert options_for(cluster, "second") == {"priority": "--priority 9"}
    assert "next in line" in suggestion_view(suggestion, job, cluster.snapshot()).text
    assert EASY.explain(cluster.snapshot(), job.id).suggestions == ()
    head = cluster.jobs["first"]
    assert DEFAULT.explain(cluster.snapshot(), head).suggestions == ()


def test_a_node_and_a_device_that_are_both_missing_are_both_told() -> None:
    cluster = Cluster()
    cluster.node("a", gpus=2, status=NodeStatus.DRAINING, device_status={1: DeviceStatus.FOREIGN})
    cluster.node("b", gpus=1, status=NodeStatus.DRAINING)
    job = cluster.wait("j", Shape(gpu_milli=2000))
    explanation = DEFAULT.explain(cluster.snapshot(), job.id)
    assert explanation.blockers == (NodeUnavailable((1,)), DeviceUnavailable((2,)))
    assert explanation.start.unknown is UnknownStart.UNAVAILABLE
