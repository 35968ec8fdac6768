"""A short advice: what is the case, of which job or machine, and what would help.

Invariant: a key names one advice of one subject; the same key again is the same advice, whatever its figures say meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Hint:
    """``text`` is one sentence, ``remedy`` what to do about it, best a command. ``job_id`` 0: of no job; ``subject`` is a
    node or device."""

    key: str
    kind: str
    text: str
    remedy: str = ""
    job_id: int = 0
    subject: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
