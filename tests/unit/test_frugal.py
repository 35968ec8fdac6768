"""A daemon that nobody needs should cost little: what it does not import is what it does not carry about."""

from __future__ import annotations

import subprocess
import sys

NEEDED = [
    "tenure.store",
    "tenure.executors.local.executor",
    "tenure.control.loop",
    "tenure.policies",
    "tenure.api.front",
    "tenure.monitors.assembly",
]
"""What `bootstrap` imports to serve."""

SPARED = ["fastapi", "pydantic", "alembic", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "pynvml", "typer", "rich"]
"""Megabytes each, and only for a machine, a database or a call that most daemons never see."""


def test_a_daemon_carries_only_what_it_uses() -> None:
    code = f"import sys, {', '.join(NEEDED)}; print(*(name for name in {SPARED} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
