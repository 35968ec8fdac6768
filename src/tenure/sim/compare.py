"""Several policies on the same workload, side by side, and what is told of it to programs.

Invariant: a policy's figures do not depend on which others are compared with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.core.stages import Stages
from tenure.optimize.words import read_policy
from tenure.sim.decisions import write_decisions
from tenure.sim.metrics import Figures, figures_of
from tenure.sim.replay import Replay, Rules
from tenure.sim.report import write_report
from tenure.sim.results import Replayed
from tenure.sim.runtimes import BY_NAME
from tenure.sim.workload import Workload

if TYPE_CHECKING:
    from tenure.sim.full import Full

SCHEMA = 1
_DIGITS = 6

Told = Callable[[str, int, int], None]
"""Told now and then: the policy that is being replayed, and how many jobs have arrived, of how many."""


def compare(workload: Workload, words: Sequence[str], runtimes: str, rules: Rules, told: Told | None = None) -> list[Replayed]:
    """Replay the workload under each policy. Raises BadPolicy before anything runs, KeyError for unknown ``runtimes``.

    Raises BadWorkload for what the full mode has no counterpart for.
    """
    chosen = [read_policy(word, rules.settings) for word in words]
    beliefs = BY_NAME[runtimes]
    found = []
    for policy, settings in chosen:
        drawing = policy.altered(policy.name, lambda stages: drawn(stages, rules))
        replay = _way(rules)(workload, drawing, beliefs(), replace(rules, settings=settings))
        found.append(replay.run(_teller(policy.name, told)))
    return found


def _way(rules: Rules) -> type[Replay | Full]:
    if not rules.full:
        return Replay
    from tenure.sim.full import Full  # with it comes the whole store

    return Full


def drawn(stages: Stages, rules: Rules) -> Stages:
    """The stages with the lots of the rules; those that draw by themselves draw with the seed."""
    return replace(stages, lots=rules.lots or (rules.seed + 1 if stages.lots else 0))


def _teller(name: str, told: Told | None) -> Callable[[int, int], None] | None:
    return None if told is None else lambda done, total: told(name, done, total)


def summary_of(results: Sequence[Replayed], **context: Any) -> dict[str, Any]:
    """All figures as plain data: ``results`` has one object per replay; where there is only one, its figures stand on top as well."""
    rows = [{"workload": result.workload.name, **rounded(figures_of(result))} for result in results]
    return {"schema": SCHEMA, **context, **(rows[0] if len(rows) == 1 else {}), "results": rows}


def rounded(figures: Figures) -> Figures:
    """The figures with as many decimals as anybody reads."""
    return {name: round(value, _DIGITS) if isinstance(value, float) else value for name, value in figures.items()}


def write_results(folder: Path, results: Sequence[Replayed], summary: dict[str, Any]) -> list[Path]:
    """Write ``metrics.json``, ``report.html`` and each replay's ``decisions.jsonl``, of several in a folder each. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "metrics.json", folder / "report.html"]
    written[0].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    write_report(written[1], results, summary)
    for place, result in zip(_places(results), results, strict=True):
        (folder / place).mkdir(exist_ok=True)
        written.append(folder / place / "decisions.jsonl")
        write_decisions(written[-1], result)
    return written


def _places(results: Sequence[Replayed]) -> Iterable[str]:
    """A folder for each result: none for one alone, else the policy's name, numbered where that is not enough."""
    if len(results) == 1:
        return [""]
    names: list[str] = []
    for result in results:
        name = re.sub(r"[^\w.=-]+", "-", result.policy)
        names.append(name if name not in names else f"{name}-{len(names) + 1}")
    return names
