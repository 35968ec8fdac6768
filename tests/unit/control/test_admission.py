"""The door: what is no job, what is too large, and what can never run is refused before anything is written."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.control.acts import act_commands, changed_shape, update_commands
from tenure.control.admission import Admission, Inadmissible, describe_shape
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import Caller, CancelJob, DependsOn, SuspendJob, UpdateJob
from tenure.model.node import Device, Node
from tenure.model.pool import MAY
from tenure.model.shape import Shape
from tenure.wire.dto import ActRequest, AfterRef, Selection, SubmitRequest, UpdateRequest

ME = Caller(7, "me")
GPUS = tuple(Device(i + 1, 1, i, f"GPU-{i}", "A100-80G", 80 * GIB) for i in range(4))
NODE = Node(1, "box", Amounts(8000, 64 * GIB), GPUS)


def admission(**facts: Any) -> Admission:
    return Admission([NODE], {"last": 5, "3": 3}.__getitem__, **facts)


def request(**fields: Any) -> SubmitRequest:
    return SubmitRequest(**{"argv": ["python", "train.py"], "cwd": "/data", "key": "k", **fields})


def refusal(**fields: Any) -> Inadmissible:
    with pytest.raises(Inadmissible) as caught:
        admission().command(request(**fields), ME)
    return caught.value


def test_a_submission_becomes_a_command() -> None:
    wish = request(array="0-9:3%2", after=[AfterRef(job="last", condition="any")], gpu_milli=2000, memory_bytes=GIB, priority=8)
    command = admission().command(wish, ME)
    assert command.caller == ME
    assert command.request.name == "train.py"
    assert command.request.array == ((0, 9, 3),)
    assert command.request.array_cap == 2
    assert command.request.after == (DependsOn(5, "any"),)
    assert command.request.shape.gpu_milli == 2000
    assert command.spec.argv == ("python", "train.py")


@pytest.mark.parametrize(
    ("argv", "name"), [(["/usr/bin/env"], "env"), (["python", "-m", "x"], "python"), (["sh", "job.sh"], "job.sh"), (["-x"], "-x")]
)
def test_a_job_without_a_name_is_named_for_its_program(argv: list[str], name: str) -> None:
    assert admission().command(request(argv=argv), ME).request.name == name


def test_a_default_for_memory_is_given_to_jobs_that_name_none() -> None:
    assert admission(default_memory_bytes=2 * GIB).command(request(), ME).request.shape.amounts.memory_bytes == 2 * GIB
    assert admission().command(request(), ME).request.shape.amounts.memory_bytes == 0


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"argv": []}, "bad_request", "needs a command"),
        ({"argv": [""]}, "bad_request", "needs a command"),
        ({"key": ""}, "bad_request", "idempotency key"),
        ({"argv": ["a\0b"]}, "bad_request", "NUL"),
        ({"env": {"A=B": "c"}}, "bad_request", "NUL, or ="),
        ({"argv": ["x" * (2 << 20)]}, "too_large", "1M"),
        ({"env": {"X": "x" * (2 << 20)}}, "too_large", "environment"),
        ({"name": "n" * 300}, "too_large", "200"),
        ({"cwd": "relative"}, "bad_request", "full path"),
        ({"priority": 11}, "bad_request", "priority"),
        ({"kind": "tool"}, "bad_request", "kind"),
        ({"array": "9-1"}, "bad_request", "range"),
        ({"after": [AfterRef(job="3", condition="maybe")]}, "bad_request", "--after"),
        ({"gpu_milli": 1500}, "bad_request", "fraction"),
        ({"memory_bytes": 1 << 20}, "bad_request", "8M"),
        ({"retries": -1}, "bad_request", "retries"),
    ],
)
def test_what_is_refused_and_why(fields: dict[str, Any], code: str, words: str) -> None:
    error = refusal(**fields)
    assert error.reply.code == code
    assert words in error.reply.message


def test_what_can_never_run_is_refused_with_the_nearest_that_can() -> None:
    reply = refusal(gpu_milli=9000, cpu_milli=1000).reply
    assert reply.code == "never_fits"
    assert "--gpus 4" in reply.remedy
    assert "box" in reply.remedy
    assert "gpu_devices 4 of 9" in reply.details["lacks"]


def test_without_nodes_nothing_is_near() -> None:
    with pytest.raises(Inadmissible) as caught:
        Admission([], lambda _word: 0).command(request(), ME)
    assert caught.value.reply.remedy == "declare a node that can hold it"


def test_a_shape_is_described_as_options() -> None:
    shape = Shape(Amounts(500, GIB), 1000, 40 * GIB, "A100", tasks=4, nodes=2)
    assert describe_shape(shape) == "--cpus 0.5 --memory 1G --gpus A100:1 --gpu-memory 40G --nodes 2 --tasks 4"
    labelled = Shape(Amounts(1000, 0, GIB, 10**9), labels=("fast", f"{MAY}training", "ssd"))
    assert describe_shape(labelled) == "--cpus 1 --storage 1G --bandwidth 1G --constraint 'fast&ssd'", "a class is no label of theirs"


def test_acting_makes_one_command_per_job_each_with_a_key_of_its_own() -> None:
    wish = ActRequest(action="cancel", select=Selection(), key="k", why="enough")
    commands = act_commands(wish, [(4, -1), (9, 3)], ME)
    assert commands == [CancelJob("k:4:-1", ME, 4, -1, "enough"), CancelJob("k:9:3", ME, 9, 3, "enough")]
    resumed = act_commands(ActRequest(action="resume", select=Selection(), key="k"), [(4, -1)], ME)
    assert resumed == [SuspendJob("k:4:-1", ME, 4, -1, resume=True)]
    with pytest.raises(ValueError, match="explode"):
        act_commands(ActRequest(action="explode", select=Selection(), key="k"), [(4, -1)], ME)


@pytest.mark.parametrize("action", ["hold", "release", "requeue", "suspend"])
def test_every_action_has_a_command(action: str) -> None:
    (command,) = act_commands(ActRequest(action=action, select=Selection(), key="k"), [(4, -1)], ME)
    assert command.job_id == 4  # type: ignore[union-attr]


def test_an_update_changes_only_what_is_wished_and_what_can_run() -> None:
    shape = Shape(Amounts(1000, GIB))
    wish = UpdateRequest(select=Selection(), key="k", priority=9, memory_bytes=2 * GIB)
    (command,) = update_commands(wish, [(4, -1)], {4: shape}, ME, [NODE])
    assert isinstance(command, UpdateJob)
    assert command.shape == Shape(Amounts(1000, 2 * GIB))
    assert command.priority == 9
    assert changed_shape(UpdateRequest(select=Selection(), key="k", name="n"), shape) is None
    assert changed_shape(UpdateRequest(select=Selection(), key="k", gpu_milli=1000), shape) == Shape(Amounts(1000, GIB), 1000)
    with pytest.raises(Inadmissible):
        update_commands(UpdateRequest(select=Selection(), key="k", cpu_milli=9000), [(4, -1)], {4: shape}, ME, [NODE])
    with pytest.raises(ValueError, match="priority"):
        update_commands(UpdateRequest(select=Selection(), key="k", priority=0), [(4, -1)], {4: shape}, ME, [NODE])


def test_a_preference_is_part_of_the_shape() -> None:
    shape = admission().command(request(gpu_milli=2000, prefer=["ssd", "nvlink", "ssd"], prefer_wait_ms=60_000), ME).request.shape
    assert (shape.prefer, shape.prefer_wait_ms) == (("nvlink", "ssd"), 60_000)
    assert describe_shape(shape).endswith("--gpus 2 --prefer nvlink&ssd")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prefer": ["nvlink"], "gpu_milli": 1000}, "only several GPUs of one task can be in one group"),
        ({"prefer": ["a,b"]}, "a label that is preferred is a word without commas"),
        ({"prefer": [""]}, "a label that is preferred is a word"),
        ({"prefer_wait_ms": 5}, "waiting for a better place needs a wish for one; say which with --prefer"),
        ({"prefer": ["a"], "prefer_wait_ms": -1}, "--prefer-wait"),
    ],
)
def test_a_preference_that_means_nothing_is_refused(fields: dict[str, Any], words: str) -> None:
    assert words in refusal(**fields).reply.message
