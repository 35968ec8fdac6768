"""One lock per device on the machine, so that two daemons never give the same device away.

The lock is an flock on a file that every user may open. The task inherits the locked file: the lock ends when the last
process that could use the device has gone, whatever becomes of the supervisor.
Invariant: tasks of this supervisor may share a device; nobody else holds it meanwhile.
"""

from __future__ import annotations

import os
from fcntl import LOCK_EX, LOCK_NB, flock

DEFAULT_DIRECTORY = "/tmp/tenure-devices"  #: shared between users on purpose
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")


class Busy(Exception):
    """Somebody else holds the device, or its lock cannot be had; the text says which."""


class _Held:
    __slots__ = ("fd", "users")

    def __init__(self, fd: int) -> None:
        self.fd = fd  #: -1: the lock is held by adopted tasks, through the file they inherited
        self.users = 0


class DeviceLocks:
    """The locks this supervisor holds, counted by the tasks that use them."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._held: dict[str, _Held] = {}

    def take(self, devices: tuple[str, ...]) -> list[int]:
        """Hold every device for one more task; file descriptors for it to inherit.

        :raises Busy: one of them is not to be had; nothing is held then that was not before.
        """
        fds = []
        for index, device in enumerate(devices):
            try:
                held = self._held.get(device) or self._lock(device)
            except Busy:
                self.release(devices[:index])
                raise
            held.users += 1
            if held.fd >= 0:
                fds.append(held.fd)
        return fds

    def adopt(self, devices: tuple[str, ...]) -> None:
        """A task that already runs uses them; it holds their locks itself if we cannot get them."""
        for device in devices:
            held = self._held.get(device)
            if held is None:
                try:
                    held = self._lock(device)
                except Busy:
                    held = self._held[device] = _Held(-1)
            held.users += 1

    def release(self, devices: tuple[str, ...]) -> None:
        """One task less uses them."""
        for device in devices:
            held = self._held[device]
            held.users -= 1
            if not held.users:
                del self._held[device]
                if held.fd >= 0:
                    os.close(held.fd)

    def _lock(self, device: str) -> _Held:
        if not device or device.startswith(".") or not _ALLOWED.issuperset(device):
            raise Busy(f"{device!r} is not the name of a device")
        fd = self._opened(device)
        try:
            flock(fd, LOCK_EX | LOCK_NB)
        except OSError:
            os.close(fd)
            raise Busy(f"device {device} is held by another daemon on this machine") from None
        held = self._held[device] = _Held(fd)
        return held

    def _opened(self, device: str) -> int:
        path = os.path.join(self._directory, device + ".lock")
        try:
            self._make_directory()
            try:
                return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            except FileNotFoundError:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
                os.fchmod(fd, 0o666)
                return fd
        except OSError as error:
            raise Busy(f"the lock of device {device} cannot be opened at {path}: {error.strerror}") from None

    def _make_directory(self) -> None:
        try:
            os.mkdir(self._directory)
        except FileExistsError:
            return
        os.chmod(self._directory, 0o1777)
