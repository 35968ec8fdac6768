"""Being connected to the supervisor, whatever becomes of it: started when there is none, replaced when it dies.

Invariant: after every (re)connection the subscriber is given what the supervisor runs and everything it has not been told to forget,
before anything new is sent.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from tenure.executors.local.connection import SupervisorError, ensure_supervisor, socket_path
from tenure.executors.local.link import Link
from tenure.executors.local.settings import LocalSettings
from tenure.executors.local.waker import Waker

Listed = list[Mapping[str, Any]]

ACKNOWLEDGE_EVERY = 512
"""So many records at most does the supervisor keep beyond what is acknowledged, if nothing else is sent to it."""

RETRY_S = 1.0
"""The least pause between two tries to reach a supervisor; a try that took long (it is frozen) is followed by as long a pause."""


class Session:
    """One supervisor after the other. ``generation`` counts them; ``problem`` says why there is none at the moment.

    ``lose`` is called when a connection broke, with what came over it still in ``link``; ``begin`` when there is a new one.
    """

    def __init__(
        self,
        settings: LocalSettings,
        wake: Callable[[], None],
        begin: Callable[[Link, Listed], None],
        lose: Callable[[], None],
        watched: bool = False,
    ) -> None:
        self._settings = settings
        self._begin = begin
        self._lose = lose
        self._waker = Waker(wake)
        self._watched = watched
        self.link: Link | None = None
        self.acknowledged = 0
        self._told = 0
        self.generation = 0
        self.problem = ""
        self._next_try_s = 0.0

    @property
    def descriptor(self) -> int:
        """The connection's, -1 while there is none or nobody but us watches it."""
        return self.link.fileno() if self._watched and self.link is not None else -1

    def open(self) -> None:
        """Connect for the first time. Raises SupervisorError or OSError when that cannot be done."""
        try:
            self._connect()
        except BaseException:
            self._waker.stop()
            raise

    def send(self, line: bytes) -> bool:
        """Whether it went out. If not, the supervisor was lost, and the caller must believe that nothing arrived."""
        if self.link is None:
            return False
        try:
            self.link.send(self._acknowledgement() + line)
        except OSError as error:
            self._reconnect(error)
            return False
        return True

    def pump(self) -> None:
        """Take in what has come; connect if need be and not just tried."""
        try:
            if self.link is not None:
                self.link.pump()
                self._waker.rearm()
            elif time.monotonic() >= self._next_try_s:
                self._try()
        except (OSError, SupervisorError) as error:
            self._reconnect(error)

    def catch_up(self) -> None:
        """Take in everything that has happened by now."""
        try:
            if self.link is not None:
                self.link.catch_up()
        except (OSError, SupervisorError) as error:
            self._reconnect(error)

    def ask(self, op: str) -> dict[str, Any]:
        """An occasional question; empty when it is not answered."""
        try:
            return self.link.ask(op) if self.link is not None else {}
        except (OSError, SupervisorError):
            return {}

    def acknowledge(self, seq: int) -> None:
        """The supervisor may forget its records up to there. It is told with whatever is sent next: there is no hurry, and a message
        of its own would wake it for nothing."""
        self.acknowledged = max(self.acknowledged, seq)
        if self.acknowledged - self._told >= ACKNOWLEDGE_EVERY:
            self.send(b"")

    def _acknowledgement(self) -> bytes:
        """The line that tells what is acknowledged; empty when it is known."""
        if self.acknowledged <= self._told:
            return b""
        self._told = self.acknowledged
        return b'{"op":"ack","seq":%d}\n' % self.acknowledged

    def close(self) -> None:
        """Hang up; the supervisor and its tasks go on."""
        self._waker.stop()
        if self.link is not None:
            with contextlib.suppress(OSError):
                self.link.send(self._acknowledgement())
            self.link.close()
            self.link = None

    def _reconnect(self, error: Exception) -> None:
        self.problem = f"the supervisor was lost: {error}"
        if self.link is not None:
            self._lose()
            self._waker.unwatch()
            self.link.close()
            self.link = None
        self._try()

    def _try(self) -> None:
        began = time.monotonic()
        try:
            self._connect()
        except (OSError, SupervisorError) as failure:
            self.problem = f"the supervisor cannot be reached: {failure}"
            ended = time.monotonic()
            self._next_try_s = ended + max(RETRY_S, ended - began)
            self._waker.lost()

    def _connect(self) -> None:
        settings = self._settings
        options = (
            "--cgroups",
            settings.cgroups,
            "--device-locks",
            settings.device_locks,
            "--log-keep-bytes",
            str(settings.log_keep_bytes),
            *(["--shared"] if settings.shared else []),
            *(["--root"] if settings.root_jobs else []),
        )
        ensure_supervisor(settings.home, *options).close()
        link = Link(socket_path(settings.home))
        try:
            _check_mode(link, settings.shared)
            link.ask("observe", since=max(self.acknowledged, int(link.hello.get("acked", 0))))
            listed = link.ask("list")["tasks"]
            link.catch_up()
        except BaseException:
            link.close()
            raise
        self.link, self.problem = link, ""
        self._told = int(link.hello.get("acked", 0))
        self.generation += 1
        self._begin(link, listed)
        if not self._watched:
            self._waker.watch(link.fileno())


def _check_mode(link: Link, shared: bool) -> None:
    """Refuse a supervisor that runs tasks as somebody else than is wanted. Raises SupervisorError."""
    if bool(link.hello.get("shared")) != shared:
        serves = "one user" if shared else "several users"
        raise SupervisorError(
            "other_mode", f"one runs that serves {serves}; it goes when its jobs have ended and the daemon is stopped"
        )
