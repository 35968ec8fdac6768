"""What nothing can beat: starting processes without any queue."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


def xargs(count: int) -> None:
    """So many no-ops by ``xargs -P2``: no queue, no record, no limits."""
    subprocess.run(["xargs", "-P2", "-n1", "/bin/true"], input="\n".join(map(str, range(count))), text=True, check=True)


def spawn(command: list[str]) -> None:
    """One process by posix_spawn, waited for."""
    os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)


def durable_writes_ms(folder: Path, samples: int, pause_s: float = 0.02) -> list[float]:
    """What the disk takes to keep one page for good: no durable queue answers sooner than this, on this disk, in this minute."""
    found = []
    fd = os.open(folder / "page", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(samples):
            os.pwrite(fd, os.urandom(4096), 0)
            before = time.monotonic_ns()
            os.fdatasync(fd)
            found.append((time.monotonic_ns() - before) / 1e6)
            time.sleep(pause_s)
    finally:
        os.close(fd)
    return found
