"""Figures as OpenMetrics text, which Prometheus and its kin scrape. Pure: values in, text out.

Written out because the format is small and its client library would stay in every daemon's memory. Invariant: a family is declared
once, before its samples and with its kind and help; what is not known has no sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
Labels = Mapping[str, str]


class Family(NamedTuple):
    """One metric. ``kind`` is gauge or counter, whose samples then end in ``_total``."""

    name: str
    kind: str
    help: str
    samples: Sequence[tuple[Labels, float | None]]


_SUFFIX = {"gauge": "", "counter": "_total"}


def exposition(families: Sequence[Family]) -> bytes:
    """The text of all families, in their order."""
    lines: list[str] = []
    for family in families:
        lines += [f"# TYPE {family.name} {family.kind}", f"# HELP {family.name} {_escaped(family.help)}"]
        full = family.name + _SUFFIX[family.kind]
        lines += [f"{full}{_labels(labels)} {_number(value)}" for labels, value in family.samples if value is not None]
    lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode()


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(float(value))
