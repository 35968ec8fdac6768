"""How soon those who follow the events hear of a submission, and what they cost the daemon in memory.

The time runs from before the submit call, whose write to disk is in it, until a follower has the event. The limit is the same bytes
written to as many socket pairs by a loop that does nothing else.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import time
from typing import Any

from bench import meter
from bench.installation import Installation, memory_mb
from tenure.client import paths

REQUEST = b"GET /api/v1/events?topics=job HTTP/1.1\r\nHost: tenure\r\n\r\n"
MARK = b'"kind":"job.submitted"'
PAUSE_S = 0.02


async def follow(home: str, heard: asyncio.Queue[float]) -> asyncio.Task[None]:
    """Connect, and put the time of each submission's event into the queue."""
    reader, writer = await asyncio.open_unix_connection(paths.daemon_socket(home), limit=2**20)
    writer.write(REQUEST)
    await reader.readuntil(b"event: hello")

    async def read() -> None:
        try:
            while True:
                if MARK in await reader.readuntil(b"\n\n"):
                    heard.put_nowait(time.perf_counter())
        finally:
            writer.close()

    return asyncio.create_task(read())


async def measured(tenure: Installation, clients: int, rounds: int) -> list[float]:
    """Milliseconds from each submission to each follower; the daemon's memory is read by the caller meanwhile."""
    heard: asyncio.Queue[float] = asyncio.Queue()
    readers = [await follow(tenure.home, heard) for _ in range(clients)]
    found = []
    try:
        for _ in range(rounds):
            began = time.perf_counter()
            await asyncio.to_thread(tenure.client.submit, ["/bin/true"], hold=True)
            found += [1000 * (await heard.get() - began) for _ in range(clients)]
            await asyncio.sleep(PAUSE_S)
    finally:
        for reader in readers:
            reader.cancel()
    return found


def limit_ms(clients: int, rounds: int) -> list[float]:
    """The same fan-out with nothing behind it: one writer, as many socket pairs, one reader."""
    pairs = [socket.socketpair() for _ in range(clients)]
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        for near, _ in pairs:
            near.send(b"x" * 300)
        for _, far in pairs:
            far.recv(300)
            found.append(1000 * (time.perf_counter() - began))
    for pair in pairs:
        for end in pair:
            end.close()
    return found


def row(clients: int, rounds: int) -> dict[str, Any]:
    """One case in a daemon of its own."""
    with Installation() as tenure:
        daemon = tenure.pids()[0]
        before = memory_mb(daemon)[0]
        found = asyncio.run(measured(tenure, clients, rounds))
        grown = memory_mb(daemon)[0] - before
        return meter.latency_summary(f"tenure, {clients} followers", found) | {"daemon_grew_mb": round(grown, 1)}


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    counts = (10,) if given.quick else (1, 200, 1000)
    rounds = 3 if given.quick else 50
    rows = [row(clients, rounds) for clients in counts if given.only in f"tenure, {clients} followers"]
    rows += [
        meter.latency_summary(f"{clients} socket pairs, the limit", limit_ms(clients, rounds))
        for clients in counts
        if given.only in f"{clients} socket pairs, the limit"
    ]
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
