"""The procrastinate application on the PostgreSQL that PROCRASTINATE_URL names; the task runs one command."""

from __future__ import annotations

import asyncio
import os
from importlib import import_module
from typing import Any

procrastinate: Any = import_module("procrastinate")
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["PROCRASTINATE_URL"]))


@app.task(queue="bench")  # type: ignore[untyped-decorator]  # loaded by name, so that types can be checked without it
async def run(command: list[str]) -> int:
    """Run a command; its exit code."""
    process = await asyncio.create_subprocess_exec(*command)
    return await process.wait()
