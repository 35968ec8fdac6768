"""The messages that start tasks: what a task finds in its environment, and what is sent only once."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

from tenure.executors.local import launching
from tenure.executors.local.launching import TEMPLATES_KEPT, Composer, own_environment, shared_environment
from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import JobSpec
from tenure.model.observations import Launch

MACHINE = Amounts(4000, 8 * GIB)
SPEC = JobSpec(("python", "train.py"), "/work", {"PATH": "/bin", "LANG": "C"})


def launch(attempt_id: int = 1, spec: JobSpec = SPEC, **fields: Any) -> Launch:
    values = {"node": "n1", "name": "train", "amounts": Amounts(2000, GIB), **fields}
    return Launch(attempt_id, attempt_id + 100, values.pop("task", 0), values.pop("fence", 3), spec=spec, **values)


def environment(one: Launch) -> dict[str, str]:
    return {**shared_environment(one, "/home/user"), **own_environment(one)}


def composed(batch: list[Launch], composer: Composer | None = None) -> list[dict[str, Any]]:
    ids = itertools.count(1)
    composer = composer or Composer("/home/user", MACHINE, frozenset({"PRETEND-x-0"}))
    return [json.loads(message.line) for _, message in composer.messages(batch, lambda: next(ids))]


def test_a_task_knows_what_and_where_it_is() -> None:
    env = environment(launch(7))
    assert env["PATH"] == "/bin"
    assert {name: env[name] for name in env if name.startswith("TENURE_")} == {
        "TENURE_JOB_ID": "107",
        "TENURE_JOB": "107",
        "TENURE_ATTEMPT": "1",
        "TENURE_TASK": "0",
        "TENURE_TASKS": "1",
        "TENURE_NODE": "n1",
        "TENURE_NODES": "n1",
        "TENURE_CPUS": "2",
        "TENURE_MEMORY_BYTES": str(GIB),
        "TENURE_GPUS": "0",
        "TENURE_SUBMIT_DIR": "/work",
        "TENURE_HOME": "/home/user",
    }
    assert env["OMP_NUM_THREADS"] == env["SLURM_CPUS_PER_TASK"] == "2"
    assert (env["SLURM_JOB_ID"], env["SLURM_JOB_NAME"], env["SLURM_SUBMIT_DIR"]) == ("107", "train", "/work")


def test_an_element_of_an_array_has_both_names() -> None:
    env = environment(launch(array_id=12, array_index=3, attempt_number=2))
    assert (env["TENURE_JOB"], env["TENURE_ARRAY_ID"], env["TENURE_ARRAY_INDEX"]) == ("12_3", "12", "3")
    assert (env["SLURM_ARRAY_JOB_ID"], env["SLURM_ARRAY_TASK_ID"]) == ("12", "3")
    assert (env["TENURE_ATTEMPT"], env["SLURM_RESTART_COUNT"]) == ("2", "1")


def test_a_job_without_gpus_sees_none() -> None:
    env = environment(launch(spec=replace(SPEC, env={"CUDA_VISIBLE_DEVICES": "0,1"})))
    assert env["CUDA_VISIBLE_DEVICES"] == ""
    assert env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_a_job_with_gpus_sees_its_own_by_uuid() -> None:
    env = environment(launch(devices=("GPU-b", "GPU-a"), gpu_milli=2000, gpu_memory_bytes=GIB))
    assert env["CUDA_VISIBLE_DEVICES"] == "GPU-b,GPU-a"
    assert (env["TENURE_GPUS"], env["TENURE_GPU_MEMORY_BYTES"]) == ("2", str(GIB))


def test_threads_are_the_users_choice_and_not_set_for_less_than_a_cpu() -> None:
    assert environment(launch(spec=replace(SPEC, env={"OMP_NUM_THREADS": "1"})))["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in environment(launch(amounts=Amounts(500)))


def test_a_job_submitted_by_a_job_does_not_inherit_its_identity() -> None:
    outer = {
        "TENURE_ARRAY_INDEX": "9",
        "SLURM_ARRAY_TASK_ID": "9",
        "SLURM_PROCID": "4",
        "TENURE_TASK_TAG": "x/1/0",
        "TENURE_LOG": "all",
    }
    env = environment(launch(spec=replace(SPEC, env=outer)))
    assert not {"TENURE_ARRAY_INDEX", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "TENURE_TASK_TAG"} & env.keys()
    assert env["TENURE_LOG"] == "all"


def test_every_name_that_is_set_is_never_inherited() -> None:
    gang = launch(tasks=2, peers=("n1", "n2"), array_id=1, array_index=2, attempt_number=2, devices=("G",), gpu_memory_bytes=1)
    names = (shared_environment(gang, "/h").keys() | own_environment(gang).keys()) - SPEC.env.keys()
    assert names - {"OMP_NUM_THREADS"} <= launching.OWN_NAMES


def test_a_single_task_does_not_look_like_started_by_srun() -> None:
    """Libraries take SLURM_NTASKS for one process per rank, and then refuse to start their own."""
    assert not {"SLURM_NTASKS", "SLURM_PROCID", "SLURM_JOB_NODELIST", "SLURM_JOBID"} & environment(launch()).keys()


def test_members_of_a_gang_find_each_other() -> None:
    env = environment(launch(task=2, tasks=3, node="n2", peers=("n1", "n2", "n2")))
    assert (env["TENURE_NODES"], env["TENURE_TASK"], env["TENURE_TASKS"]) == ("n1,n2,n2", "2", "3")
    assert (env["SLURM_PROCID"], env["SLURM_LOCALID"], env["SLURM_NODEID"], env["SLURM_NTASKS"]) == ("2", "1", "1", "3")
    assert (env["SLURM_JOB_NUM_NODES"], env["SLURM_JOB_NODELIST"]) == ("2", "n1,n2")


def test_an_array_sends_its_environment_once() -> None:
    (message,) = composed([launch(number, array_id=9, array_index=number, stdout=f"/log/{number}") for number in range(1, 501)])
    assert len(message["templates"]) == 1
    assert [task["attempt"] for task in message["tasks"]] == list(range(1, 501))
    assert message["fence"] == 3
    assert message["tasks"][4]["stdout"] == "/log/5"
    assert "LANG" not in message["tasks"][0]["env"]


def test_equal_environments_are_shared_also_between_jobs_that_do_not_share_the_object() -> None:
    specs = [replace(SPEC, argv=("echo", str(number)), env=dict(SPEC.env)) for number in range(50)]
    (message,) = composed([launch(number, spec) for number, spec in enumerate(specs)])
    assert len(message["templates"]) == 1
    (template,) = message["templates"].values()
    commands = [task.get("argv", template["argv"]) for task in message["tasks"]]
    assert commands == [["echo", str(number)] for number in range(50)]


def test_what_differs_is_not_shared() -> None:
    other = replace(SPEC, env={**SPEC.env, "SEED": "1"})
    batch = [launch(1), launch(2, other), launch(3, limit_ms=5), launch(4, amounts=Amounts(1000)), launch(5, node="n2")]
    (message,) = composed([*batch, launch(6), launch(7, other)])
    assert len(message["templates"]) == 5
    first = {task["attempt"]: task["template"] for task in message["tasks"]}
    assert first[6] == first[1]
    assert first[7] == first[2]


def test_templates_are_sent_again_before_the_other_side_has_dropped_them() -> None:
    """The supervisor keeps the last 256 that it was sent, oldest out first; a template is never referred to beyond that."""
    composer = Composer("/h", MACHINE)
    remembered: list[str] = []
    for number in range(TEMPLATES_KEPT * 3):
        batch = [launch(2 * number, limit_ms=number), launch(2 * number + 1, limit_ms=1)]
        for message in composed(batch, composer):
            remembered = (remembered + list(message["templates"]))[-256:]
            assert all(task["template"] in remembered for task in message["tasks"])


def test_large_batches_are_split() -> None:
    spec = replace(SPEC, env={"BIG": "x" * 900_000})
    messages = composed([launch(number, replace(spec, cwd=f"/{number}")) for number in range(10)])
    assert len(messages) > 1
    assert [task["attempt"] for message in messages for task in message["tasks"]] == list(range(10))


def test_limits_are_never_larger_than_the_machine_and_pretend_devices_are_not_locked() -> None:
    (message,) = composed([launch(amounts=Amounts(64_000, 900 * GIB), devices=("PRETEND-x-0",), gpu_milli=1000)])
    (template,) = message["templates"].values()
    assert (template["cpu_milli"], template["memory_bytes"]) == (4000, 8 * GIB)
    (task,) = message["tasks"]
    assert "devices" not in task
    assert task["env"]["CUDA_VISIBLE_DEVICES"] == "PRETEND-x-0"


def test_real_devices_are_locked() -> None:
    (message,) = composed([launch(devices=("GPU-a",), gpu_milli=1000)])
    assert message["tasks"][0]["devices"] == ["GPU-a"]


def test_who_takes_over_a_room_says_whose_and_how_long_it_waits() -> None:
    own, first, second = composed([launch(1), launch(2, room=2, wait_ms=100), launch(3, room=2, wait_ms=100)])[0]["tasks"]
    assert "room" not in own
    assert [(task["room"], task["wait_ms"]) for task in (first, second)] == [(2, 100), (2, 100)]


def test_output_goes_to_its_files() -> None:
    both, one, none = composed([launch(1, stdout="/o", stderr="/e"), launch(2, stdout="/o", stderr="/o"), launch(3)])[0]["tasks"]
    assert (both["stdout"], both["stderr"]) == ("/o", "/e")
    assert "stderr" not in one
    assert none["stdout"] == "/dev/null"


def test_names_that_are_no_utf8_survive() -> None:
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    (message,) = composed([launch(spec=replace(SPEC, env={"NAME": odd}, argv=("echo", odd)))])
    (template,) = message["templates"].values()
    assert template["env"]["NAME"] == template["argv"][1] == odd
