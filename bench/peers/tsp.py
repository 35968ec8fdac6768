"""task-spooler (Debian's ``tsp``): a queue in the memory of one server process; not durable."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

SLOTS = "2"


class TaskSpooler:
    """A server of its own. Raises FileNotFoundError when it is not installed."""

    name = "task-spooler, not durable"

    def __init__(self, folder: Path) -> None:
        program = shutil.which("tsp")
        if program is None:
            raise FileNotFoundError("tsp is not installed (apt-get install task-spooler)")
        self._program = program
        self._environment = {**os.environ, "TS_SOCKET": str(folder / "tsp.sock"), "TMPDIR": str(folder), "TS_MAXFINISHED": "20000"}
        self._call("-S", SLOTS)

    def _call(self, *words: str) -> str:
        done = subprocess.run([self._program, *words], env=self._environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def submit(self, command: list[str]) -> None:
        """Queue one command, its output thrown away."""
        self._call("-n", *command)

    def run(self, count: int) -> None:
        """Queue so many no-ops and return when all have ended."""
        for _ in range(count):
            self.submit(["/bin/true"])
        self._call("-w")  # the one that was queued last; the others end at about the same time
        while self._call("-l").count("finished") < count:
            time.sleep(0.01)
        self._call("-C")

    def close(self) -> None:
        """End the server."""
        self._call("-K")
