"""Reads of one job over kept connections: how many a second, what each costs, and how late they come while a long plan is made.

Each connection asks again once it has its answer; all are served by one loop that does nothing else, so that the client costs little
beside the daemon. The long plan is that of conservative backfilling over a backlog in which every job asks for another time: it is made
anew for each submission, whose answer waits for it and so tells how long it took. The limit is the same bytes between two sockets.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from bench import meter
from bench.installation import Installation, cpu_s
from tenure.client import connect, paths
from tenure.client.requests import build_request
from tenure.client.session import Client
from tenure.wire.dto import Selection

CONNECTIONS = 8
BACKLOG = '[plan]\npolicy = "conservative"\n'
DONE_S = 0.2
WHILE = "tenure, while it plans"
WAITS = "tenure, a job that waits, while it plans"


def request_of(job: str) -> bytes:
    """One read."""
    return f"GET /api/v1/jobs/{job} HTTP/1.1\r\nHost: tenure\r\n\r\n".encode()


def length_of(head: bytes) -> int:
    """How long an answer is, head and body."""
    lines = head.lower().split(b"\r\n")
    if not lines[0].endswith(b"200 ok"):
        raise RuntimeError(f"the daemon answers {lines[0]!r}")
    return len(head) + 4 + int(next(line for line in lines if line.startswith(b"content-length:")).split(b":")[1])


class Asking:
    """One connection, and when it asked."""

    def __init__(self, path: str, request: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self._request = request
        self._data = b""
        self._asked = 0.0

    def ask(self) -> None:
        """Ask once more."""
        self._data = b""
        self._asked = time.perf_counter()
        self.socket.sendall(self._request)

    def answered_ms(self) -> float | None:
        """Take what has come; how long the answer took, if it is whole."""
        self._data += self.socket.recv(65536)
        head, found, _ = self._data.partition(b"\r\n\r\n")
        if not found or len(self._data) < length_of(head):
            return None
        return (time.perf_counter() - self._asked) * 1000


def reads(path: str, request: bytes, goes_on: Callable[[], bool]) -> list[float]:
    """The latencies of all reads, in milliseconds, until it is enough; of one at least."""
    found: list[float] = []
    with selectors.DefaultSelector() as ready:
        asking = [Asking(path, request) for _ in range(CONNECTIONS)]
        for one in asking:
            ready.register(one.socket, selectors.EVENT_READ, one)
            one.ask()
        while goes_on() or not found:
            for key, _ in ready.select(1.0):
                took_ms = key.data.answered_ms()
                if took_ms is not None:
                    found.append(took_ms)
                    key.data.ask()
        for one in asking:
            one.socket.close()
    return found


def for_s(seconds: float) -> Callable[[], bool]:
    """True for so long."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def measured(name: str, tenure: Installation, job: str, goes_on: Callable[[], bool]) -> dict[str, Any]:
    """One case: latencies, rate, and the daemon's cpu for each."""
    daemon = tenure.pids()[0]
    before, began = cpu_s(daemon), time.perf_counter()
    found = reads(paths.daemon_socket(tenure.home), request_of(job), goes_on)
    wall_s, spent_s = time.perf_counter() - began, cpu_s(daemon) - before
    rates = {"per_s": round(len(found) / wall_s), "cpu_us": round(1e6 * spent_s / len(found))}
    return {**meter.latency_summary(name, found), **rates}


def backlog(client: Client, count: int) -> str:
    """So many jobs that wait for one that goes on, each for another time; the id of one. Nothing is planned before all are there."""
    client.submit(["/bin/sleep", "3600"], cpus=os.cpu_count(), time="2h")
    client.admin.set_queue("default", paused=True)
    requests = [build_request(["/bin/true"], cpus=1, time=60 + 7 * at, key=f"backlog-{at}") for at in range(count)]
    for start in range(0, count, 500):
        client.submit_many(requests[start : start + 500])
    client.admin.set_queue("default", paused=False)
    return client.jobs(Selection(states=["pending"], limit=1)).jobs[0].id


def while_planning(name: str, tenure: Installation, job: str, plans: int) -> dict[str, Any]:
    """The reads during so many plans, and how long a plan took."""
    took: list[float] = []

    def submit() -> None:
        with connect(tenure.home) as client:
            for _ in range(plans):
                began = time.perf_counter()
                client.submit(["/bin/true"], cpus=1, time="1m")
                took.append((time.perf_counter() - began) * 1000)

    thread = threading.Thread(target=submit)
    thread.start()
    row = measured(name, tenure, job, thread.is_alive)
    thread.join()
    return {**row, "plan_ms": round(sorted(took)[len(took) // 2])}


def echoed(count: int) -> list[float]:
    """The same bytes there and back between two sockets, with nothing behind them."""
    near, far = socket.socketpair()
    found = []
    for _ in range(count):
        began = time.perf_counter()
        near.send(request_of("1"))
        far.recv(4096)
        far.send(b"x" * 1500)
        near.recv(4096)
        found.append((time.perf_counter() - began) * 1000)
    near.close()
    far.close()
    return found


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    rows: list[dict[str, Any]] = []
    if given.only in "tenure, idle":
        with Installation("off") as tenure:
            rows.append(measured("tenure, idle", tenure, "1_0", for_s(DONE_S if given.quick else 10)))
    if given.only in WHILE or given.only in WAITS:
        with Installation("off", settings=BACKLOG) as tenure:
            jobs = {WHILE: "1_0", WAITS: backlog(tenure.client, 100 if given.quick else 240_000)}
            rows += [while_planning(name, tenure, job, 1 if given.quick else 5) for name, job in jobs.items() if given.only in name]
    if given.only in "a socket pair, the limit":
        rows.append(meter.latency_summary("a socket pair, the limit", echoed(100 if given.quick else 10_000)))
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
