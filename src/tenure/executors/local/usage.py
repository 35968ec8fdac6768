"""What tasks use at the moment, asked of the supervisor on a connection of its own, so that no start or end waits for the answer.

Invariant: asking never starts a supervisor; where there is none, nothing is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenure.executors.local.connection import Connection, SupervisorError, socket_path
from tenure.model.measures import TaskUse

PATIENCE_S = 5.0


class Usage:
    """Asks one supervisor after the other. For one thread."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._link: Connection | None = None

    def read(self) -> list[TaskUse]:
        """All living tasks. Raises SupervisorError or OSError when the supervisor does not answer."""
        try:
            self._link = self._link or Connection(socket_path(self._home), PATIENCE_S)
            reply = self._link.request({"op": "usage"}, PATIENCE_S)
        except (FileNotFoundError, ConnectionRefusedError):
            self.close()
            return []
        except (OSError, SupervisorError):
            self.close()
            raise
        return [_use(one) for one in reply["tasks"]]

    def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()
            self._link = None


def _use(told: Mapping[str, Any]) -> TaskUse:
    """What is not told is not known: a supervisor may be older than this daemon."""
    names = ("cpu_ms", "memory_bytes", "read_bytes", "written_bytes")
    pids = tuple(told["pids"]) if "pids" in told else None
    return TaskUse(told["attempt"], told["task"], **{name: told.get(name) for name in names}, pids=pids)
