"""What tests of monitors share."""

from __future__ import annotations

from tests.support.nvml import driver

__all__ = ["driver"]
