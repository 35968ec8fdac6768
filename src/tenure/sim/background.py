"""A simulation in a process of its own: what is asked for on standard input, progress and the result on standard output, as JSON.

Why a process: a replay takes the interpreter for minutes, and memory as its workload likes. It bounds itself before it reads anything:
processor time, memory, open files, and its turn comes after everybody else's. Invariant: it reads no file but the trace that it was
given, which is written into a folder that is removed; it ends with whoever started it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from tenure.policies.words import BadPolicy
from tenure.sim.workload import BadWorkload, Workload

CPU_S = 600
MEMORY_BYTES = 4 * 1024**3
FILES = 64
NICE = 10


def main() -> int:
    """Replay what standard input says."""
    parent = os.getppid()
    os.nice(NICE)
    for kind, most in ((resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_NOFILE, FILES)):
        resource.setrlimit(kind, (most, most))
    wish = json.loads(sys.stdin.read())

    def told(policy: str, done: int, total: int) -> None:
        if os.getppid() != parent:
            os._exit(1)  # nobody is left to hear of it
        _say({"policy": policy, "done": done, "total": total})

    try:
        _say({"result": replayed(wish, told)})
    except BadPolicy as error:
        _say({"code": "unknown_policy", "text": str(error)})
    except BadWorkload as error:
        _say({"code": "bad_request", "text": str(error)})
    except MemoryError:
        _say({"code": "too_large", "text": f"it takes more than {MEMORY_BYTES // 1024**3}G of memory; simulate fewer jobs or nodes"})
    return 0


def replayed(wish: dict[str, Any], told: Any) -> dict[str, Any]:
    """The figures of every policy. Raises BadPolicy or BadWorkload."""
    from tenure.sim.compare import compare, summary_of
    from tenure.sim.machines import lots_of
    from tenure.sim.replay import Rules

    rules = Rules(lots=lots_of("name", wish["seed"]), seed=wish["seed"])
    results = compare(_workload(wish), wish["policies"], wish["runtimes"], rules, told)
    return summary_of(results, seed=wish["seed"])


def _workload(wish: dict[str, Any]) -> Workload:
    from tenure.sim.traces import Source, generated, open_trace

    source = Source(wish["format"], wish["nodes"], seed=wish["seed"], limit=wish["limit"])
    if wish["generate"]:
        return generated(wish["generate"], source)
    with tempfile.TemporaryDirectory(prefix="tenure-simulation-") as folder:
        os.chdir(folder)
        Path("trace").write_text(wish["trace"], encoding="utf-8")
        try:
            return open_trace("trace", source)
        finally:
            os.chdir("/")


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
