"""What integration tests of executors share."""

from __future__ import annotations

from tests.support.nvml import driver

__all__ = ["driver"]
