"""A tool as an agent would call it: it holds part of a GPU (or, where there is none, a cpu) only while it works.

Run it with `python examples/tool_lease.py`; the daemon starts by itself. Several copies at once take turns.
"""

from __future__ import annotations

import argparse
import hashlib
import time

import tenure


def embed(text: str, rounds: int) -> str:
    """Stands for the work of a model: something that takes a while and gives the same for the same text."""
    digest = text.encode()
    for _ in range(rounds):
        digest = hashlib.sha256(digest).digest()
    return digest.hex()[:16]


def has_gpus() -> bool:
    """Whether anything here has a GPU."""
    with tenure.connect() as client:
        return bool(client.admin.nodes().devices)


def main() -> None:
    """Answer some questions, each under a lease of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20_000)
    parser.add_argument("texts", nargs="*", default=["what fits", "what waits", "and why"])
    given = parser.parse_args()
    room = {"gpus": (0.25, 1), "cpus": 0} if has_gpus() else {"cpus": (0.5, 1)}
    for text in given.texts:
        began = time.monotonic()
        with tenure.lease(**room, ttl="1m", wait="2m", pin=True) as lease:
            waited_s = time.monotonic() - began
            answer = embed(text, given.rounds)
            where = ", ".join(lease.devices) or f"{lease.cpus:g} cpu"
            print(f"{text}: {answer} (lease {lease.id} on {lease.node}: {where}, fence {lease.fence}, waited {waited_s:.2f} s)")
            if lease.should_stop:
                print("somebody else needs the room; the rest can wait")
                return


if __name__ == "__main__":
    main()
