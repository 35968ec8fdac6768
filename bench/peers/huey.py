"""huey on SQLite with fsync and results, two threads: the lightest durable queue that pip installs without a server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import import_module, reload
from pathlib import Path
from typing import Any

POLL_S = "0.01"


class Huey:
    """A consumer of its own, polling as fast as it sensibly may. Raises ImportError when huey is not installed."""

    name = "huey, SQLite with fsync, 2 threads"

    def __init__(self, folder: Path) -> None:
        os.environ["HUEY_FILE"] = str(folder / "huey.db")
        self._app = reload(import_module("bench.peers.huey_app"))  # anew, for it reads where its file is
        consumer = Path(sys.executable).with_name("huey_consumer")
        self._consumer = subprocess.Popen(
            [consumer, "bench.peers.huey_app.queue", "-w", "2", "-k", "thread", "-d", POLL_S, "-m", "0.05", "-b", "1", "-q"],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.submit(["/bin/true"]).get(blocking=True, timeout=30)

    def submit(self, command: list[str]) -> Any:
        """Queue one command; what its result can be read from."""
        return self._app.run(command)

    def run(self, count: int) -> None:
        """Queue so many no-ops and return when the last has its result."""
        results = [self.submit(["/bin/true"]) for _ in range(count)]
        deadline = time.monotonic() + 300
        while self._app.queue.result_count() < count:
            if time.monotonic() > deadline:
                raise TimeoutError("huey did not finish")
            time.sleep(0.02)
        if any(result.get() != 0 for result in results):
            raise RuntimeError("a job failed")

    def close(self) -> None:
        """End the consumer."""
        self._consumer.terminate()
        self._consumer.wait(30)
