"""Reads of one job over TCP, with a token, as `wrk` asks for them: the daemon on one cpu, `wrk` on another.

What a call over TCP passes that one over the socket does not is in it: the token, the checks of host and origin, the log of calls. The
limit is a server that answers the same number of bytes to whatever it is sent and looks at nothing; it runs on the daemon's cpu in the
daemon's place. The rate depends on what else the machine does, so the daemon's cpu for each read stands beside it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import shutil
import subprocess
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from bench import meter
from bench.installation import Installation, cpu_s
from tenure.client.session import new_key
from tenure.model.access import Permission
from tenure.wire.people import TokenRequest

CONNECTIONS = 8
LISTEN = '[listen]\naddress = "127.0.0.1:0"\nreads = "1000000/s"\n'
"""One caller may read 200 times a second unless the settings let him do more."""
LIMIT = "a server that looks at nothing, the limit"
RATE = re.compile(r"^Requests/sec:\s*([\d.]+)", re.MULTILINE)
PART = re.compile(r"^\s*(50|99)%\s+([\d.]+)(us|ms|s)\s*$", re.MULTILINE)
WRONG = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*")
UNIT_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def bind(pid: int, cpu: int) -> None:
    """Let all threads of a process run on one cpu alone."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), {cpu})


def asked(url: str, headers: list[str], seconds: int, cpu: int) -> dict[str, float]:
    """What `wrk` says of its reads: how many a second, and latencies in milliseconds. Raises RuntimeError when one was refused."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    for header in headers:
        command += ["-H", header]
    run = subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True)
    bind(run.pid, cpu)
    said, _ = run.communicate()
    rate = RATE.search(said)
    if run.returncode or rate is None or (wrong := WRONG.search(said)):
        raise RuntimeError(f"wrk could not read {url}: {wrong.group() if rate and wrong else said}")
    parts = {f"p{part}_ms": round(float(value) * UNIT_MS[unit], 3) for part, value, unit in PART.findall(said)}
    return {"per_s": round(float(rate.group(1))), **parts}


def measured(name: str, url: str, headers: list[str], seconds: int, server: int, cpus: tuple[int, int]) -> dict[str, Any]:
    """One case, with what each read cost its server."""
    bind(server, cpus[0])
    before = cpu_s(server)
    found = asked(url, headers, seconds, cpus[1])
    return {"case": name, **found, "cpu_us": round(1e6 * (cpu_s(server) - before) / max(1, found["per_s"] * seconds))}


class Blind(asyncio.Protocol):
    """Answers each piece of what it is sent with the same bytes."""

    def __init__(self, size: int) -> None:
        self._said = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody asks."""
        self._transport = transport

    def data_received(self, _data: bytes) -> None:
        """Answer."""
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(self._said)


def blind(size: int, port: Connection) -> None:
    """Serve for ever; the port is told."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: Blind(size), "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def limit(size: int, seconds: int, cpus: tuple[int, int]) -> dict[str, Any]:
    """The same reads of a server that looks at nothing."""
    near, far = multiprocessing.Pipe()
    server = multiprocessing.Process(target=blind, args=(size, far), daemon=True)
    server.start()
    try:
        return measured(LIMIT, f"http://127.0.0.1:{near.recv()}/", [], seconds, server.pid or 0, cpus)
    finally:
        server.terminate()
        server.join()


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    rows: list[dict[str, Any]] = []
    usable = sorted(os.sched_getaffinity(0))
    if shutil.which("wrk") is None:
        meter.note("left out: there is no wrk on this machine (Debian: apt install wrk)")
    elif len(usable) < 2:
        meter.note("left out: daemon and wrk need a cpu each")
    else:
        cpus, seconds = (usable[0], usable[-1]), 1 if given.quick else 10
        with Installation("off", settings=LISTEN) as tenure:
            client = tenure.client
            token = client.people.make_token(TokenRequest(key=new_key(), label="bench", may=[Permission.JOBS_READ.value]))
            waits = client.submit(["/bin/true"], hold=True).id
            url, headers = f"{client.admin.status().url}/api/v1/jobs/", [f"Authorization: Bearer {token.secret}"]
            for name, job in {"tenure, a job that has ended": "1_0", "tenure, a job that waits": waits}.items():
                rows.append(measured(name, url + job, headers, seconds, tenure.pids()[0], cpus))
        rows.append(limit(1500, seconds, cpus))
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
