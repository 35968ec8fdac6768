"""A lease in a program: ``with tenure.lease(gpus=0.5, gpu_memory="8G", ttl="5m") as lease:``, also ``async with`` and as a decorator.

A thread beside the holder renews it every third of its time to live and hears at once when it is being taken back. Everything goes on
over restarts of the daemon, for as long as the lease could still be alive. Invariant: a `Lease` that says neither `lost` nor
`should_stop` is the holder's: it counts its time from before it asked, by a clock that nobody can set.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from tenure.client import paths
from tenure.client.errors import LeaseLost, NotFound, TenureError
from tenure.client.lease_words import lease_request
from tenure.client.place import Place, elsewhere
from tenure.client.session import Client
from tenure.client.start import connect
from tenure.wire.leases import ENDING, EXPIRING, HELD, OVER, WAITING, LeaseRequest, LeaseView

F = TypeVar("F", bound=Callable[..., Any])
_FIRST_LOOK_S = 0.25
_RETRY_S = 0.5
_LATE_S = 1.0
"""A grant that was so long on its way is asked for once more, to know how much of it is left."""
_LOOK_MS = 30_000
_PARTS = 3
_ASYNC_POLL_MS = 2_000
_own = threading.local()


def lease(*, home: str | None = None, on_warning: Callable[[Lease], None] | None = None, pin: bool = False, **options: Any) -> Leasing:
    """An offer to be entered: ``with``, ``async with``, or a decorator whose every call holds a lease of its own.

    Options are what it holds: ``cpus``, ``memory``, ``storage``, ``gpus``, ``gpu_memory`` (a number, a word such as ``"8G"``, or a
    range: ``(0.25, 1)``, ``"4G..16G"``), ``gpu_model``, ``labels``; and for how long and for whom: ``ttl`` (5 minutes unless told),
    ``wait`` (as long), ``expected``, ``grace``, ``priority``, ``project``, ``queue``, ``name``. Numbers are seconds and bytes.

    ``on_warning`` is called from a thread when the lease is being taken back or cannot be renewed, its grace before the end. ``pin``
    sets the environment of this process while the lease is held. Raises `BadRequest` here for what means nothing; `NeverFits` and
    `TimedOut` when it is entered.
    """
    return Leasing(options, home, on_warning, pin)


class Lease:
    """What was granted. ``env`` is what a process that uses it should have in its environment, ``devices`` are UUIDs, ``fence`` grows
    with every grant, ``token`` is what renews and releases it."""

    def __init__(self, view: LeaseView, request: LeaseRequest, asked_s: float, home: str | None) -> None:
        self.view = view
        self.id, self.token, self.fence = view.id, request.token, view.fence
        self.node, self.devices, self.env = view.node, tuple(view.devices), dict(view.env)
        self.cpus, self.gpus = view.cpu_milli / 1000, view.gpu_milli / 1000
        self.memory_bytes, self.gpu_memory_bytes = view.memory_bytes, view.gpu_memory_bytes
        self.storage_bytes, self.bandwidth_bps = view.storage_bytes, view.bandwidth_bps
        self.why = ""
        self._ttl_ms = request.ttl_ms
        self._home = home
        self._deadline_s = asked_s + view.left_ms / 1000
        self._grace_s = view.grace_ms / 1000
        self._lost = False
        self._released = False
        self._warned = threading.Event()
        self._stopped = threading.Event()

    def __repr__(self) -> str:
        state = "released" if self._released else "lost" if self.lost else "held"
        return f"<Lease {self.id} on {self.node}: {self.cpus:g} cpus, {self.gpus:g} GPUs, {self.memory_bytes} bytes, {state}>"

    @property
    def lost(self) -> bool:
        """It is not the holder's any more, although he has not released it."""
        return not self._released and (self._lost or time.monotonic() >= self._deadline_s)

    @property
    def should_stop(self) -> bool:
        """It is being taken back, could not be renewed in time, or is lost: finish."""
        return self._warned.is_set() or self.lost

    @property
    def left_s(self) -> float:
        """For how long it is the holder's if nothing is done."""
        return max(0.0, self._deadline_s - time.monotonic())

    def wait_for_warning(self, timeout_s: float | None = None) -> bool:
        """Sleep until the holder should stop, or for so long; whether he should."""
        left_s = self.left_s
        self._warned.wait(left_s if timeout_s is None else min(timeout_s, left_s))
        return self.should_stop

    def check(self) -> None:
        """Raise `LeaseLost` if it is lost."""
        if self.lost:
            raise LeaseLost(
                "lease_over", f"lease {self.id} is lost: {self.why or 'it could not be renewed in time'}", "acquire a new one"
            )

    def renew(self, ttl: str | float | None = None) -> None:
        """Let it end that much later than now (default: its time to live). Raises `LeaseLost`."""
        from tenure.client.words import span_of

        self.check()
        self._renew(client_of(self._home), self._ttl_ms if ttl is None else span_of(ttl))

    def release(self) -> LeaseView:
        """Give it back: when this returns others can have it. Once more does no harm."""
        self._released = True
        self._stopped.set()
        self.view = client_of(self._home).leases.release(self.view.number, self.token)
        return self.view

    def keep(self, on_warning: Callable[[Lease], None] | None = None) -> None:
        """Renew it from now on, by a thread that ends with it."""
        threading.Thread(target=self._keep, args=(on_warning,), name=f"lease-{self.id}", daemon=True).start()

    def _renew(self, client: Client, ttl_ms: int) -> None:
        asked_s = time.monotonic()
        try:
            view = client.leases.renew(self.view.number, self.token, ttl_ms)
        except (LeaseLost, NotFound) as error:
            self._lose(str(error))
            raise
        self.view, self._deadline_s = view, asked_s + view.left_ms / 1000

    def _lose(self, why: str) -> None:
        if not self._released:
            self._lost, self.why = True, why
        self._warned.set()

    def _keep(self, on_warning: Callable[[Lease], None] | None) -> None:
        if self._stopped.wait(_FIRST_LOOK_S):
            return
        client = Client(_where(self._home))
        try:
            while not self._stopped.is_set() and not self.lost:
                self._look(client, on_warning)
        finally:
            client.close()
        self._lose(self.why)

    def _look(self, client: Client, on_warning: Callable[[Lease], None] | None) -> None:
        """Renew if it is time; else hear what becomes of it until then. Nothing that goes wrong ends this before the lease does."""
        try:
            due_s = self.left_s - self._ttl_ms / 1000 * (_PARTS - 1) / _PARTS
            if self.view.phase == EXPIRING or (self.view.phase == HELD and due_s <= 0):
                self._renew(client, self._ttl_ms)
            else:
                self._hear(client, due_s if self.view.phase == HELD else self.left_s)
        except LeaseLost:
            pass  # noted
        except TenureError as error:
            self.why = str(error)
            self._stopped.wait(_RETRY_S)
        if self.view.phase in (ENDING, OVER) or self.left_s <= self._grace_s:
            self._warn(on_warning)

    def _hear(self, client: Client, wait_s: float) -> None:
        """Wait until its phase changes, or so long."""
        wait_ms = min(int(wait_s * 1000) + 1, _LOOK_MS)
        view = client.leases.show(self.view.number, seen=self.view.phase, wait_ms=wait_ms)
        if view.phase == ENDING and self.view.phase != ENDING:
            self._deadline_s = min(self._deadline_s, time.monotonic() + self._grace_s)
        self.view = view
        if view.phase in (ENDING, OVER):
            self.why = view.why
        if view.phase == OVER:
            self._lose(view.why)

    def _warn(self, on_warning: Callable[[Lease], None] | None) -> None:
        """Tell the holder, once."""
        is_news = not self._warned.is_set()
        self._warned.set()
        if is_news and on_warning is not None and not self._released:
            on_warning(self)


class Leasing:
    """An offer to hold a lease; see `lease`. Each time it is entered another one is acquired. Not for several threads at once."""

    def __init__(self, options: dict[str, Any], home: str | None, on_warning: Callable[[Lease], None] | None, pin: bool) -> None:
        lease_request(**options)  # what means nothing is refused here and not when it is used
        self._options = options
        self._home = home
        self._on_warning = on_warning
        self._pin = pin
        self._entered: list[tuple[Lease, dict[str, str | None]]] = []

    def acquire(self) -> Lease:
        """Wait for the lease and keep it alive; the caller releases it. Raises `TimedOut` with the reason when the wait is over,
        `NeverFits` for what could never be granted."""
        return self._acquire(lease_request(**self._options), threading.Event())

    def _acquire(self, request: LeaseRequest, given_up: threading.Event) -> Lease:
        """The lease; nothing is left of it when nobody wants it any more."""
        client = client_of(self._home)
        asked_s = time.monotonic()
        try:
            while (view := client.leases.ask(request)).phase == WAITING or time.monotonic() - asked_s > _LATE_S:
                if given_up.is_set():
                    break
                asked_s = time.monotonic()
        except KeyboardInterrupt:
            client.leases.withdraw(request)
            raise
        if given_up.is_set():
            client.leases.withdraw(request)
            raise LeaseLost("lease_over", f"nobody waits for lease {view.id} any more")
        held = Lease(view, request, asked_s, self._home)
        held.keep(self._on_warning)
        return held

    def __enter__(self) -> Lease:
        held = self.acquire()
        self._entered.append((held, _pinned(held.env) if self._pin else {}))
        return held

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        held, before = self._entered.pop()
        _restore(before)
        held.release()

    async def __aenter__(self) -> Lease:
        request = lease_request(**self._options)
        request.poll_ms = _ASYNC_POLL_MS
        given_up = threading.Event()
        waiting = asyncio.ensure_future(asyncio.to_thread(self._acquire, request, given_up))
        try:
            held = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            given_up.set()
            waiting.add_done_callback(_give_back)
            raise
        self._entered.append((held, _pinned(held.env) if self._pin else {}))
        return held

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        held, before = self._entered.pop()
        _restore(before)
        await asyncio.to_thread(held.release)

    def __call__(self, function: F) -> F:
        """The function, each call of it under a lease of its own; a coroutine function stays one."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def held_async(*args: Any, **kwargs: Any) -> Any:
                async with self._copy():
                    return await function(*args, **kwargs)

            return held_async  # type: ignore[return-value]

        @functools.wraps(function)
        def held(*args: Any, **kwargs: Any) -> Any:
            with self._copy():
                return function(*args, **kwargs)

        return held  # type: ignore[return-value]

    def _copy(self) -> Leasing:
        return Leasing(self._options, self._home, self._on_warning, self._pin)


class _Connections:
    """The connections of one thread, which are closed with it."""

    def __init__(self) -> None:
        self.clients: dict[tuple[str, int], Client] = {}

    def __del__(self) -> None:
        for client in self.clients.values():
            client.close()


def client_of(home: str | None) -> Client:
    """This thread's connection to the daemon of a home, made when it is first needed, and anew in a process that was forked."""
    key = (home or os.environ.get("TENURE_URL") or paths.home(), os.getpid())
    mine: _Connections = _own.__dict__.setdefault("connections", _Connections())
    if key not in mine.clients:
        mine.clients[key] = connect(home)
    return mine.clients[key]


def _where(home: str | None) -> str | Place:
    return (elsewhere() if home is None else None) or paths.daemon_socket(home or paths.home())


def _give_back(waiting: asyncio.Future[Lease]) -> None:
    """Nobody waits for this one any more."""
    if not waiting.cancelled() and waiting.exception() is None:
        threading.Thread(target=waiting.result().release, daemon=True).start()


def _pinned(env: dict[str, str]) -> dict[str, str | None]:
    """Set variables of this process; what they were."""
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    return before


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
