"""A process that submits, starts and ends jobs for ever and prints the id of each that is acknowledged; it is there to be killed."""

from __future__ import annotations

import sys

from tenure.store import StoreSettings, open_sqlite
from tenure.testing.store_rig import StoreRig, ended, node


def main(path: str) -> None:
    """Write until killed."""
    rig = StoreRig(lambda: open_sqlite(path, StoreSettings(ballast_bytes=0)), [node("n1", cpus=64, gpus=2)])
    while True:
        with rig.store.group():
            first, second = rig.submit(), rig.submit(array=((0, 1, 1),))
            launches = [rig.run(first), rig.run(second, position=0)]
        sys.stdout.write(f"{first}\n")
        sys.stdout.flush()
        rig.record(*(ended(launch) for launch in launches))


if __name__ == "__main__":
    main(sys.argv[1])
