"""Telling a webhook what happens: events in batches, signed, at least once, in order.

The events in the store are the queue, and a file says how far the receiver has them; so nothing is held in memory beyond one batch,
nobody waits for a receiver that is slow or gone, and a restart loses nothing. Invariant: the file moves only past events that were
answered with 2xx, that nobody wished for, or that were given up after `GIVE_UP_S`, which is logged.
"""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from tenure.config.monitoring import NotifySettings

BATCH = 100
LOOK_S = 1.0
PATIENCE_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
GIVE_UP_S = 86_400.0


class Told(NamedTuple):
    """One event: its cursor, its kind, and itself as JSON."""

    cursor: int
    kind: str
    body: bytes


Read = Callable[[int, int], Sequence[Told]]
Post = Callable[[str, bytes, dict[str, str]], int]


class Notifier(threading.Thread):
    """Tells one receiver. ``read(after, limit)`` gives events, ``last()`` the newest cursor; ``path`` is where the cursor is kept."""

    def __init__(
        self,
        settings: NotifySettings,
        path: str,
        read: Read,
        last: Callable[[], int],
        log: Callable[[str], None],
        post: Post | None = None,
    ) -> None:
        super().__init__(name="notify", daemon=True)
        self._settings = settings
        self._path = path
        self._read = read
        self._last = last
        self._log = log
        self._post = post or send
        self._halt = threading.Event()
        self._failing_since_s = 0.0
        self._pause_s = LOOK_S

    def run(self) -> None:
        """Until stopped; an error ends nothing."""
        while not self._halt.is_set():
            try:
                more = self.turn()
            except Exception as error:  # of the store or the disk: told, and tried again
                self._failed(f"{type(error).__name__}: {error}")
                more = False
            if not more:
                self._halt.wait(self._pause_s)

    def stop(self) -> None:
        """End it after the delivery that is under way; one that hangs is left behind."""
        self._halt.set()
        if self.is_alive():
            self.join(PATIENCE_S)

    def turn(self) -> bool:
        """Deliver the next batch; whether there may be more at once."""
        after = self._cursor()
        events = self._read(after, BATCH)
        if not events:
            return False
        wanted = [event for event in events if self._is_wanted(event.kind)]
        if wanted and not self._delivered(wanted) and not self._is_given_up(wanted):
            return False
        self._keep(events[-1].cursor)
        return len(events) == BATCH

    def _is_wanted(self, kind: str) -> bool:
        return any(fnmatch.fnmatchcase(kind, pattern) for pattern in self._settings.events)

    def _delivered(self, events: Sequence[Told]) -> bool:
        body = b'{"events":[' + b",".join(event.body for event in events) + b"]}"
        headers = {"Content-Type": "application/json", "Tenure-Cursor": str(events[-1].cursor)}
        if self._settings.secret:
            headers["Tenure-Signature"] = signature(self._settings.secret, body, int(time.time()))
        try:
            status = self._post(self._settings.url, body, headers)
        except OSError as error:
            self._failed(f"{type(error).__name__}: {error}")
            return False
        if not 200 <= status < 300:
            self._failed(f"it answered {status}")
            return False
        if self._failing_since_s:
            self._log(f"the receiver at {_host(self._settings.url)} answers again")
        self._failing_since_s, self._pause_s = 0.0, LOOK_S
        return True

    def _failed(self, why: str) -> None:
        if not self._failing_since_s:
            self._failing_since_s, self._pause_s = time.monotonic(), FIRST_PAUSE_S
            self._log(f"{_host(self._settings.url)} was not told what happened, trying again for a day: {why}")
        else:
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)

    def _is_given_up(self, events: Sequence[Told]) -> bool:
        if time.monotonic() - self._failing_since_s < GIVE_UP_S:
            return False
        self._log(f"{_host(self._settings.url)} will not be told of events {events[0].cursor} to {events[-1].cursor}")
        self._failing_since_s = 0.0
        return True

    def _cursor(self) -> int:
        """How far the receiver has the events; the present, the first time."""
        try:
            with open(self._path, encoding="ascii") as file:
                return int(file.read())
        except (FileNotFoundError, ValueError):
            self._keep(now := self._last())
            return now

    def _keep(self, cursor: int) -> None:
        fresh = f"{self._path}.new"
        with open(fresh, "w", encoding="ascii") as file:
            file.write(str(cursor))
        os.replace(fresh, self._path)


def signature(secret: str, body: bytes, at_s: int) -> str:
    """What proves that we sent it, and when: HMAC-SHA256 over the time, a dot and the body."""
    digest = hmac.new(secret.encode(), str(at_s).encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def cursor_name(url: str) -> str:
    """The name of the file that belongs to a receiver."""
    return f"notify-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _host(url: str) -> str:
    """The receiver without what may be secret in its address."""
    return urlsplit(url).hostname or "the receiver"


def send(url: str, body: bytes, headers: dict[str, str]) -> int:
    """POST once, without following where it points to; the status. Raises OSError."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    link = kind(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    try:
        link.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        return link.getresponse().status
    except HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    finally:
        link.close()
