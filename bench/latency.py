"""From the submit call to the first instruction of the job's process: an idle machine, one call after the other, one connection."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import meter
from bench.installation import Installation
from bench.peers import floor
from bench.stamps import Stamps
from bench.throughput import PEERS, Peer, opened

FLOOR = "posix_spawn, the limit"
DISK = "one page made durable, the disk's part"


def tenure_rows(stamps: Stamps, samples: int, only: str) -> list[dict[str, Any]]:
    """Tenure with and without control groups."""
    rows = []
    for cgroups, limits in (("off", "no groups"), ("auto", "cpu and memory groups")):
        name = f"tenure, {limits}"
        if only in name:
            with Installation(cgroups) as tenure:
                options: dict[str, Any] = {"memory": "64M"} if cgroups == "auto" else {}
                found = stamps.latencies_ms(lambda command: tenure.client.submit(command, **options), samples)  # noqa: B023 - used at once
                rows.append(meter.latency_summary(name, found))
    return rows


def peer_row(stamps: Stamps, kind: type[Peer], samples: int) -> list[dict[str, Any]]:
    """Another queue, if it is installed."""
    try:
        with opened(kind) as peer:
            return [meter.latency_summary(kind.name, stamps.latencies_ms(peer.submit, samples))]
    except (ImportError, OSError) as error:
        meter.note(f"{kind.name}: left out: {error}")
        return []


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    samples = 20 if given.quick else 200
    with tempfile.TemporaryDirectory(prefix="tenure-stamps-") as folder, closing(Stamps(Path(folder))) as stamps:
        rows = tenure_rows(stamps, samples, given.only)
        rows += [row for kind in PEERS if given.only in kind.name for row in peer_row(stamps, kind, samples)]
        if given.only in FLOOR:
            rows.append(meter.latency_summary(FLOOR, stamps.latencies_ms(floor.spawn, samples)))
        if given.only in DISK:
            rows.append(meter.latency_summary(DISK, floor.durable_writes_ms(Path(folder), samples)))
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
