"""Every reason has a sentence; amounts are written as people write them."""

from __future__ import annotations

import time

import pytest

from tenure.model import reasons
from tenure.model.reasons import REASON_CODES, Reason, Shortfall
from tenure.wire.elements import elements_text
from tenure.wire.text import Awaited, clock_text, count_text, dependency_text, lack_text, reason_text

NODES = {1: "alpha", 2: "beta"}
NOW = int(time.time() * 1000)
SAMPLES: dict[str, tuple[Reason, list[str]]] = {
    "capacity": (reasons.Capacity(1, (Shortfall("cpu_milli", 3000, 2000),), 0), ["1 cpu (3 needed, 2 free)", "alpha"]),
    "would_delay": (reasons.WouldDelay(9, int(time.time() * 1000)), ["job #9", " at "]),
    "reserved": (reasons.Reserved(2, "kernel", NOW, NOW, True, 60_000), ["maintenance 'kernel'", "at most 1m it could start"]),
    "better_place": (reasons.BetterPlace(int(time.time() * 1000)), ["prefers", "until"]),
    "dependency": (reasons.Dependency((3, 4)), ["jobs #3, #4"]),
    "held": (reasons.Held(), ["release"]),
    "not_before": (reasons.NotBefore(int(time.time() * 1000)), ["before"]),
    "array_cap": (reasons.ArrayCap(), ["cap"]),
    "queue_paused": (reasons.QueuePaused(1), ["paused"]),
    "room_promised": (reasons.RoomPromised((3, 4), int(time.time() * 1000)), ["jobs #3, #4 leave", "kept until"]),
    "node_unavailable": (reasons.NodeUnavailable((1, 2)), ["alpha, beta"]),
    "device_unavailable": (reasons.DeviceUnavailable((1,)), ["gpus"]),
    "quota": (reasons.QuotaReached(1, "cpu_milli", 6000, 4000, 8000), ["its project", "quota", "8 cpus", "holds 6,", "asks for 4"]),
    "maximum": (reasons.MaximumReached(1, "memory_bytes", 1 << 30, 2 << 30, 2 << 30), ["maximum of 2G of memory", "holds 1G"]),
    "never_fits": (reasons.NeverFits(2, (Shortfall("memory_bytes", 2 << 30, 1 << 30),)), ["1G of memory", "beta"]),
    "not_reached": (reasons.NotReached(), ["planner"]),
}


def name(number: int) -> str:
    return f"#{number}"


def test_no_reason_is_without_a_sample() -> None:
    assert set(SAMPLES) == set(REASON_CODES)


@pytest.mark.parametrize("code", REASON_CODES)
def test_every_reason_has_a_sentence(code: str) -> None:
    reason, words = SAMPLES[code]
    said = reason_text(reason, NODES, name)
    for word in words:
        assert word in said
    assert not said.endswith(".")


def test_reasons_without_particulars_still_say_something() -> None:
    assert reason_text(reasons.Capacity(), {}, name) == "there is no room for it now"
    assert "another job" in reason_text(reasons.Dependency(), {}, name)
    assert "job #3 to end" in reason_text(reasons.Dependency((3,)), {}, name)
    assert reason_text(reasons.NeverFits(), {}, name).endswith("hold it")
    assert reason_text(reasons.NeverFits(labels=("ssd",)), {}, name).endswith("none has the label ssd")
    assert reason_text(reasons.NeverFits(labels=("class=training",)), {}, name).startswith("no pool takes training work: let one")
    assert reason_text(reasons.QuotaReached(1), {}, name, {1: "vision"}) == "project vision is at its quota"
    gpus = reasons.MaximumReached(1, "gpu_milli", 1500, 500, 1000)
    assert "project vision would exceed its maximum of 1 GPU: it holds 1.5" in reason_text(gpus, {}, name, {1: "vision"})
    assert "by" in reason_text(reasons.Capacity(1, (), 86_400_000), NODES, name)


@pytest.mark.parametrize(
    ("short", "said"),
    [
        (Shortfall("gpu_devices", 4, 1), "3 GPUs (4 needed, 1 free)"),
        (Shortfall("gpu_devices", 1, 0), "1 GPU (1 needed, 0 free)"),
        (Shortfall("gpu_milli", 800, 400), "0.4 of a GPU (0.8 needed, 0.4 free on the device that has most)"),
        (Shortfall("gpu_memory_bytes", 2 << 30, 1 << 30), "1G of GPU memory (2G needed, 1G free on the device that has most)"),
        (Shortfall("storage_bytes", 2 << 30, -5), "2G of storage (2G needed, 0 free)"),
        (Shortfall("bandwidth_bps", 10**10, 4 * 10**9), "6Gbit/s of bandwidth (10Gbit/s needed, 4Gbit/s free)"),
        (Shortfall("cpu_milli", 500, 0), "0.5 cpus (0.5 needed, 0 free)"),
    ],
)
def test_what_is_lacking(short: Shortfall, said: str) -> None:
    assert lack_text(short) == said


def test_what_is_waited_for_is_named_with_its_state_and_the_condition() -> None:
    waits = [Awaited("2", "prepare", "running", "ok"), Awaited("5_3", "", "held", "any"), Awaited("7", "", "", "failed")]
    assert (
        dependency_text(waits) == "it waits for job 2 (prepare, running) to succeed and for job 5_3 (held) to end and for job 7 to fail"
    )
    assert dependency_text([]) == ""


def test_elements_are_counted_once() -> None:
    assert elements_text({"succeeded": 2, "timed_out": 1, "failed": 0, "pending": 3}, 4) == "2 succeeded, 1 timed out, 7 waiting"
    assert elements_text({}, 0) == ""


def test_counts_and_clocks() -> None:
    assert count_text(1000, "cpu") == "1 cpu"
    assert count_text(2500, "cpu") == "2.5 cpus"
    now = time.time()
    assert clock_text(int(now * 1000)).count(":") == 2
    assert len(clock_text(int((now - 3 * 86_400) * 1000)).split()) == 4
