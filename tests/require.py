"""Skips that CI may forbid: a test says what it needs, `TENURE_REQUIRE` says what must be there.

`TENURE_REQUIRE=cgroups,nvml` turns the skips of tests that need those into failures, so a machine that has lost a
privilege cannot pass by skipping. Invariant: a test that cannot run always says why.
"""

from __future__ import annotations

import os

import pytest


def require(name: str, available: bool, why: str) -> None:
    """Go on if `available`; otherwise skip with `why`, or fail if the environment requires `name`."""
    if available:
        return
    if name in os.environ.get("TENURE_REQUIRE", "").replace(",", " ").split():
        pytest.fail(f"{name} is required here, but {why}")
    pytest.skip(f"needs {name}: {why}")
