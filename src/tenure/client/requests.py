"""From what a caller writes to what travels: submissions.

The command line and the SDK build their requests here, so that both take the same words. Invariant: the request of one submission is
complete; nothing in it depends on when or where it is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tenure.client import words
from tenure.client.environment import capture, origin
from tenure.client.errors import usage
from tenure.wire.dto import AfterRef, SubmitRequest
from tenure.wire.ids import parse_indices

_NAME_LENGTH = 200
STATUS = "/proc/self/status"
"""Where Linux tells a process of itself."""
PREFER_WAIT = "5m"
"""How long a job may be held back for the place it prefers, unless it says so itself."""
_INTERPRETERS = frozenset(
    {"python", "pypy", "bash", "sh", "zsh", "dash", "ruby", "perl", "node", "julia", "Rscript", "torchrun", "uv", "env"}
)


def build_request(
    command: Sequence[str],
    *,
    key: str,
    name: str = "",
    cpus: str | float = 1,
    memory: str | int = 0,
    storage: str | int = 0,
    bandwidth: str | int = 0,
    gpus: str | float = 0,
    gpu_memory: str | int = 0,
    gpu_model: str = "",
    tasks: int = 1,
    nodes: int = 0,
    labels: Sequence[str] = (),
    app: str = "",
    max_per_node: int = 0,
    prefer: Sequence[str] = (),
    prefer_wait: str | float | None = None,
    work_class: str = "",
    time: str | float | None = None,
    grace: str | float | None = None,
    priority: str | int = 5,
    project: str = "default",
    queue: str = "default",
    after: str | int | Sequence[AfterRef] = (),
    array: str = "",
    retries: int = 0,
    deadline: str = "",
    begin: str = "",
    hold: bool = False,
    group: str = "",
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
    cwd: str = "",
    submit_dir: str = "",
    stdout: str = "",
    stderr: str = "",
    script: str = "",
) -> SubmitRequest:
    """A submission from words: ``cpus=0.5, memory="8G", gpus="a100:2", time="2h", after="12:ok", array="0-99%8"``.

    A number for ``memory`` is bytes, for ``bandwidth`` bits per second, for ``time`` seconds. ``env`` is added to the present
    environment (``inherit``), less what belongs to the session. ``max_per_node`` counts the tasks of jobs of the same ``app``, the
    name unless given. ``prefer`` names labels that the nodes should have, and ``nvlink`` for GPUs of one group. ``work_class`` is
    inference, training, compute, graphics or general where nodes are pooled; empty: as what is asked for looks.
    Raises `BadRequest` with one sentence for what cannot be read.
    """
    if not command or isinstance(command, str):
        raise usage("there is no command to run", 'write it as a list: submit(["python", "train.py"])')
    if array:
        check_array(array)
    request = SubmitRequest(argv=list(command), cwd=os.path.abspath(cwd) if cwd else os.getcwd(), key=key)
    request.name, request.script, request.group = name or default_name(command), script, group
    request.project, request.queue, request.priority = project, queue, words.priority_of(priority)
    request.array, request.retries, request.hold = array, retries, hold
    request.after = words.after_of(str(after)) if isinstance(after, str | int) else list(after)
    request.tasks, request.nodes, request.labels = tasks, nodes, list(labels)
    _set_amounts(request, cpus, memory, storage, words.gpus_of(gpus) if gpus else words.Gpus(0), gpu_memory)
    request.bandwidth_bps = words.bits_of(bandwidth)
    request.gpu_model = gpu_model or request.gpu_model
    request.app, request.max_per_node = app or (request.name if max_per_node else ""), max_per_node
    request.prefer, request.work_class = list(prefer), work_class
    if prefer or prefer_wait is not None:
        request.prefer_wait_ms = words.span_of(PREFER_WAIT if prefer_wait is None else prefer_wait)
    _set_times(request, time, grace, deadline, begin)
    _set_surroundings(request, env, inherit, submit_dir)
    request.stdout, request.stderr = stdout, stderr
    return request


def _set_amounts(
    request: SubmitRequest, cpus: str | float, memory: str | int, storage: str | int, gpus: words.Gpus, gpu_memory: str | int
) -> None:
    request.cpu_milli = words.milli_of(cpus)
    request.memory_bytes = words.bytes_of(memory)
    request.storage_bytes = words.bytes_of(storage)
    request.gpu_milli, request.gpu_model = gpus
    request.gpu_memory_bytes = words.bytes_of(gpu_memory)


def _set_times(request: SubmitRequest, time: str | float | None, grace: str | float | None, deadline: str, begin: str) -> None:
    """What is not given keeps the default of the wire."""
    if time is not None:
        request.limit_ms = words.limit_of(time)
    if grace is not None:
        request.grace_ms = words.span_of(grace)
    if deadline:
        request.deadline_ms = words.moment_of(deadline)
    if begin:
        request.not_before_ms = words.moment_of(begin)


def _set_surroundings(request: SubmitRequest, env: Mapping[str, str] | None, inherit: bool, submit_dir: str) -> None:
    """The environment, the mask and the origin that the job is submitted with."""
    environment = capture() if inherit else {}
    request.env = {**environment, **env} if env else environment
    request.umask = _umask(request.umask)
    request.submit_dir = submit_dir
    request.origin = origin(submit_dir or request.cwd)


def default_name(command: Sequence[str]) -> str:
    """The program's file name; for an interpreter that of the script or module it runs."""
    program = os.path.basename(command[0])
    if program.rstrip("0123456789.") in _INTERPRETERS:
        for before, word in pairwise(command):
            if before == "-m" or (not word.startswith("-") and before != "-c" and ("." in word or "/" in word)):
                return os.path.basename(word)[:_NAME_LENGTH]
            if word == "-c":
                break
    return program[:_NAME_LENGTH]


def check_array(text: str) -> None:
    """Raise `BadRequest` when ``text`` is not an index list such as ``0-99%8``."""
    try:
        parse_indices(text)
    except ValueError as error:
        raise usage(str(error)) from error


def _umask(unknown: int) -> int:
    """This process's umask as the kernel tells it, ``unknown`` where it tells nothing. To learn it by setting it would give the files
    that other threads make meanwhile another mode, and two threads at it at once could leave the process with the wrong one."""
    try:
        with open(STATUS, "rb") as status:
            found = re.search(rb"^Umask:\s*([0-7]+)$", status.read(), re.MULTILINE)
    except OSError:
        return unknown
    return int(found[1], 8) if found else unknown
