"""What a question costs whoever does not ask: submissions while what-ifs are worked out, 5,000 jobs in the queue.

``python -m bench.what_if [--json] [--quick] [--only NAME]``. One connection submits one job after the other, each acknowledged when
it is on disk, which takes one turn of the control loop; another asks one what-if (or plan) after the other. Fifty pretend nodes of
eight GPUs are busy; the queue has a hundred kinds of jobs. The rows: the submissions alone, beside each kind of question, and the
questions.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from types import TracebackType
from typing import Any

from bench import meter
from bench.installation import Installation
from tenure.client import connect
from tenure.client.requests import build_request
from tenure.client.session import Client, new_key
from tenure.wire.whatif import MachineSpec, WhatIfRequest

NODES = "".join(f'[[pretend_nodes]]\nname = "g{n}"\ncpus = "64"\nmemory = "512G"\ngpus = "8xA100:80G"\n' for n in range(50))
ANSWER_S = 120.0
"""A question may take so long on a busy machine."""

MORE = [MachineSpec(count=2, cpu_milli=64_000, memory_bytes=2**39, gpus=8, gpu_model="A100", gpu_memory_bytes=80 * 2**30)]


class Asking:
    """Asks one question after the other from a connection of its own, at least one; ``took_ms`` has how long each answer took.

    It is entered when the first question is under way, and tells on leaving what went wrong.
    """

    def __init__(self, home: str, ask: Callable[[Client], object]) -> None:
        self.took_ms: list[float] = []
        self._home, self._ask = home, ask
        self._begun, self._over = threading.Event(), threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with connect(self._home, timeout_s=ANSWER_S) as client:
                self._begun.set()
                while not self.took_ms or not self._over.is_set():
                    began = time.perf_counter()
                    self._ask(client)
                    self.took_ms.append((time.perf_counter() - began) * 1000)
        except BaseException as error:
            self._failed = error
        finally:
            self._begun.set()

    def __enter__(self) -> Asking:
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        if error is None and self._failed is not None:
            raise self._failed


def what_if(client: Client) -> object:
    """A dear question: every start of the line changes."""
    return client.admin.what_if(WhatIfRequest(add_nodes=MORE))


def plan(client: Client) -> object:
    """What becomes of one job more."""
    return client.plan(["true"], gpus=4, time="2h", priority=8)


def fill(client: Client, waiting: int) -> None:
    """Take every GPU, and let so many jobs wait."""
    chance = random.Random(1)
    client.submit(["sleep", "3600"], gpus=8, array="0-49", time="8h")
    kinds = [(chance.choice((1, 1, 2, 4, 8)), chance.randint(1, 8), f"{chance.choice((1, 2, 4, 8, 24))}h") for _ in range(100)]
    requests = []
    for _ in range(waiting):
        gpus, cpus, limit = chance.choice(kinds)
        requests.append(build_request(["true"], key=new_key(), gpus=gpus, cpus=cpus, time=limit, inherit=False))
    client.submit_many(requests)


def submissions_ms(client: Client, samples: int) -> list[float]:
    """How long each of so many submissions took."""
    took = []
    for _ in range(samples):
        began = time.perf_counter()
        client.submit(["true"], gpus=8, time="1h", inherit=False)
        took.append((time.perf_counter() - began) * 1000)
    return took


def rows(samples: int, waiting: int, only: str) -> list[dict[str, Any]]:
    """All cases, one after the other on one installation."""
    found = []
    cases: tuple[tuple[str, Callable[[Client], object] | None], ...] = (("nobody asks", None), ("what-if", what_if), ("plan", plan))
    with Installation("off", settings=NODES) as tenure:
        fill(tenure.client, waiting)
        for name, ask in cases:
            if only in name:
                with Asking(tenure.home, ask) if ask else nullcontext() as asking:
                    found.append(meter.latency_summary(f"submit, {name}", submissions_ms(tenure.client, samples)))
                if asking is not None:
                    found.append(meter.latency_summary(f"{name}, answer", asking.took_ms))
    return found


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    meter.report(rows(40 if given.quick else 500, 300 if given.quick else 5000, given.only), given.json)


if __name__ == "__main__":
    main()
