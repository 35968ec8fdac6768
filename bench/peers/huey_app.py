"""The huey application: a SQLite file named by HUEY_FILE, fsync on, results stored; the task runs one command."""

from __future__ import annotations

import os
import subprocess
from importlib import import_module
from typing import Any

huey: Any = import_module("huey")
queue = huey.SqliteHuey(filename=os.environ["HUEY_FILE"], fsync=True, results=True)


@queue.task()  # type: ignore[untyped-decorator]  # huey has no types
def run(command: list[str]) -> int:
    """Run a command; its exit code."""
    return subprocess.run(command, check=False).returncode
