"""What happens, told to a function or an asynchronous loop as it happens, over whatever restarts of the daemon.

A thread follows the daemon's event stream and remembers the cursor of what it has told; after a broken connection it resumes there.
Invariants: what has a cursor is told once and in order, or a message with the topic ``reset`` says that some of it is no longer kept;
after `Subscription.stop` nothing is told any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from tenure.client import http
from tenure.client.errors import DaemonUnreachable, TenureError, TimedOut
from tenure.client.link import Link, lost, path_of

HEARTBEAT_S = 15
QUIET_S = 3.0 * HEARTBEAT_S
_OWN = ("hello", "dropped", "heartbeat")
"""A connection that is silent for so long is dead, whatever the network says."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0
PASSING = frozenset({"too_many_followers", "shutting_down", "not_leader", "too_many_requests", "unavailable", "locked"})
"""Refusals that are over some time: who was told of something already waits for that."""
STOP_S = 5.0
"""So long stopping waits for the thread to close its connection; it may be starting a daemon."""
AHEAD = 256
"""Messages that wait for an asynchronous loop before the connection is left to wait."""


class Message(NamedTuple):
    """What happened: its topic, the event (or the look at the machine), and the cursor to resume after, None for what is not stored."""

    topic: str
    data: dict[str, Any]
    cursor: int | None = None


class Subscription:
    """A thread that calls ``callback`` with each `Message`, from now on or from after the cursor ``since``.

    It follows when it is made: raises the `TenureError` that says why it cannot. An error of the callback, or a refusal of the daemon
    that will not pass, ends it; `wait` and leaving the ``with`` block raise it. ``cursor`` is where it is: everything up to there has
    been told, as far as it concerns these topics.
    """

    def __init__(
        self,
        link: Link,
        callback: Callable[[Message], object],
        topics: Sequence[str] = (),
        project: str = "",
        since: int | None = None,
        *,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.cursor = -1 if since is None else since
        self._link = link
        self._callback = callback
        self._wish = {"topics": ",".join(topics), "project": project, "heartbeat_s": HEARTBEAT_S}
        self._on_end = on_end
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._telling = threading.RLock()
        self._cut: Callable[[], None] = lambda: None
        self._error: BaseException | None = None
        self._pause_s = FIRST_PAUSE_S
        messages = self._opened()
        self._thread = threading.Thread(target=self._run, args=(messages,), name="subscription", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Unsubscribe: nothing is told after this has returned. Once more does no harm; the callback may call it."""
        self._stopping.set()
        self._cut()
        with self._telling:
            pass  # whoever is being told is through
        if threading.current_thread() is not self._thread:
            self._ended.wait(STOP_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended; whether it has. Raises what ended it."""
        ended = self._ended.wait(timeout_s)
        if self._error is not None:
            raise self._error
        return ended

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if error is None and self._error is not None:
            raise self._error

    # --- the thread

    def _run(self, messages: Generator[Message, None, None]) -> None:
        try:
            while True:
                with contextlib.closing(messages):
                    self._tell_all(messages)
                if self._stopping.is_set():
                    return
                messages = self._again()
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()
            self._on_end()

    def _tell_all(self, messages: Iterable[Message]) -> None:
        """Tell what comes until the connection ends."""
        with contextlib.suppress(http.Broken):
            for message in messages:
                with self._telling:
                    if self._stopping.is_set():
                        return
                    self._take(message)

    def _take(self, message: Message) -> None:
        self._pause_s = FIRST_PAUSE_S
        if message.topic not in _OWN:
            self._callback(message)
        if message.cursor is not None:
            self.cursor = message.cursor

    def _again(self) -> Generator[Message, None, None]:
        """The stream after the last cursor, as soon as there is a daemon that gives it; nothing when it is to stop."""
        while not self._stopping.wait(self._pause_s):
            self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
            try:
                return self._opened()
            except (DaemonUnreachable, TimedOut, http.Broken):
                continue
            except TenureError as error:
                if error.code not in PASSING:
                    raise
        return parsed(())

    def _opened(self) -> Generator[Message, None, None]:
        """The stream, of which the first message has come: from here on nothing is missed."""
        stream = self._link.stream(path_of("/api/v1/events", after=self.cursor, **self._wish), quiet_s=QUIET_S)
        messages = parsed(stream.pieces, stream.close)
        try:
            for message in messages:
                if message.topic == "hello":
                    self.cursor = message.cursor if message.cursor is not None else self.cursor
                    break
                self._callback(message)  # the reset before it
        except http.Broken as error:
            raise lost(error) from error
        except BaseException:
            messages.close()
            raise
        self._cut = stream.cut
        if self._stopping.is_set():
            stream.cut()
        return messages


def parsed(pieces: Iterable[bytes], close: Callable[[], None] = lambda: None) -> Generator[Message, None, None]:
    """The messages of a stream of server-sent events, as this daemon writes them; what is only an id is a heartbeat. Closes it in the
    end."""
    rest = b""
    try:
        for piece in pieces:
            *blocks, rest = (rest + piece).split(b"\n\n")
            for block in blocks:
                fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith(b":"))
                cursor = int(fields[b"id"]) if b"id" in fields else None
                if b"event" in fields:
                    yield Message(fields[b"event"].decode(), msgspec.json.decode(fields[b"data"]), cursor)
                elif cursor is not None:
                    yield Message("heartbeat", {}, cursor)
    finally:
        close()


class Following:
    """``async with client.follow(...) as messages: async for message in messages: ...``; as `Subscription`, in an event loop."""

    def __init__(self, link: Link, topics: Sequence[str] = (), project: str = "", since: int | None = None) -> None:
        self._make = lambda: Subscription(link, self._hand_over, topics, project, since, on_end=self._end)
        self._made: Subscription | None = None
        self._room = threading.Semaphore(AHEAD)
        self._over = False

    async def __aenter__(self) -> Following:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[Message | None] = asyncio.Queue()
        self._made = await asyncio.to_thread(self._make)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over = True
        self._room.release()
        if self._made is not None:
            await asyncio.to_thread(self._made.stop)

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> Message:
        message = await self._waiting.get()
        self._room.release()
        if message is not None:
            return message
        self._waiting.put_nowait(None)  # for whoever asks again
        if self._made is not None:
            self._made.wait(0)
        raise StopAsyncIteration

    def _hand_over(self, message: Message) -> None:
        """Called by the thread: waits while the loop is behind."""
        self._room.acquire()
        if not self._over:
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, message)

    def _end(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, None)
