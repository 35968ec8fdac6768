"""A daemon that kills itself with signal 9 at a named point: ``python -m tests.chaos.crashing HOME POINT COUNT``.

The points lie before and after every call that crosses a port, the only places at which a crash can leave rows and processes in
disagreement; inside a call the store's transaction and the supervisor's journal answer for it and have tests of their own.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from tenure.bootstrap import Parts, daemon

STORE_CALLS = ("apply", "record", "commit", "claim_commands", "define_nodes", "changes", "elect")
EXECUTOR_CALLS = ("launch", "signal", "observe", "acknowledge")
POINTS = tuple(f"{call}.{when}" for call in (*STORE_CALLS, *EXECUTOR_CALLS) for when in ("before", "after"))


class Crashing:
    """Passes every call on, and ends the process at the COUNT-th time that the point is reached."""

    def __init__(self, inner: Any, point: str, count: int) -> None:
        self._inner, self._point, self._left = inner, point, count

    def __getattr__(self, name: str) -> Any:
        """The inner attribute, or the call that crashes."""
        value = getattr(self._inner, name)
        return self._watched(name, value) if self._point.startswith(f"{name}.") else value

    def _watched(self, name: str, call: Any) -> Any:
        def crash_at_point(*args: Any, **kwargs: Any) -> Any:
            if self._point == f"{name}.before":
                self._count_down()
            result = call(*args, **kwargs)
            # An empty answer is no crossing: `observe` is called at every turn.
            if self._point == f"{name}.after" and (name != "observe" or result.items):
                self._count_down()
            return result

        return crash_at_point

    def _count_down(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Run the daemon that will crash."""
    home, point, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

    def alter(parts: Parts) -> Parts:
        parts.ports.store = Crashing(parts.store, point, count)
        parts.ports.executor = Crashing(parts.executor, point, count)
        return parts

    return daemon(home, detach=False, alter=alter)


if __name__ == "__main__":
    sys.exit(main())
