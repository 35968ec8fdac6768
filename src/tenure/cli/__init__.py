"""The command line. Each command lives in a module that is imported when it is called, so that none pays for the others."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The entry point ``tenure``."""
    if "_TENURE_COMPLETE" in os.environ:
        from tenure.cli.ids import completed

        said = completed(os.environ)
        if said is not None:
            sys.stdout.write(said + "\n" if said else "")
            return
    from tenure.cli.app import run

    sys.exit(run(sys.argv[1:]))
