"""A lease acquired and given back, over the socket on one connection: how long a pair takes and costs, beside what it stands on.

The peer is huey's named lock on SQLite with fsync: a row that is put and deleted, which nobody frees when its holder dies. The limit is
`flock` on a file: a lock of one machine that counts nothing, survives nothing and waits for nobody. A lease is a durable write for
the grant and one for the release, so the disk's part is shown as well. Cpu is that of client, daemon and supervisor together, not of
the machine: a lease starts no process that could hide.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import meter
from bench.installation import Installation, cpu_s
from bench.peers import floor
from tenure.client.lease_words import lease_request
from tenure.client.session import Client

HUEY = "huey lock, SQLite with fsync"
DISK = "one page made durable, the disk's part"


def lease_pair(client: Client) -> None:
    """Acquire one cpu and give it back."""
    request = lease_request(cpus=1, ttl="1m", purpose=["bench"])
    client.leases.release(client.leases.ask(request).number, request.token)


def flock_pair(path: str) -> None:
    """Lock a file and let it go."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    os.close(fd)


def huey_pair(folder: Path) -> Callable[[], None]:
    """Take one lock of huey's and give it back. Raises ImportError when huey is not installed."""
    queue = import_module("huey").SqliteHuey(filename=str(folder / "huey.db"), fsync=True)

    def pair() -> None:
        with queue.lock_task("bench"):
            pass

    return pair


def measured(name: str, pair: Callable[[], None], samples: int, pids: Sequence[int]) -> dict[str, Any]:
    """Latencies of so many pairs, one after the other, and the cpu of these processes for each."""
    pair()
    found = []
    before = [cpu_s(pid) for pid in pids]
    for _ in range(samples):
        began = time.perf_counter()
        pair()
        found.append((time.perf_counter() - began) * 1000)
    spent = [1000 * (cpu_s(pid) - cpu) / samples for pid, cpu in zip(pids, before, strict=True)]
    return {**meter.latency_summary(name, found), "cpu_ms": round(sum(spent), 3), "each": "/".join(f"{ms:.2f}" for ms in spent)}


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    samples = 20 if given.quick else 500
    rows = []
    with tempfile.TemporaryDirectory(prefix="tenure-bench-") as folder:
        if given.only in "tenure lease":
            with Installation("off") as tenure:
                rows.append(measured("tenure lease", lambda: lease_pair(tenure.client), samples, [os.getpid(), *tenure.pids()]))
        if given.only in HUEY:
            try:
                rows.append(measured(HUEY, huey_pair(Path(folder)), samples, [os.getpid()]))
            except ImportError as error:
                meter.note(f"{HUEY}: left out: {error}")
        if given.only in "flock, the limit":
            rows.append(measured("flock, the limit", lambda: flock_pair(str(Path(folder) / "lock")), samples, [os.getpid()]))
        if given.only in DISK:
            rows.append(meter.latency_summary(DISK, floor.durable_writes_ms(Path(folder), samples)))
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
