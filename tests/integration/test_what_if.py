"""What-if and plan on a real daemon with two pretend nodes: exact starts, one sentence per mistake, and nothing changed."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator

import pytest

from tenure.client.errors import NotFound, TenureError
from tenure.wire.whatif import MachineSpec, PriorityWish, WhatIfRequest
from tests.support.living import Installation, installation, until

TWO_NODES = """
[node]
cpus = "1"
[[pretend_nodes]]
name = "a"
cpus = "8"
memory = "64G"
gpus = "2xA100:80G"
[[pretend_nodes]]
name = "b"
cpus = "8"
memory = "64G"
gpus = "2xA100:80G"
"""
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def busy() -> Iterator[Installation]:
    """Both nodes are taken by jobs 1 (2 h) and 2 (4 h); job 3 wants one of them, 4 both, 5 one GPU; 6 is held."""
    with installation(TWO_NODES) as living:
        for name, words in (("one", "--gpus 2 -t 2h"), ("two", "--gpus 2 -t 4h")):
            living.submit("-J", name, *words.split(), "--", "sleep", "600")
        until(lambda: living.state("2") == "running", "both to run")
        for name, words in (
            ("three", "--gpus 2 -t 1h"),
            ("four", "--gpus 2 --tasks 2 -t 1h"),
            ("five", "--gpus 1 -t 10h"),
            ("six", "-H"),
        ):
            living.submit("-J", name, *words.split(), "--", "true")
        yield living


def content(living: Installation) -> str:
    """A digest of every row of the store."""
    with sqlite3.connect(f"file:{living.home}/tenure.db?mode=ro", uri=True) as database:
        return hashlib.sha256("\n".join(database.iterdump()).encode()).hexdigest()


def started(living: Installation) -> dict[str, int]:
    """When the running jobs started."""
    return {job["id"]: job["started_ms"] for job in living.json("ps")["jobs"] if job["started_ms"]}


def test_what_would_change_to_the_millisecond_and_nothing_does(busy: Installation) -> None:
    """The order is 5, 3, 4: the fewer GPUs the sooner."""
    first, second = started(busy)["1"] + 2 * HOUR_MS, started(busy)["2"] + 4 * HOUR_MS
    before = content(busy)
    with busy.client() as client:
        added = client.admin.what_if(WhatIfRequest(add_nodes=[MachineSpec(cpu_milli=8000, gpus=2, gpu_model="A100")]))
        urgent = client.admin.what_if(WhatIfRequest(priorities=[PriorityWish(job="3", priority=9)]))
        fewer = client.admin.what_if(WhatIfRequest(cancel=["1", "3"]))
    assert [(job.id, job.name, job.before_ms, job.after_ms, job.effect) for job in added.jobs] == [
        ("5", "five", first, added.now_ms, "sooner"),
        ("3", "three", second, first, "sooner"),
        ("4", "four", first + 10 * HOUR_MS, second, "sooner"),
        ("6", "six", 0, 0, "same"),
    ]
    assert (added.starts_now, added.waiting, added.compared, added.sooner, added.later) == (["5"], 4, 4, 3, 0)
    assert added.mean_change_ms == round(sum(job.change_ms or 0 for job in added.jobs) / 3)
    assert [(job.id, job.after_ms) for job in urgent.jobs][:3] == [("5", first + HOUR_MS), ("3", first), ("4", first + 11 * HOUR_MS)]
    assert urgent.supposed == ["job 3 has priority 9 instead of 5"]
    assert [(job.id, job.effect, job.after_ms) for job in fewer.jobs][:3] == [
        ("5", "sooner", fewer.now_ms),
        ("3", "cancelled", 0),
        ("4", "sooner", fewer.now_ms + 10 * HOUR_MS),
    ]
    assert content(busy) == before


def test_the_whole_of_it_on_the_command_line(busy: Installation) -> None:
    words = "what-if --add-nodes 2x8xA100:80G --drain a --remove-node b --priority 3=8 --cancel 4 --policy easy"
    told = busy.cli(*words.split(), "--job", "--gpus 4 -t 1h -J more", "--gpus", "16", "--tasks", "1", ok=False)
    assert "the nearest that can run is --cpus 1 --gpus 8 (on new-1)" in told.stderr
    told = busy.cli(*words.split(), "--job", "--gpus 4 -t 1h -J more", "--all")
    for part in (
        "2 more nodes, each with 8 GPUs (A100, 80G)",
        "node a takes nothing new",
        "node b is gone; job 2",
        "job 4 is cancelled",
    ):
        assert part in told.stdout
    for part in ("job 3 has priority 8 instead of 5", "one more job, new", "policy is easy instead of default", "Nothing was changed."):
        assert part in told.stdout
    reply = busy.json(*words.split(), "--job", "--gpus 4 -t 1h -J more")
    assert {job["id"]: job["effect"] for job in reply["jobs"]} == {
        "2": "interrupted",
        "3": "sooner",
        "4": "cancelled",
        "5": "sooner",
        "6": "same",
        "new": "added",
    }


def test_that_turns_are_not_foreseen_is_said(busy: Installation) -> None:
    assert any("turns are not foreseen" in note for note in busy.json("what-if", "--policy", "time_slicing")["notes"])
    assert not any("turns" in note for note in busy.json("what-if", "--policy", "easy")["notes"])


def test_plan_says_whom_it_would_delay(busy: Installation) -> None:
    words = ("plan", "--gpus", "2", "-t", "1h", "--priority", "8")
    told = busy.cli(*words, "--", "true").stdout
    assert "It would delay 2 of 4 waiting jobs:" in told
    reply = json.loads(busy.cli(*words, "--json", "--", "true").stdout)
    assert reply["start_ms"] == started(busy)["1"] + 2 * HOUR_MS
    assert {job["id"]: job["change_ms"] for job in reply["delayed"]} == {"5": HOUR_MS, "4": HOUR_MS}
    assert "It would delay nobody" in busy.cli("plan", "-t", "1m", "--", "true").stdout
    assert busy.cli("plan", "-p", "nowhere", "--", "true", ok=False).returncode == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--cancel", "77"], 3, "there is no job 77"),
        (["--drain", "z"], 3, "there is no node z; tenure nodes lists them"),
        (["--policy", "z"], 2, "tenure policy list has all of them"),
        (["--gpus", "9"], 4, "the nearest that can run is"),
        (["--queue", "z"], 3, "there is no queue 'z'"),
        (["--priority", "9-77=3", "--cancel", "9"], 3, "there is no job"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_way_out(busy: Installation, words: list[str], code: int, said: str) -> None:
    done = busy.cli("what-if", *words, ok=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_out_of_bounds_is_refused(busy: Installation) -> None:
    with busy.client() as client:
        for wish in (
            WhatIfRequest(limit=0),
            WhatIfRequest(limit=5000),
            WhatIfRequest(add_nodes=[MachineSpec(count=2001, cpu_milli=1000)]),
            WhatIfRequest(add_nodes=[MachineSpec(count=0, cpu_milli=1000)]),
            WhatIfRequest(add_nodes=[MachineSpec()]),
            WhatIfRequest(priorities=[PriorityWish(job="3", priority=11)]),
            WhatIfRequest(cancel=["words"]),
        ):
            with pytest.raises(TenureError) as refused:
                client.admin.what_if(wish)
            assert refused.value.code == "bad_request"
        with pytest.raises(NotFound):
            client.admin.what_if(WhatIfRequest(remove_nodes=["z"]))
        as_it_is = client.admin.what_if(WhatIfRequest())
    assert {job.effect for job in as_it_is.jobs} == {"same"}
    assert as_it_is.supposed == []
