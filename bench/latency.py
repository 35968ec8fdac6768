"""From the submit call to the first instruction of the job's process: an idle machine, one call after the other, one connection."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from bench import meter
from bench.installation import Installation
from bench.peers import floor
from bench.stamps import Stamps
from bench.throughput import peers


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


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    samples = 20 if given.quick else 200
    with tempfile.TemporaryDirectory(prefix="tenure-peers-") as folder, peers(Path(folder)) as others:
        stamps = Stamps(Path(folder))
        rows = tenure_rows(stamps, samples, given.only)
        cases = [("posix_spawn, the limit", floor.spawn), *((peer.name, peer.submit) for peer in others)]
        rows += [meter.latency_summary(name, stamps.latencies_ms(submit, samples)) for name, submit in cases if given.only in name]
        stamps.close()
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
