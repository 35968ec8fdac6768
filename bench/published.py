"""Where published logs lie: in the folder that ``TENURE_TRACES`` names. None is part of the repository."""

from __future__ import annotations

import os
import sys


def trace(name: str) -> str:
    """The path of a log. Ends the program with one sentence where it is not there."""
    folder = os.environ.get("TENURE_TRACES", "")
    path = os.path.join(folder, name)
    if not folder or not os.path.isfile(path):
        why = f"{path} does not exist" if folder else "TENURE_TRACES is not set"
        sys.exit(f"{why}; let it name the folder with the published logs (docs/how-to/simulate.md says where they are published)")
    return path
