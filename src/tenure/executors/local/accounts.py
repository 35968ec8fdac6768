"""The accounts of this machine: as whom a job runs that somebody else's daemon starts.

Looked up anew after a while, so that a change of groups is heeded, and not for every task: accounts may come over the network.
Invariant: a uid without an account is nobody, and nothing is run for nobody.
"""

from __future__ import annotations

import os
import pwd
import time
from typing import NamedTuple

FRESH_S = 60.0
KEPT = 1024


class Account(NamedTuple):
    """One account, as a login would find it."""

    uid: int
    name: str
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str

    def environment(self) -> dict[str, str]:
        """What says who one is."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": self.shell or "/bin/sh"}


_known: dict[int, tuple[float, Account | None]] = {}


def account_of(uid: int) -> Account | None:
    """The account of a uid; None where there is none."""
    now_s = time.monotonic()
    found = _known.get(uid)
    if found is None or now_s - found[0] > FRESH_S:
        if len(_known) >= KEPT:
            _known.clear()
        found = _known[uid] = (now_s, _looked_up(uid))
    return found[1]


def _looked_up(uid: int) -> Account | None:
    try:
        entry = pwd.getpwuid(uid)
    except (KeyError, OverflowError):
        return None
    groups = tuple(sorted(set(os.getgrouplist(entry.pw_name, entry.pw_gid))))
    return Account(uid, entry.pw_name, entry.pw_gid, groups, entry.pw_dir or "/", entry.pw_shell)
