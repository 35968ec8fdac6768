"""Pools of pretend nodes on a real daemon: where work goes, what is said of it, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.living import Installation, installation, until

CONFIG = """
[node]
cpus = "1"
[[pretend_nodes]]
name = "big"
cpus = "4"
gpus = "2xH100:80G"
[[pretend_nodes]]
name = "small"
cpus = "4"
gpus = "1xL4:24G"
labels = ["edge"]
[pools.training]
nodes = ["big"]
for = ["training"]
[pools.serving]
gpu = "L4"
for = ["inference"]
borrow = true
[plan]
policy = "resource_pooling"
"""


@pytest.fixture
def living() -> Iterator[Installation]:
    with installation(CONFIG) as home:
        yield home


def test_work_goes_to_its_pools_and_is_told_why_it_waits_for_them(living: Installation) -> None:
    sleep = ("--", "sleep", "60")
    short = living.submit("--gpus", "1", "--time", "5m", *sleep)
    training = living.submit("--gpus", "2", *sleep)
    until(lambda: living.state(short) == living.state(training) == "running", "both to run")
    assert [living.json("show", job)["job"]["on_nodes"] for job in (short, training)] == [["small"], ["big"]]
    waits = living.submit("--gpus", "1", "--class", "inference", *sleep)
    why = living.cli("why", waits).stdout
    assert "it is inference work (class=inference), for which there is pool serving" in why
    assert "pool training is for training" in why
    pools = {pool["name"]: pool for pool in living.json("pools")["pools"]}
    serving = pools["serving"]
    assert (serving["gpus"], serving["active_gpus"], serving["running"], serving["pending"]) == (1, 1, 1, 1)
    assert serving["used_gpu_memory_bytes"] == serving["gpu_memory_bytes"] == 24 * 2**30
    assert pools["training"]["nodes"] == ["big"]
    table = living.cli("pools").stdout
    assert "training" in table
    assert "100%" in table
    refused = living.cli("submit", "--class", "gaming", *sleep, ok=False)
    assert "--class is one of inference, training" in refused.stderr
