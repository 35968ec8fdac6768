"""A job that may be stopped at any time and goes on where it was: a walk that writes down where it is.

Run it with `tenure submit --grace 30s -- python examples/checkpoints.py`, and `tenure requeue last` while it runs. Without Tenure
it does the same, and begins at 0.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import tenure


def save(path: Path, step: int) -> None:
    """Write a checkpoint, whole or not at all, and say so."""
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps({"step": step}))
    os.replace(beside, path)
    tenure.checkpointed(str(path))


def main() -> None:
    """Walk."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each step")
    options = parser.parse_args()
    tenure.should_preempt()  # from here on TERM is noted, and this program ends by itself
    found = tenure.last_checkpoint()
    step = json.loads(Path(found).read_text())["step"] if found else 0
    print(f"goes on from step {step}" if found else "begins", flush=True)
    path = Path(f"walk-{os.environ.get('TENURE_JOB_ID', 'alone')}.json")
    while step < options.steps:
        time.sleep(options.seconds)
        step += 1
        if tenure.should_preempt():
            save(path, step)
            print(f"makes room at step {step}", flush=True)
            return
        if step % 4 == 0:
            save(path, step)
    print(f"done after {step} steps", flush=True)
    path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
