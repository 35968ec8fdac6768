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


def test_work_of_a_class_that_the_settings_forgot_is_told_the_way_out(living: Installation) -> None:
    busy = living.submit("--gpus", "2", "--", "sleep", "60")
    until(lambda: living.state(busy) == "running", "the first to run")
    waits = living.submit("--gpus", "2", "--", "true")
    living.cli("down")
    config = living.home / "config.toml"
    config.write_text(config.read_text().partition("[pools.training]")[0])
    living.cli("up")
    told = until(lambda: living.json("ps", waits)["jobs"][0].get("reason"), "a plan that saw it")
    assert told["text"] == "no pool takes training work: let one take it, or submit it again"
    assert told["payload"]["labels"] == ["class=training"]
    why = living.cli("why", waits).stdout
    assert "no node takes training work (class=training) since the pools in the settings were changed" in why
    assert "cancel it and submit it again" in why


def test_a_supposed_node_takes_the_class_of_its_pool(living: Installation) -> None:
    busy = living.submit("--gpus", "2", "--time", "10h", "--", "sleep", "60")
    until(lambda: living.state(busy) == "running", "the first to run")
    living.submit("--gpus", "2", "--time", "1h", "--", "true")

    def sooner(spec: str) -> int:
        return int(living.json("what-if", "--add-nodes", spec)["sooner"])

    assert sooner("1x2xH100:80G,8c,64G") == 1, "a node of no pool is open to all"
    assert sooner("1x2xH100:80G,8c,64G,label=pool=training") == 1
    assert sooner("1x2xL4:80G,8c,64G,label=class=inference") == 0
