"""Guided fuzzing of what anybody can reach: ``python -m tests.support.guided head|frames -max_total_time=300 CORPUS``.

Needs atheris, which is no dependency: ``pip install atheris`` where one tries it. Input goes through the connections of
`tests.property.test_connections`, cut into pieces as the fuzzer likes; whatever is raised or logged there is a find.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

PARTS = ("tenure.api", "uvicorn.protocols", "websockets")


def main(arguments: Sequence[str]) -> None:
    """Run until the fuzzer ends; does not return."""
    import atheris

    with atheris.instrument_imports(include=list(PARTS)):
        from tests.property import test_connections as connections

        connections.served([connections.UPGRADE])  # what reads frames is imported at the first upgrade, and must be seen too

    def pieces(data: bytes) -> list[bytes]:
        left = atheris.FuzzedDataProvider(data)
        cut = [left.ConsumeBytes(left.ConsumeIntInRange(0, 80)) for _ in range(left.ConsumeIntInRange(0, 3))]
        return [piece for piece in (*cut, left.ConsumeBytes(4096)) if piece]

    kinds: dict[str, Callable[[bytes], Any]] = {
        "head": lambda data: connections.served(pieces(data)),
        "frames": lambda data: connections.served([connections.UPGRADE, *pieces(data)]),
    }
    atheris.Setup([arguments[0], *arguments[2:]], kinds[arguments[1]])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
