"""From launches to the supervisor's messages: what tasks have in common is sent once, what differs is a short line.

The environment of a task is the submitter's, less what a surrounding job left there, plus what says where and what it is. Tenure's
names start with TENURE_; Slurm's are added where they mean the same. Those by which libraries conclude that a launcher like srun
started one process per rank (SLURM_NTASKS, SLURM_PROCID and their kin) are set for gangs only, where that is so.

Invariant: CUDA_VISIBLE_DEVICES is always set: to the UUIDs that the task holds, or empty, so that a job which asked for no GPU does
not touch one that somebody else holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tenure.executors.local.accounts import Account
from tenure.model.amounts import MIB, MILLI, Amounts, format_milli
from tenure.model.observations import Launch
from tenure.wire.ids import format_id

TEMPLATES_KEPT = 128
"""Templates we count on the supervisor to remember; it keeps twice as many."""

MESSAGE_BYTES = 4 * MIB
"""A message is sent off once it is this large; the supervisor refuses four times as much."""

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Of a job whose submitter sent none."""

Key = tuple[int, int]

OWN_NAMES = frozenset(
    (
        *(f"TENURE_{name}" for name in ("JOB_ID", "JOB", "ATTEMPT", "TASK", "TASKS", "NODE", "NODES", "ARRAY_ID", "ARRAY_INDEX")),
        *(f"TENURE_{name}" for name in ("CPUS", "MEMORY_BYTES", "GPUS", "GPU_MEMORY_BYTES", "SUBMIT_DIR", "HOME", "TASK_TAG")),
        "TENURE_METRICS_FILE",
        "TENURE_CHECKPOINT_FILE",
        *(f"SLURM_{name}" for name in ("JOB_ID", "JOBID", "JOB_NAME", "ARRAY_JOB_ID", "ARRAY_TASK_ID", "CPUS_PER_TASK")),
        *(f"SLURM_{name}" for name in ("SUBMIT_DIR", "RESTART_COUNT", "NTASKS", "NPROCS", "PROCID", "LOCALID", "NODEID", "NNODES")),
        *(f"SLURM_{name}" for name in ("JOB_NUM_NODES", "JOB_NODELIST", "NODELIST")),
        "SLURMD_NODENAME",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_DEVICE_ORDER",
    )
)
"""Never taken over from the submitter: a job submitted by a job would inherit the other one's identity."""


_OF_PROGRAMS = frozenset(f"TENURE_{name}" for name in ("ATTEMPT", "TASK", "TASKS", "NODES", "SUBMIT_DIR"))


class Message:
    """One launch request: its bytes and which tasks it starts."""

    __slots__ = ("launches", "line")

    def __init__(self, line: bytes, launches: list[Launch]) -> None:
        self.line = line
        self.launches = launches


class Composer:
    """Writes messages for one connection. ``limits`` bounds what a node may enforce (pretend nodes are larger than the machine).

    ``unlocked`` names devices that exist in the settings only: they are shown to the task, and nobody locks them. With ``accounts``
    each task runs as whose job it is; otherwise as the supervisor's own user.
    """

    def __init__(
        self,
        home: str,
        limits: Amounts,
        unlocked: frozenset[str] = frozenset(),
        accounts: Callable[[int], Account | None] | None = None,
    ) -> None:
        self._accounts = accounts
        self._home = home
        self._limits = limits
        self._unlocked = unlocked
        self._templates: dict[tuple[Any, ...], tuple[str, tuple[str, ...]]] = {}  # oldest first, as the supervisor drops them
        self._seen: dict[int, tuple[dict[str, str], frozenset[tuple[str, str]]]] = {}
        self._names = 0

    def messages(self, batch: Sequence[Launch], next_id: Callable[[], int]) -> Iterator[tuple[int, Message]]:
        """Requests with their ids for tasks of one fence, in order."""
        templates: list[bytes] = []
        tasks: list[bytes] = []
        members: list[Launch] = []
        size = fresh = 0
        for launch in batch:
            key = self._key(launch)
            entry = self._templates.get(key)
            if entry is None:
                entry, raw = self._interned(key, launch)
                templates.append(raw)
                size += len(raw)
                fresh += 1
            line = _encoded(self._task(launch, *entry))
            tasks.append(line)
            members.append(launch)
            size += len(line)
            if size > MESSAGE_BYTES or fresh >= TEMPLATES_KEPT:
                yield self._message(next_id(), templates, tasks, members)
                templates, tasks, members, size, fresh = [], [], [], 0, 0
        if tasks:
            yield self._message(next_id(), templates, tasks, members)

    def forget(self) -> None:
        """The other side knows no templates (any more)."""
        self._templates.clear()
        self._seen.clear()

    def _message(self, number: int, templates: list[bytes], tasks: list[bytes], members: list[Launch]) -> tuple[int, Message]:
        line = b'{"op":"launch","id":%d,"quiet":true,"fence":%d,"templates":{%s},"tasks":[%s]}\n' % (
            number,
            members[0].fence,
            b",".join(templates),
            b",".join(tasks),
        )
        return number, Message(line, members)

    def _key(self, launch: Launch) -> tuple[Any, ...]:
        """What a template depends on."""
        spec = launch.spec
        if spec.holder is not None:
            return (launch.limit_ms, launch.grace_ms)
        return (
            self._contents(spec.env),
            spec.cwd,
            spec.umask,
            spec.submit_dir,
            launch.node,
            launch.name,
            launch.amounts,
            launch.tasks,
            launch.array_id,
            launch.gpu_milli,
            launch.gpu_memory_bytes,
            launch.limit_ms,
            launch.grace_ms,
            launch.peers,
            launch.uid,
        )

    def _contents(self, env: dict[str, str]) -> frozenset[tuple[str, str]]:
        """An environment as a key. Dear, so done once per dict; those of one submitter are mostly the same one."""
        known = self._seen.get(id(env))
        if known is not None:
            return known[1]
        if len(self._seen) >= TEMPLATES_KEPT:
            self._seen.clear()
        contents = frozenset(env.items())
        self._seen[id(env)] = (env, contents)  # kept alive, so that no other dict gets its id
        return contents

    def _interned(self, key: tuple[Any, ...], launch: Launch) -> tuple[tuple[str, tuple[str, ...]], bytes]:
        while len(self._templates) >= TEMPLATES_KEPT:
            del self._templates[next(iter(self._templates))]
        self._names += 1
        name = f"t{self._names}"
        if launch.spec.holder is not None:
            plain = {"time_limit_ms": launch.limit_ms, "grace_ms": launch.grace_ms}
            return self._kept(key, name, ()), b'"%s":%s' % (name.encode(), _encoded(plain))
        entry = self._kept(key, name, launch.spec.argv)
        template: dict[str, Any] = {
            "argv": launch.spec.argv,
            "env": shared_environment(launch, self._home),
            "cwd": launch.spec.cwd,
            "umask": launch.spec.umask,
            "time_limit_ms": launch.limit_ms,
            "grace_ms": launch.grace_ms,
            "cpu_milli": min(launch.amounts.cpu_milli, self._limits.cpu_milli),
            "memory_bytes": min(launch.amounts.memory_bytes, self._limits.memory_bytes),
        }
        if self._accounts is not None:
            template |= _as_account(template["env"], self._accounts(launch.uid))
        return entry, b'"%s":%s' % (name.encode(), _encoded(template))

    def _kept(self, key: tuple[Any, ...], name: str, argv: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        self._templates[key] = (name, argv)
        return self._templates[key]

    def _task(self, launch: Launch, template: str, argv: tuple[str, ...]) -> dict[str, Any]:
        task: dict[str, Any] = {"template": template, "attempt": launch.attempt_id, "task": launch.task}
        holder = launch.spec.holder
        if holder is None:
            self._describe(task, launch, argv)
            if self._accounts is not None and not launch.spec.stdout:
                task["own_log"] = True
            task["env"]["TENURE_METRICS_FILE"] = f"{self._home}/metrics/{launch.attempt_id}.{launch.task}"
            task["env"]["TENURE_CHECKPOINT_FILE"] = f"{self._home}/checkpoints/{launch.job_id}"
        else:
            task["holder"] = [holder.pid, holder.start_ticks]
        if launch.devices:
            locked = [uuid for uuid in launch.devices if uuid not in self._unlocked]
            if locked:
                task["devices"] = locked
        return task

    @staticmethod
    def _describe(task: dict[str, Any], launch: Launch, argv: tuple[str, ...]) -> None:
        """What is started, where its output goes, and in whose room."""
        task["stdout"], task["env"] = launch.stdout or "/dev/null", own_environment(launch)
        if launch.room:
            task["room"], task["wait_ms"] = launch.room, launch.wait_ms
        if launch.stderr and launch.stderr != launch.stdout:
            task["stderr"] = launch.stderr
        if launch.spec.argv != argv:
            task["argv"] = launch.spec.argv


def _as_account(env: dict[str, str], account: Account | None) -> dict[str, Any]:
    """As whom it runs, and the environment that says so; without an account the supervisor refuses it."""
    if account is None:
        return {"identity": []}
    return {"identity": [account.uid, account.gid, *account.groups], "env": {"PATH": DEFAULT_PATH, **env, **account.environment()}}


def environment_of(launch: Launch, home: str) -> dict[str, str]:
    """What the holder of a lease should have in his environment: as a job would, less what is about a program that is started."""
    env = {**shared_environment(launch, home), **own_environment(launch)}
    return {name: value for name, value in env.items() if not name.startswith("SLURM") and name not in _OF_PROGRAMS}


def shared_environment(launch: Launch, home: str) -> dict[str, str]:
    """The part of the environment that all tasks of a template have."""
    spec, amounts = launch.spec, launch.amounts
    cpus = amounts.cpu_milli // MILLI
    submit_dir = spec.submit_dir or spec.cwd
    env = {name: value for name, value in spec.env.items() if name not in OWN_NAMES}
    env.update(
        TENURE_HOME=home,
        TENURE_NODE=launch.node,
        TENURE_TASKS=str(launch.tasks),
        TENURE_NODES=",".join(launch.peers or (launch.node,)),
        TENURE_CPUS=format_milli(amounts.cpu_milli),
        TENURE_MEMORY_BYTES=str(amounts.memory_bytes),
        TENURE_GPUS=format_milli(launch.gpu_milli),
        TENURE_SUBMIT_DIR=submit_dir,
        CUDA_DEVICE_ORDER="PCI_BUS_ID",
        CUDA_VISIBLE_DEVICES="",
        SLURM_JOB_NAME=launch.name,
        SLURM_SUBMIT_DIR=submit_dir,
        SLURMD_NODENAME=launch.node,
    )
    if launch.gpu_memory_bytes:
        env["TENURE_GPU_MEMORY_BYTES"] = str(launch.gpu_memory_bytes)
    if cpus >= 1:
        env["SLURM_CPUS_PER_TASK"] = str(cpus)
        env.setdefault("OMP_NUM_THREADS", str(cpus))
    if launch.array_id:
        env["TENURE_ARRAY_ID"] = env["SLURM_ARRAY_JOB_ID"] = str(launch.array_id)
    if launch.tasks > 1:
        env.update(_gang_environment(launch))
    return env


def own_environment(launch: Launch) -> dict[str, str]:
    """The part of the environment that is a task's own."""
    job, task = str(launch.job_id), str(launch.task)
    env = {
        "TENURE_JOB_ID": job,
        "TENURE_JOB": format_id(launch.job_id, launch.array_id, launch.array_index),
        "TENURE_ATTEMPT": str(launch.attempt_number),
        "TENURE_TASK": task,
        "SLURM_JOB_ID": job,
    }
    if launch.array_id:
        env["TENURE_ARRAY_INDEX"] = env["SLURM_ARRAY_TASK_ID"] = str(launch.array_index)
    if launch.attempt_number > 1:
        env["SLURM_RESTART_COUNT"] = str(launch.attempt_number - 1)
    if launch.devices:
        env["CUDA_VISIBLE_DEVICES"] = ",".join(launch.devices)
    if launch.tasks > 1:
        env["SLURM_PROCID"] = task
        env["SLURM_LOCALID"] = str(launch.peers[: launch.task].count(launch.node))
        env["SLURM_NODEID"] = str(_distinct(launch.peers).index(launch.node) if launch.node in launch.peers else 0)
    return env


def _gang_environment(launch: Launch) -> Mapping[str, str]:
    nodes = _distinct(launch.peers or (launch.node,))
    return {
        "SLURM_NTASKS": str(launch.tasks),
        "SLURM_NPROCS": str(launch.tasks),
        "SLURM_NNODES": str(len(nodes)),
        "SLURM_JOB_NUM_NODES": str(len(nodes)),
        "SLURM_JOB_NODELIST": ",".join(nodes),
    }


def _distinct(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


_encode = msgspec.json.Encoder().encode


def _encoded(value: dict[str, Any]) -> bytes:
    """As JSON. Bytes that are no UTF-8 (they come as lone surrogates) need the slower way, which can write them."""
    try:
        return _encode(value)
    except (UnicodeEncodeError, ValueError):
        return json.dumps(value, separators=(",", ":")).encode()
