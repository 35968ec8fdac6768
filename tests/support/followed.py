"""A real server of nothing but the event stream, in this process, for clients of all kinds over a unix socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tenure.api.bus import Bus
from tenure.api.feed import Events, Feed
from tenure.api.front import Front
from tenure.api.identity import Identity
from tenure.api.limits import Limits
from tenure.api.serving import server
from tenure.process import listen


class Service:
    """A server of nothing but the feed of some events, in this process."""

    def __init__(self, path: Path, stored: Events) -> None:
        self.path = str(path)
        self.bus = Bus(asyncio.get_running_loop())
        self.feed = Feed(self.bus, stored)
        self.server = server(Front(cast("Any", SimpleNamespace(identity=Identity(), limits=Limits(), feed=self.feed))))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.01)


@asynccontextmanager
async def service(stored: Events) -> AsyncIterator[Service]:
    """Serve at a socket in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tn") as folder:
        made = Service(Path(folder) / "s", stored)
        listening = listen(Path(made.path))
        running = asyncio.create_task(made.server.serve(sockets=[listening]))
        try:
            await made.until(lambda: made.server.started)
            yield made
        finally:
            made.server.should_exit = True
            await running


def run_with(stored: Events, body: Callable[[Service], Awaitable[None]]) -> None:
    """Run something in an event loop beside the service."""

    async def whole() -> None:
        async with service(stored) as made:
            await body(made)

    asyncio.run(whole())
