"""How jobs move when something is different, as a table and in sentences, for ``what-if`` and ``plan``. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tenure.cli import console
from tenure.cli.table import Column, render
from tenure.cli.text import moment, span
from tenure.wire.whatif import UNKNOWN_TEXT, PlanReply, ShiftView, WhatIfReply

SHOWN = 30
"""So many jobs are listed unless all are asked for."""

_COLUMNS = (
    Column("JOB"),
    Column("NAME", cut=True, drop=1),
    Column("BEFORE", right=True),
    Column("AFTER", right=True),
    Column("CHANGE"),
)
_WORDS = {
    "same": "-",
    "possible": "becomes possible",
    "impossible": "becomes impossible",
    "foreseen": "becomes known",
    "unforeseen": "becomes unknown",
    "beyond": "not worked out",
    "added": "new",
    "interrupted": "interrupted",
    "cancelled": "cancelled",
}
_AS_BEFORE = ("same", "beyond")


def what_if_text(reply: WhatIfReply, now_ms: int, *, everything: bool = False) -> str:
    """The whole answer: what was supposed, the figures, the jobs that move, what one should know."""
    moved = [job for job in reply.jobs if everything or job.effect not in _AS_BEFORE]
    shown = moved if everything else moved[:SHOWN]
    lines = [*supposed_lines(reply.supposed), "", figures(reply)]
    if reply.starts_now:
        lines.append(f"At once would start: {_ids(reply)}.")
    if shown:
        lines += ["", shifts_table(shown, reply.now_ms, now_ms, colour=console.has_colour()), ""]
    rest = len(moved) - len(shown)
    lines += [f"{rest} more would move too; --all lists them."] if rest else []
    lines += unknown_lines(reply)
    lines += [f"{console.clean(note)[:1].upper()}{console.clean(note)[1:]}." for note in reply.notes]
    return "\n".join([*lines, "Nothing was changed."])


def supposed_lines(sentences: Sequence[str]) -> list[str]:
    """What was supposed."""
    clean = [console.clean(sentence) for sentence in sentences]
    return [f"Supposed: {clean[0]}"] if len(clean) == 1 else ["Supposed:", *(f"  - {sentence}" for sentence in clean)]


def figures(reply: WhatIfReply) -> str:
    """How many jobs move which way, and by how much on the mean."""
    if not reply.compared:
        return "No job waits now."
    of = f"{reply.compared} waiting job{'s' if reply.compared != 1 else ''}"
    counts = (
        (reply.sooner, "would start sooner"),
        (reply.later, "would start later"),
        (reply.possible, "could start at all"),
        (reply.impossible, "could never start"),
    )
    said = [f"{count} {words}" for count, words in counts if count]
    if not said:
        return f"Of {of} none would start sooner or later."
    on_mean = f"; {delta(reply.mean_change_ms)} on the mean" if reply.mean_change_ms else ""
    return f"Of {of} {', '.join(said[:-1])}{' and ' if len(said) > 1 else ''}{said[-1]}{on_mean}."


def delta(change_ms: int) -> str:
    """``2h5m later``, ``40s sooner``."""
    return f"{span(abs(change_ms))} {'later' if change_ms > 0 else 'sooner'}"


def shifts_table(jobs: Sequence[ShiftView], as_of_ms: int, now_ms: int, *, colour: bool = False) -> str:
    """One line per job: when it starts before and after."""
    rows = [
        (
            job.id,
            console.clean(job.name) or "-",
            _start(job.before_ms, job.before_unknown, as_of_ms, now_ms, absent="running" if job.effect == "interrupted" else "-"),
            _start(job.after_ms, job.after_unknown, as_of_ms, now_ms, absent="-"),
            delta(job.change_ms) if job.change_ms else _WORDS.get(job.effect, job.effect),
        )
        for job in jobs
    ]
    return render(_COLUMNS, rows, colour=colour)


def _start(at_ms: int, unknown: str, as_of_ms: int, now_ms: int, *, absent: str) -> str:
    if at_ms:
        return "now" if at_ms <= as_of_ms else moment(at_ms, now_ms)
    return {"": absent, "never": "never"}.get(unknown, "unknown")


def _ids(reply: WhatIfReply) -> str:
    names = {job.id: console.clean(job.name) for job in reply.jobs}
    shown = [f"{job} ({names[job]})" if names.get(job) else job for job in reply.starts_now[:8]]
    more = len(reply.starts_now) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def unknown_lines(reply: WhatIfReply) -> list[str]:
    """Why some starts are unknown, and what would make them known."""
    lines = []
    for code, text in UNKNOWN_TEXT.items():
        found = [job.id for job in reply.jobs if code in (job.before_unknown, job.after_unknown)]
        if found and code != "never":
            which = f"job {found[0]}" if len(found) == 1 else f"{len(found)} jobs"
            lines.append(f"The start of {which} is unknown: {text if len(found) == 1 else _plural(text)}.")
    if reply.endless and any("no_limit" in (job.before_unknown, job.after_unknown) for job in reply.jobs):
        shown = ", ".join(reply.endless[:5]) + (f" and {len(reply.endless) - 5} more" if len(reply.endless) > 5 else "")
        first = next((f"; tenure update {job} --time 4h would change that" for job in reply.endless if job.isdecimal()), "")
        lines.append(f"Without a time limit: job{'s' if len(reply.endless) > 1 else ''} {shown}{first}.")
    return lines


def _plural(text: str) -> str:
    many = {
        "it depends": "they depend",
        "it waits": "they wait",
        "it lies": "they lie",
        "it asks": "they ask",
        "its project": "their projects",
        "it is cancelled at its deadline": "they are cancelled at their deadlines",
    }
    for one, several in many.items():
        text = text.replace(one, several)
    return text


def horizon_lines(reply: PlanReply, now_ms: int) -> list[str]:
    """Whom a submission would delay."""
    if reply.verdict == "never" or not reply.compared:
        return []
    of = f"{reply.compared} waiting job{'s' if reply.compared != 1 else ''}"
    cut = f" (the first of {reply.waiting})" if reply.compared < reply.waiting else ""
    if not reply.delayed:
        return [f"It would delay nobody: {of} compared{cut}."]
    lines = [f"It would delay {len(reply.delayed)} of {of}{cut}:"]
    table = shifts_table(reply.delayed[:SHOWN], 0, now_ms)
    lines += [f"  {line}" for line in table.splitlines()]
    rest = len(reply.delayed) - SHOWN
    return lines + ([f"  and {rest} more; --json lists them"] if rest > 0 else [])
