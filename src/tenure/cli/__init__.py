"""The command line. Each command lives in a module that is imported when it is called, so that none pays for the others."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point ``tenure``."""
    from tenure.cli.app import run

    sys.exit(run(sys.argv[1:]))
