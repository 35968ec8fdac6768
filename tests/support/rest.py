"""The whole HTTP application over a real store and loop, with an executor that runs nothing: for calls that nobody foresaw.

The store is a file in a temporary folder and the control loop turns in a thread of its own, as in a daemon; tasks are those of the fake
executor and take a few milliseconds, so that whatever is submitted here is never a command of this machine. Calls may come from any
event loop: they are carried to the one that the application lives in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tenure.api.bus import Bus
from tenure.api.context import Context
from tenure.api.front import Front
from tenure.control.loop import ControlLoop
from tenure.control.steps import Ports
from tenure.executors.fake import FakeExecutor
from tenure.executors.scripts import Behaviour
from tenure.model.amounts import GIB, Amounts
from tenure.model.observations import DeviceFound, NodeFound
from tenure.model.settings import PlanSettings
from tenure.optimize.words import policy_of
from tenure.store.opening import open_sqlite
from tenure.store.settings import StoreSettings

PATIENCE_S = 20.0
TASK_MS = 20


class WallClock:
    """The wall clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class Application:
    """An ASGI application that may be called from any event loop; ``seen`` are the statuses of its answers by method and path."""

    def __init__(self, front: Front, loop: asyncio.AbstractEventLoop) -> None:
        self._front = front
        self._loop = loop
        self.context: Context = front.state.context

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Carry a call to the application and its answer back. A call that does not end is an error."""
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = {**scope, "client": ("uid", os.getuid())}
        answer = asyncio.run_coroutine_threadsafe(self._answered(asked, body), self._loop)
        for part in await asyncio.wrap_future(answer):
            await send(part)

    async def _answered(self, scope: Any, body: bytes) -> list[Any]:
        sent: list[Any] = []
        waits = asyncio.Event()
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if parts:
                return parts.pop()
            await waits.wait()  # the caller does not hang up
            return None

        async def send(message: Any) -> None:
            sent.append(message)

        with contextlib.suppress(Exception):  # what the server would log; the answer says 500
            async with asyncio.timeout(PATIENCE_S):
                await self._front(scope, receive, send)
        return sent


@contextlib.contextmanager
def application(folder: Path) -> Iterator[Application]:
    """The application of a small cluster: a node with two GPUs, and one without."""
    nodes = [
        NodeFound("gpus", Amounts(8000, 32 * GIB), tuple(DeviceFound(f"GPU-{n}", n, "A100", 40 * GIB) for n in range(2))),
        NodeFound("plain", Amounts(4000, 16 * GIB)),
    ]
    clock = WallClock()
    store = open_sqlite(str(folder / "tenure.db"), StoreSettings(log_dir=str(folder)))
    executor = FakeExecutor(clock, nodes, lambda _launch: Behaviour(TASK_MS))
    epoch = store.elect("tests", lease_ms=0, now_ms=clock.now_ms())
    assert epoch is not None
    store.define_projects(clock.now_ms())
    events = asyncio.new_event_loop()
    serving = threading.Thread(target=events.run_forever)
    serving.start()
    bus = Bus(events)
    loop = ControlLoop(Ports(store, executor, policy_of(PlanSettings()), epoch), clock, bus.publish)
    deciding = threading.Thread(target=loop.run)
    deciding.start()
    assert loop.met.wait(PATIENCE_S)
    queries = store.queries()
    context = Context(loop, queries, bus, folder, folder / "s", own_plan=PlanSettings())
    try:
        yield Application(Front(context), events)
    finally:
        loop.stop()
        deciding.join()
        events.call_soon_threadsafe(events.stop)
        serving.join()
        events.close()
        queries.close()
        store.close()
