"""What an idle installation costs: cpu of one core and memory, daemon and supervisor."""

from __future__ import annotations

import time

from bench import meter
from bench.installation import Installation, cpu_s, memory_mb


def main() -> None:
    """Measure and print."""
    given = meter.arguments(__doc__)
    seconds = 2 if given.quick else 30
    with Installation(warm_up=50) as tenure:
        time.sleep(seconds / 10)  # what followed the warm-up is not idleness
        pids = tenure.pids()
        before = [cpu_s(pid) for pid in pids]
        began = time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - began
        found = [(100 * (cpu_s(pid) - was) / elapsed, *memory_mb(pid)) for pid, was in zip(pids, before, strict=True)]
    both = tuple(map(sum, zip(*found, strict=True)))
    rows = [
        {"case": name, "cpu_percent": round(share, 4), "pss_mb": round(pss, 1), "rss_mb": round(rss, 1), "seconds": seconds}
        for name, (share, pss, rss) in zip(("daemon", "supervisor", "both"), [*found, both], strict=True)
    ]
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
