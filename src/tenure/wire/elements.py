"""How the elements of an array stand, in words. Apart from the other texts: a client prints it without loading any reason."""

from __future__ import annotations

from collections.abc import Mapping


def elements_text(states: Mapping[str, int], waiting: int) -> str:
    """How the elements of an array stand: ``97 succeeded, 2 failed, 1 waiting``."""
    counts = {**states, "waiting": states.get("pending", 0) + waiting}
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items() if count and state != "pending")
