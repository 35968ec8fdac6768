"""A daemon that nobody needs should cost little: what it does not import is what it does not carry about."""

from __future__ import annotations

import os
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
SPARED += ["html.entities", "tenure.client.session", "numpy.ma"]
"""A megabyte or more each, or half of one, and only for a machine, a database or a call that most daemons never see."""


def test_a_daemon_carries_only_what_it_uses() -> None:
    assert loaded_after(f"import tenure.bootstrap, {', '.join(NEEDED)}") == []


def test_to_plan_for_nobody_takes_no_more() -> None:
    """numpy loads its masked arrays when it is asked which of no values are among none."""
    assert (
        loaded_after(
            "import numpy; from tenure.core.columns import is_among; none = numpy.zeros(0, dtype=numpy.int64);"
            "assert not len(is_among(none, [])) and not len(is_among(none, range(99))) and not is_among(none + 1, []).any()"
        )
        == []
    )


def loaded_after(code: str) -> list[str]:
    """What should be spared and is loaded all the same when a new process has run this."""
    told = f"{code}\nimport sys; print(*(name for name in {SPARED} if name in sys.modules))"
    unwatched = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage has imports of its own
    done = subprocess.run([sys.executable, "-c", told], env=unwatched, capture_output=True, text=True, check=True)
    return done.stdout.split()
