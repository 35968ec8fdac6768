"""``#SBATCH`` headers of a script, read with the table of options.

Slurm counts some amounts for the whole job or per node where Tenure counts per task; they are converted where the division is exact
and refused where it is not. Invariant: every option in the headers is honoured or refused by its name and line; none is skipped.
"""

from __future__ import annotations

import shlex
from typing import Any

from tenure.cli.submit_table import HEADER_ONLY, REFUSED, TABLE, Opt
from tenure.client.errors import BadRequest, usage
from tenure.client.words import gpus_of, milli_of
from tenure.model.amounts import format_milli, is_whole, parse_bytes

_MARK = "#SBATCH"


def _by_flag() -> dict[str, Opt]:
    """Options by their spelling in a header; a spelling that belongs to scripts wins over one of the command line."""
    found = {flag: opt for opt in (*TABLE, *HEADER_ONLY) for flag in opt.flags}
    found.update({flag: opt for opt in TABLE for flag in opt.header})
    return found


def read_headers(text: str) -> dict[str, Any]:
    """The options in a script's headers: the ``#SBATCH`` lines before its first command. Raises `BadRequest` naming the line."""
    given: dict[str, Any] = {}
    flags = _by_flag()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_MARK) and line[len(_MARK) : len(_MARK) + 1].isspace():
            try:
                _read_line(line[len(_MARK) :], flags, given)
            except BadRequest as error:
                raise usage(f"line {number}: {error.message}", error.remedy) from error
        elif line.strip() and not line.startswith("#"):
            break
    return per_task(given)


def _read_line(text: str, flags: dict[str, Opt], given: dict[str, Any]) -> None:
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise usage(f"the quotes in {text.strip()!r} do not match") from error
    while words:
        flag, value = _split(words.pop(0))
        opt = flags.get(flag)
        if flag in REFUSED or opt is None:
            raise usage(f"the option {flag} is not honoured by Tenure", REFUSED.get(flag, "delete it from the script"))
        if opt.kind == "flag":
            if value:
                raise usage(f"the option {flag} takes no value")
            given[opt.field] = True
            continue
        if value is None:
            if not words:
                raise usage(f"the option {flag} needs a value")
            value = words.pop(0)
        given[opt.field] = [*given.get(opt.field, []), value] if opt.kind == "many" else value


def _split(word: str) -> tuple[str, str | None]:
    """An option and its value where it is attached: ``--mem=8G``, ``-c4``, ``-c=4``."""
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        return flag, value if equals else None
    if not word.startswith("-") or len(word) < 2:
        raise usage(f"{word!r} is not an option")
    return word[:2], word[2:].removeprefix("=") or None


def per_task(given: dict[str, Any]) -> dict[str, Any]:
    """Amounts that Slurm counts per job, node, cpu or GPU as amounts per task."""
    found = dict(given)
    found.pop("no_requeue", None)
    nodes = _whole(found.get("nodes", "1"), "--nodes")
    each_node = found.pop("tasks_per_node", None)
    if each_node and "tasks" not in found:
        found["tasks"] = str(_whole(each_node, "--ntasks-per-node") * nodes)
    tasks = _whole(found.get("tasks", str(nodes)), "--ntasks")
    if nodes > 1:
        found["tasks"] = str(tasks)
    _gpus_per_task(found, tasks, nodes)
    _memory_per_task(found, tasks, nodes)
    return found


def _gpus_per_task(found: dict[str, Any], tasks: int, nodes: int) -> None:
    for_node = found.pop("gpus_per_node", None) or found.pop("gres", None)
    if for_node:
        found["gpus"] = _shared_out(str(for_node), nodes, tasks, "GPUs per node")
    elif tasks > 1 and "gpus" in found:
        found["gpus"] = _shared_out(str(found["gpus"]), 1, tasks, "--gpus")
    per_gpu = found.pop("cpus_per_gpu", None)
    if per_gpu:
        found["cpus"] = format_milli(milli_of(per_gpu) * gpus_of(found.get("gpus", "0")).milli // 1000)


def _shared_out(text: str, times: int, tasks: int, what: str) -> str:
    """So many GPUs, ``times`` over, dealt to the tasks."""
    if "," in text:
        raise usage(f"{what} {text!r}: only GPUs can be asked for", "delete what is not gpu:N")
    asked = gpus_of(text)
    total = asked.milli * times
    if total % tasks:
        raise usage(f"{what}: {text} cannot be dealt evenly to {tasks} tasks", "use --gpus-per-task")
    count = format_milli(total // tasks)
    return f"{asked.model}:{count}" if asked.model else count


def _memory_per_task(found: dict[str, Any], tasks: int, nodes: int) -> None:
    per_cpu, per_gpu = found.pop("memory_per_cpu", None), found.pop("memory_per_gpu", None)
    if per_cpu:
        found["memory"] = f"{_bytes(per_cpu) * milli_of(found.get('cpus', '1')) // 1000}B"
    elif per_gpu:
        found["memory"] = f"{_bytes(per_gpu) * gpus_of(found.get('gpus', '0')).milli // 1000}B"
    elif "memory" in found and tasks > nodes:
        found["memory"] = f"{_bytes(found['memory']) * nodes // tasks}B"


def _bytes(text: str) -> int:
    try:
        return parse_bytes(text, "m")
    except ValueError as error:
        raise usage(str(error)) from error


def _whole(text: str, flag: str) -> int:
    if not is_whole(text) or int(text) < 1:
        raise usage(f"{flag} takes a whole number, not {text!r}")
    return int(text)
