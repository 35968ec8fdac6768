"""What the published logs hold, one line each: a check that they are read whole, and how long reading them takes.

``TENURE_TRACES=FOLDER python -m bench.traces [--json] [--quick] [--only NAME]``. Reads every log in the folder that
`tenure.sim.formats` recognises: jobs, records skipped by reason, nodes, span in days, offered load (of cpu or GPUs, whichever is
shorter), wall and cpu seconds. An openb pod list is read with the list of nodes beside it. Nothing is simulated. Without the variable
it says so and reads nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from tenure.model.node import Node
from tenure.sim.formats import detect, load
from tenure.sim.machines import parse_nodes
from tenure.sim.workload import BadWorkload, Workload, offered_load, span_ms

DAY_MS = 86_400_000
SUFFIXES = (".swf", ".swf.gz", ".csv", ".csv.gz")


def logs(folder: Path) -> list[Path]:
    """The files that may be logs, by path."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name.endswith(SUFFIXES))


def lists_nodes(path: Path) -> bool:
    """Whether the file lists machines instead of jobs."""
    return "node_list" in path.name or "machine_list" in path.name


def nodes_beside(path: Path) -> tuple[Node, ...]:
    """The nodes of the list in the same folder, for a log that says nothing of machines."""
    found = [other for other in logs(path.parent) if lists_nodes(other)]
    return parse_nodes(str(found[0])) if found else ()


def row(path: Path, workload: Workload, wall_s: float, cpu_s: float) -> dict[str, object]:
    """One line of the report."""
    return {
        "log": path.name,
        "jobs": len(workload.jobs),
        "skipped": workload.skipped,
        "nodes": len(workload.nodes),
        "shapes": len({job.shape for job in workload.jobs}),
        "span_days": round(span_ms(workload) / DAY_MS, 2),
        "load": round(offered_load(workload), 3),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
    }


def measure(path: Path) -> dict[str, object]:
    """Read one log and say what it holds, or why it cannot be read."""
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        nodes = nodes_beside(path) if detect(str(path)) == "openb" else ()
        workload = load(str(path), nodes=nodes)
    except BadWorkload as error:
        return {"log": path.name, "refused": str(error)}
    return row(path, workload, time.perf_counter() - wall, time.process_time() - cpu)


def main(arguments: list[str] | None = None) -> int:
    """Print one line per log; 1 when there is no folder or a log was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--quick", action="store_true", help="the three smallest logs")
    parser.add_argument("--only", default="", help="logs whose name contains this")
    given = parser.parse_args(arguments)
    folder = Path(os.environ.get("TENURE_TRACES", ""))
    if not os.environ.get("TENURE_TRACES") or not folder.is_dir():
        sys.stderr.write("TENURE_TRACES names no folder of published logs; set it (docs/reference/workloads.md says where they are)\n")
        return 1
    found = [path for path in logs(folder) if given.only in path.name and not lists_nodes(path)]
    if given.quick:
        found = sorted(found, key=lambda path: (path.stat().st_size, path.name))[:3]
    refused = False
    for path in found:
        told = measure(path)
        refused = refused or "refused" in told
        print(json.dumps(told) if given.json else "  ".join(f"{key} {value}" for key, value in told.items()), flush=True)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
