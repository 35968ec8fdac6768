"""Tenure: a resource scheduler for AI work. Importing the package imports nothing else, so that every command starts fast.

``tenure.connect``, ``tenure.submit``, ``tenure.lease``, ``tenure.report``, ``tenure.checkpointed``, ``tenure.should_preempt``,
``tenure.subscribe``, ``tenure.Client`` and errors are of `tenure.client`, imported on first use.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

_FROM_CLIENT = (
    *("Client", "Lease", "connect", "lease", "report", "submit", "subscribe"),
    *("TenureError", "BadRequest", "DaemonUnreachable", "LeaseLost", "NeverFits", "NotFound", "TimedOut"),
    *("checkpointed", "last_checkpoint", "should_preempt"),
)


def __getattr__(name: str) -> Any:
    if name not in _FROM_CLIENT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # by name: the layers below the client import this package too

    return getattr(import_module("tenure.client"), name)


def __dir__() -> list[str]:
    return sorted((*_FROM_CLIENT, "__version__"))
