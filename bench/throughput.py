"""No-op commands to completion: how many a second, and what one costs in cpu of the whole machine.

From the first submission until the last job has ended and its end is durable. Every Tenure case has a fresh home and daemon, whose
start and short warm-up are not counted. ``2 slots`` means cpus=1 on a machine with two, ``16 slots`` cpus=0.125.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from bench import meter
from bench.installation import Installation
from bench.peers import floor
from bench.peers.huey import Huey
from bench.peers.procrastinate import Procrastinate
from bench.peers.tsp import TaskSpooler
from tenure.client.requests import build_request
from tenure.client.session import new_key

NO_OP = ["/bin/true"]
BATCH = 500
Case = tuple[meter.Series, Callable[[meter.Span], None]]


class Peer(Protocol):
    """Another queue: opened once, driven in every round."""

    name: str

    def run(self, count: int) -> None:
        """So many no-ops to completion."""

    def submit(self, command: list[str]) -> object:
        """Queue one command."""

    def close(self) -> None:
        """End everything it started."""


PEERS: tuple[type[Peer], ...] = (TaskSpooler, Huey, Procrastinate)


def as_array(tenure: Installation, count: int, options: dict[str, Any]) -> None:
    """One array."""
    tenure.client.submit(NO_OP, array=f"0-{count - 1}", **options)


def as_singles(tenure: Installation, count: int, options: dict[str, Any]) -> None:
    """One submission per job over one connection, each durable before the next is sent."""
    for _ in range(count):
        tenure.client.submit(NO_OP, **options)


def as_batches(tenure: Installation, count: int, options: dict[str, Any]) -> None:
    """Single jobs, so many in one call."""
    for first in range(0, count, BATCH):
        tenure.client.submit_many([build_request(NO_OP, key=new_key(), **options) for _ in range(min(BATCH, count - first))])


def tenure_case(how: Callable[[Installation, int, dict[str, Any]], None], count: int, cgroups: str, slots: int) -> Case:
    """A case of Tenure's own. With cgroups a job has a cpu and a memory limit that the kernel enforces."""
    options: dict[str, Any] = {"cpus": 2 / slots, "memory": "64M"} if cgroups == "auto" else {"cpus": 2 / slots}
    limits = "cpu and memory groups" if cgroups == "auto" else "no groups"

    def run(span: meter.Span) -> None:
        with Installation(cgroups) as tenure, span:
            how(tenure, count, options)
            span.submitted()
            tenure.until_idle()

    return meter.Series(f"tenure {how.__name__.removeprefix('as_')}, {limits}, {slots} slots", count), run


def tenure_cases(counts: list[int]) -> Iterator[Case]:
    """Every combination worth knowing."""
    for count in counts:
        for cgroups in ("off", "auto"):
            yield tenure_case(as_array, count, cgroups, 2)
            yield tenure_case(as_array, count, cgroups, 16)
            yield tenure_case(as_singles, count, cgroups, 2)
        yield tenure_case(as_batches, count, "off", 16)


@contextmanager
def opened(kind: Callable[[Path], Peer]) -> Iterator[Peer]:
    """One peer in a folder of its own, for as long as it is measured: an idle one that polls would cost the others cpu."""
    with tempfile.TemporaryDirectory(prefix="tenure-peer-", ignore_cleanup_errors=True) as folder, closing(kind(Path(folder))) as peer:
        yield peer


def peer_case(kind: type[Peer], count: int) -> Case:
    """A case of another queue, with a short warm-up of its own."""

    def run(span: meter.Span) -> None:
        with opened(kind) as peer:
            peer.run(20)
            with span:
                peer.run(count)

    return meter.Series(kind.name, count), run


def floor_case(count: int) -> Case:
    """The limit."""

    def run(span: meter.Span) -> None:
        with span:
            floor.xargs(count)

    return meter.Series("xargs -P2, the limit", count), run


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    counts = [50] if given.quick else [1000, 10_000]
    cases = [*tenure_cases(counts), *(peer_case(kind, count) for kind in PEERS for count in counts), *map(floor_case, counts)]
    chosen = [case for case in cases if given.only in case[0].name]
    meter.interleave(chosen, 1 if given.quick else 3)
    meter.report([series.summary() for series, _ in chosen if series.spans], given.json)


if __name__ == "__main__":
    main()
