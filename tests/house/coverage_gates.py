"""Two coverage gates over one report: the deciding code (model, core, policies) is held to more than the rest.

Why not coverage's own ``fail_under``: it knows one number. A share is covered lines plus covered branches over all of both, as
coverage itself counts.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

DECIDING = ("src/tenure/model/", "src/tenure/core/", "src/tenure/policies/")


def share(files: dict[str, Any], prefixes: tuple[str, ...] = ("",)) -> float:
    """Per cent of lines and branches covered in the files under these prefixes; 100 when there are none."""
    chosen = [entry["summary"] for name, entry in files.items() if _relative(name).startswith(prefixes)]
    total = sum(summary["num_statements"] + summary.get("num_branches", 0) for summary in chosen)
    covered = sum(summary["covered_lines"] + summary.get("covered_branches", 0) for summary in chosen)
    return 100.0 * covered / total if total else 100.0


def weakest(files: dict[str, Any], count: int) -> list[tuple[float, str]]:
    """The files that miss most, by missing lines and then by name: where a test would help."""
    ranked = sorted(files, key=lambda name: (-files[name]["summary"]["missing_lines"], name))
    return [(files[name]["summary"]["percent_covered"], _relative(name)) for name in ranked[:count]]


def _relative(name: str) -> str:
    """The path from ``src/`` on, whether the report names files from the root of the checkout or in full."""
    return name[name.index("src/tenure/") :] if "src/tenure/" in name else name


def main(arguments: list[str] | None = None) -> int:
    """Print both shares and return 1 when one lies below its gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--core", type=float, required=True)
    parser.add_argument("--all", type=float, required=True)
    given = parser.parse_args(arguments)
    files = json.loads(given.report.read_text())["files"]
    shares = [("model, core, policies", share(files, DECIDING), given.core), ("all", share(files), given.all)]
    for name, found, gate in shares:
        sys.stdout.write(f"coverage of {name}: {found:.1f} % (gate {gate:g} %)\n")
    failed = [name for name, found, gate in shares if found < gate]
    if failed:
        for percent, name in weakest(files, 12):
            sys.stdout.write(f"  {percent:5.1f} %  {name}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
