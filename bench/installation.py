"""A throw-away Tenure for a benchmark: its own home, settings and daemon, driven through the client alone.

Its daemon ends with it, its folder with the benchmark: ext4 gives no number of a file that was deleted in the last 35 seconds to a
new one and looks through all of them for each new log, so that thousands of deleted logs make the next case pay more for a log than
for the rest of the job. For the same reason, leave a minute between two runs.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
import time
from types import TracebackType

from tenure.client import connect
from tenure.client.session import Client
from tenure.wire.dto import Selection

PATIENCE_S = 900.0


class Installation:
    """A running daemon and a connection to it. ``cgroups`` is auto or off; ``settings`` is more of ``config.toml``."""

    def __init__(self, cgroups: str = "auto", warm_up: int = 20, settings: str = "") -> None:
        folder = tempfile.mkdtemp(prefix="tenure-bench-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.home = os.path.join(folder, "h")
        os.mkdir(self.home, 0o700)
        with open(os.path.join(self.home, "config.toml"), "w") as file:
            file.write(f'[node]\ncgroups = "{cgroups}"\n{settings}')
        self.client: Client = connect(self.home)
        self._pids = self.pids()
        if warm_up:
            self.client.submit(["/bin/true"], array=f"0-{warm_up - 1}")
            self.until_idle()

    def pids(self) -> list[int]:
        """The daemon and its supervisor."""
        status = self.client.admin.status()
        return [pid for pid in (status.pid, status.supervisor_pid) if pid]

    def until_idle(self) -> None:
        """Return when no job is active. Raises TimeoutError, or RuntimeError when a job did not succeed."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            active = self.client.jobs(Selection(states=["active"], limit=1)).jobs
            if not active:
                break
            self.client.wait(active[0].id, timeout_s=30)
        else:
            raise TimeoutError("jobs are still active")
        counts = self.client.jobs(Selection(states=["all"], limit=1)).counts
        if set(counts) - {"succeeded"}:
            raise RuntimeError(f"not all jobs succeeded: {counts}")

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(Exception):
            self.client.act("cancel", Selection(states=["active"]))
            self._pids = self.pids()
            self.client.admin.down()
        self.client.close()
        for pid in self._pids:
            _end(pid)


def _end(pid: int, patience_s: float = 10.0) -> None:
    """End a process and return when it is gone."""
    deadline = time.monotonic() + patience_s
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while _lives(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.02)


def _lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def memory_mb(pid: int) -> tuple[float, float]:
    """Proportional and resident set size in MB. In the first, shared pages count in part, so that sums over processes are honest; it
    falls when others on the machine map the same files, so the second is the figure to compare between runs."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        kilobytes = {line.split()[0]: int(line.split()[1]) for line in file if line.startswith(("Pss:", "Rss:"))}
    return kilobytes["Pss:"] / 1000, kilobytes["Rss:"] / 1000


def cpu_s(pid: int) -> float:
    """Cpu seconds of all threads of a process so far, to the nanosecond where the kernel counts them."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9
