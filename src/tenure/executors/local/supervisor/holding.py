"""Leases: tasks that have no process of their own, because whoever asked is the process.

A lease has a row in the journal, a time limit, devices and an end like every task; only what is done to processes is left out. The
holder's process is watched, where it is known, so that its death ends the lease at once. Invariant: a holder is identified by pid and
start time, and never signalled: it may be anything, also the main process of another task.
"""

from __future__ import annotations

import os

from . import proc
from .task import Task

HOLDER_ENDED = "its holder ended without releasing it"


def grasp(task: Task) -> bool:
    """Hold on to the holder's process, to be told of its end; False if it is not there any more. Nobody's is always there."""
    if not task.pid:
        return True
    try:
        pidfd = os.pidfd_open(task.pid)
    except OSError:
        return False
    found = proc.stat(task.pid)
    if found is None or not found.alive or found.start_ticks != task.start_ticks:
        os.close(pidfd)
        return False
    task.pidfd = pidfd
    return True
