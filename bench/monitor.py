"""What monitoring costs: an idle daemon that looks every five seconds, every second, and never; cpu of one core and memory."""

from __future__ import annotations

import time

from bench import meter
from bench.installation import Installation, cpu_s, memory_mb

CASES = (("off", "0s"), ("every 5 s", "5s"), ("every 1 s", "1s"))


def main() -> None:
    """Measure and print. The cases run one after the other: beside each other they would share pages that one alone does not."""
    given = meter.arguments(__doc__)
    seconds = 3 if given.quick else 60
    rows = []
    for name, every in CASES:
        if given.only and given.only not in name:
            continue
        with Installation(warm_up=20, settings=f'[monitor]\nevery = "{every}"\n') as tenure:
            time.sleep(2)  # the first two looks, and what followed the warm-up
            daemon = tenure.pids()[0]
            before, began = cpu_s(daemon), time.monotonic()
            time.sleep(seconds)
            share = 100 * (cpu_s(daemon) - before) / (time.monotonic() - began)
            pss, rss = memory_mb(daemon)
        rows.append(
            {"case": name, "cpu_percent": round(share, 4), "pss_mb": round(pss, 1), "rss_mb": round(rss, 1), "seconds": seconds}
        )
    meter.report(rows, given.json)


if __name__ == "__main__":
    main()
