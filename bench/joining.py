"""What stepping into a control group and back costs, by the file it is done through: why the supervisor uses ``tasks`` on version 1.

``python -m bench.joining [--json] [--quick] [--only NAME]``. One thread of this process joins a group of the memory controller and
leaves it again, at rest (50 ms between two tries) and without a pause. Needs the right to create groups below its own, in a version 1
hierarchy or in the unified one; without it there is no row and a line that says so.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import meter

V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")
MYSELF = b"0"
REST_S = 0.05


@contextmanager
def group(root: Path) -> Iterator[Path]:
    """An empty group of this process's own, removed at the end."""
    found = root / f"tenure-bench-{os.getpid()}"
    found.mkdir()
    try:
        yield found
    finally:
        found.rmdir()


def own(root: Path) -> Path:
    """The group that this process stands in now, and goes back to."""
    controller = "memory" if root == V1 else ""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == controller:
            return root / path.lstrip("/")
    return root


def stepping(inside: Path, outside: Path) -> Callable[[], None]:
    """Join the group and leave it, through these two files."""

    def step() -> None:
        inside.write_bytes(MYSELF)
        outside.write_bytes(MYSELF)

    return step


def took_ms(step: Callable[[], None], times: int, rest_s: float) -> list[float]:
    """How long each of so many steps took."""
    found = []
    for _ in range(times):
        time.sleep(rest_s)
        began = time.perf_counter()
        step()
        found.append(1000 * (time.perf_counter() - began))
    return found


def main() -> int:
    """Measure and print."""
    given = meter.arguments(__doc__)
    root, files = (V1, ("tasks", "cgroup.procs")) if V1.is_dir() else (V2, ("cgroup.procs",))
    times = 5 if given.quick else 100
    rows = []
    try:
        home = own(root)
        with group(home) as found:
            for name in files:
                step = stepping(found / name, home / name)
                for word, rest_s in (("at rest", REST_S), ("no pause", 0.0)):
                    case = f"{name}, {word}"
                    if given.only in case:
                        rows.append(meter.latency_summary(case, took_ms(step, times, rest_s)))
    except OSError as error:
        meter.note(f"no group can be joined here: {error}")
    meter.report(rows, given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
