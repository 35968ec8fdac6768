"""How long a command takes from the shell, with ten thousand jobs in the store, beside an interpreter that does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench import meter
from bench.installation import Installation
from tenure.client.requests import build_request
from tenure.client.session import new_key

BATCH = 500


def fill(tenure: Installation, jobs: int) -> None:
    """Half of the jobs wait for a person, half have ended."""
    tenure.client.submit(["/bin/true"], array=f"0-{jobs // 2 - 1}", cpus=0.1)
    tenure.until_idle()
    for first in range(0, jobs // 2, BATCH):
        count = min(BATCH, jobs // 2 - first)
        tenure.client.submit_many([build_request(["/bin/true"], key=new_key(), name="waits", hold=True) for _ in range(count)])


def wall_ms(command: list[str], environment: dict[str, str]) -> float:
    """Wall time of one run; its output is thrown away. Raises CalledProcessError when it fails."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    jobs, rounds = (100, 3) if given.quick else (10_000, 20)
    program = str(Path(sys.executable).with_name("tenure"))
    commands = {
        "python -c pass, the limit": [sys.executable, "-c", "pass"],
        "tenure --help": [program, "--help"],
        f"tenure ps, {jobs} jobs": [program, "ps"],
        f"tenure ps -o json, {jobs} jobs": [program, "ps", "-o", "json"],
        "tenure show 1": [program, "show", "1"],
        "tenure status": [program, "status"],
    }
    chosen = {name: command for name, command in commands.items() if given.only in name}
    with Installation() as tenure:
        fill(tenure, jobs)
        environment = {**os.environ, "TENURE_HOME": tenure.home}
        found: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(rounds + 1):
            for name, command in chosen.items():
                found[name].append(wall_ms(command, environment))
    meter.report([meter.latency_summary(name, samples[1:]) for name, samples in found.items()], given.json)


if __name__ == "__main__":
    main()
