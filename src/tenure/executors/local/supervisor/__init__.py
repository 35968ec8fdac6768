"""The supervisor: one resident process per user and node that starts tasks, enforces their limits and outlives the daemon.

Why a process of its own: a task must survive a crash or an upgrade of the daemon, its exit code must be collected by its
parent, and its time limit must hold while nobody is connected. So the parent of every task is a small program that is hardly
ever replaced: standard library only, everything imported at the start, one thread, no timer while nothing runs.

Invariant: what happened is in the journal before it is announced; a task is never started twice for the same
(attempt, task), and it is forgotten only once nothing of it is left and the daemon has acknowledged its end.
"""

from __future__ import annotations

PROTOCOL = 5
"""What is spoken with a daemon that speaks it too. 1: without changing a time limit. 2: without tasks that take over each
other's room. 3: without leases. 4: without changing cpu and memory."""

OLDEST_PROTOCOL = 1
VERSION = "1.4"
