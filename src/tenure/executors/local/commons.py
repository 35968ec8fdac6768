"""What it takes to serve all users of a machine from one home: root, a home that they can reach and not read, a socket for a group.

Invariant: below the home others may enter the directory of the socket and those of the files into which tasks report, and list
none of them; every file in it was closed to them before anybody is served.
"""

from __future__ import annotations

import contextlib
import grp
import os
import socket
import stat
from pathlib import Path

from tenure.process import listen as bound

_TOO_LONG = 100
_REPORTS = ("metrics", "checkpoints")
_ENTERED = frozenset(("shared", *_REPORTS))


class CannotShare(Exception):
    """The home cannot be shared: a stable ``code``, one sentence, and the way out."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


def check(home: str, group: str) -> int | None:
    """The gid of the group that may connect, None for everybody. Raises CannotShare; nothing was changed then."""
    if os.geteuid() != 0:
        raise CannotShare(
            "shared_not_root", "only root can run the jobs of others", "sudo tenure up --shared, or tenure up for yourself"
        )
    gid = None
    if group:
        try:
            gid = grp.getgrnam(group).gr_gid
        except KeyError:
            raise CannotShare("shared_group", f"there is no group {group}", f"groupadd {group}, or leave --group out") from None
    if len(os.fsencode(socket_path(home))) > _TOO_LONG:
        raise CannotShare(
            "shared_home", f"{home} is too long for the path of a socket", "TENURE_HOME=/var/lib/tenure tenure up --shared"
        )
    _check_way(home, gid)
    return gid


def _check_way(home: str, gid: int | None) -> None:
    """See whether the users can come to the home, and nobody but root could put another one in its place."""
    path = os.path.dirname(os.path.realpath(home))
    while True:
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(path)
            enters = stat.S_IXOTH | (stat.S_IXGRP if gid is not None and found.st_gid == gid else 0)
            if not found.st_mode & enters:
                raise _misplaced(home, f"{path} is closed to other users")
            if found.st_uid != 0 or (found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX):
                raise _misplaced(home, f"others than root can change {path}")
        if path == "/":
            return
        path = os.path.dirname(path)


def _misplaced(home: str, why: str) -> CannotShare:
    return CannotShare("shared_home", f"the home {home} cannot serve others: {why}", "TENURE_HOME=/var/lib/tenure tenure up --shared")


def prepare(home: str, gid: int | None) -> None:
    """Close everything in the home to others, but for what they enter. Raises CannotShare for a home of somebody else."""
    os.umask(0o077)
    os.makedirs(home, mode=0o711, exist_ok=True)
    if os.lstat(home).st_uid != 0 or Path(home).is_symlink():
        raise CannotShare("shared_home", f"the home {home} is not root's own directory", "choose one that does not exist yet")
    for name in _ENTERED:
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(home, name), 0o700)
    for entry in sorted(os.scandir(home), key=lambda one: one.name):
        if not entry.is_symlink() and entry.name not in _ENTERED:
            os.chmod(entry.path, 0o700 if entry.is_dir(follow_symlinks=False) else 0o600)
    for name in _REPORTS:
        os.chmod(os.path.join(home, name), 0o711)
    entrance = os.path.dirname(socket_path(home))
    os.chown(entrance, 0, gid if gid is not None else 0)
    os.chmod(entrance, 0o711 if gid is None else 0o710)
    os.chmod(home, 0o711)


def listen(home: str, gid: int | None) -> socket.socket:
    """The socket at which the users connect: for the group, or for everybody."""
    path = socket_path(home)
    listening = bound(Path(path))
    if gid is not None:
        os.chown(path, 0, gid)
    os.chmod(path, 0o666 if gid is None else 0o660)
    return listening


def socket_path(home: str) -> str:
    """Where users connect who are not the daemon's own."""
    return os.path.join(home, "shared", "daemon.sock")
