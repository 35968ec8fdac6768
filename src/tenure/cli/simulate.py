"""``simulate``: replay a log under one policy or several and compare what comes of it. Only ``history`` asks a daemon."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenure.cli import console, options
from tenure.cli import simulate_options as given
from tenure.cli.table import Column, render
from tenure.cli.text import span
from tenure.client.errors import BadRequest, usage
from tenure.wire.dto import Selection

if TYPE_CHECKING:
    from tenure.model.pool import Pool
    from tenure.sim.compare import Told
    from tenure.sim.faults import Faults
    from tenure.sim.replay import Rules
    from tenure.sim.results import Replayed
    from tenure.sim.traces import Source
    from tenure.sim.windows import WindowSpec
    from tenure.sim.workload import Workload

_PAST, _MOST_PAST = "history", 10_000
_COLUMNS = (
    Column("POLICY", cut=True),
    Column("AVEBSLD", right=True),
    Column("MEAN-WAIT", right=True),
    Column("P95-WAIT", right=True, drop=3),
    Column("MAX-WAIT", right=True),
    Column("TURNAROUND", right=True),
    Column("MAKESPAN", right=True, drop=4),
    Column("CPU", right=True, drop=2),
    Column("GPU", right=True),
    Column("FRAG", right=True, drop=1),
    Column("JAIN", right=True, drop=5),
    Column("DEADLINES", right=True, drop=6),
    Column("PREEMPTED", right=True, drop=7),
    Column("FAILED", right=True, drop=7),
    Column("LOST", right=True, drop=7),
    Column("KWH", right=True, drop=7),
    Column("COST", right=True, drop=7),
    Column("DROPPED", right=True, drop=7),
    Column("WAITING", right=True, drop=8),
    Column("DECISIONS/S", right=True, drop=9),
)


def simulate(
    traces: given.Traces = None,
    policy: given.Policies = None,
    runtimes: given.Runtimes = "requested",
    enforce_limits: given.EnforceLimits = False,
    checkpoint_every: given.CheckpointEvery = "0s",
    faults: given.FaultRates = "",
    full: given.Full = False,
    seed: given.Seed = 0,
    generate: given.Generators = None,
    log_format: given.Format = "",
    nodes: given.Nodes = "",
    pools: given.PoolFile = "",
    node_order: given.NodeOrder = "name",
    arrival: given.Arrival = "",
    window: given.Windows = None,
    limit: given.First = 0,
    out: given.Out = "",
    output: options.Form = "table",
    as_json: options.Json = False,
) -> None:
    """Replay a log with the code that decides in production, and say what came of it: slowdown, waits, use, fairness, speed.

    Examples:

        tenure simulate KTH-SP2.swf.gz --policy easy --runtimes exact
        tenure simulate SDSC-SP2.swf.gz --policy easy --policy default --out out/
        tenure simulate pods.csv --nodes nodes.csv --arrival 1.3 --seed 42 --json
        tenure simulate log.swf --nodes 4x32c --policy default:wait_bonus=500
        tenure simulate history --policy default --policy easy
        tenure simulate --generate lublin:jobs=2000,nodes=128 --policy easy --policy greedy

    A trace is a file in the format of the Parallel Workloads Archive (swf), of the GPU logs openb, philly, chronus and dlrm, plain or
    gzip; or the word history: the jobs that have ended here, on the nodes there are now.

    Times in the log are the truth; --runtimes says what the planner is told of them. With --out, decisions.jsonl has one line per
    start, end, drop and displacement; with several policies each has a folder of its own.
    """
    from tenure.sim.compare import summary_of, write_results
    from tenure.sim.machines import lots_of
    from tenure.sim.replay import Rules
    from tenure.sim.traces import Source

    _check(runtimes, limit, seed)
    if log_format == _PAST:
        traces, log_format = _only_past(traces or []), ""
    if not traces and not generate:
        raise usage("there is nothing to simulate", "name a log, or let one be drawn: --generate lublin")
    if out:
        _make_folder(out)
    source = Source(log_format, nodes, node_order, _ratio(arrival), seed, limit, _pools(pools))
    rules = Rules(
        enforce_limits=enforce_limits,
        drop=bool(arrival),
        full=full,
        lots=lots_of(node_order, seed),
        seed=seed,
        windows=_windows(window or (), full=full),
    )
    rules = replace(rules, faults=_faults(faults), settings=replace(rules.settings, checkpoint_every_ms=_duration_ms(checkpoint_every)))
    results = _replayed(traces or [], generate or [], policy or ["default"], runtimes, source, rules)
    summary = summary_of(results, seed=seed)
    if out:
        written = write_results(Path(out), results, summary)
        console.note("wrote " + ", ".join(map(str, written)))
    if options.is_json(output, as_json):
        console.out(console.to_json(summary))
    else:
        console.out(text_of(results, summary["results"], wide=output == "wide"))


def _pools(path: str) -> tuple[Pool, ...]:
    """The pools of a settings file, none where none is named."""
    from tenure import config

    if not path:
        return ()
    try:
        found = config.pools_of(config.load(Path(path)))
    except config.ConfigError as error:
        raise usage(str(error)) from None
    if not found:
        raise usage(f"there are no pools in {path}", "write a [pools.NAME] section, as in the settings")
    return found


def _only_past(traces: list[str]) -> list[str]:
    """The past as the one thing to replay. Raises `BadRequest` for files beside it."""
    if any(trace != _PAST for trace in traces):
        raise usage("the format history is the past of this installation and no file", "leave the file out: tenure simulate history")
    return [_PAST]


def _make_folder(out: str) -> None:
    """Make the folder for what is written: better told before the replay than after it."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise usage(f"--out {out} cannot be a folder: {error.strerror}", "name one that can be made") from None


def _check(runtimes: str, limit: int, seed: int) -> None:
    from tenure.sim.runtimes import BY_NAME

    if runtimes not in BY_NAME:
        raise usage(f"{runtimes!r} is no kind of run times", f"choose {', '.join(BY_NAME)}")
    if limit < 0:
        raise usage("--limit is a number of jobs", "leave it out for all")
    if seed < 0:
        raise usage(f"--seed {seed} is below 0", "write --seed 42")


def _duration_ms(text: str) -> int:
    from tenure.model.amounts import parse_duration_ms

    try:
        return parse_duration_ms(text)
    except ValueError as error:
        raise usage(str(error), "write --checkpoint-every 30m") from None


def _windows(texts: Sequence[str], *, full: bool) -> tuple[WindowSpec, ...]:
    from tenure.sim.windows import window_spec
    from tenure.sim.workload import BadWorkload

    if texts and full:
        raise usage("--full knows no windows", "leave --full or --window away")
    try:
        return tuple(window_spec(text) for text in texts)
    except BadWorkload as error:
        raise usage(str(error)) from None


def _faults(text: str) -> Faults | None:
    """What fails how often, None for nothing."""
    from tenure.sim.faults import parse_faults
    from tenure.sim.workload import BadWorkload

    try:
        return parse_faults(text) if text else None
    except BadWorkload as error:
        raise usage(str(error)) from None


def _ratio(text: str) -> float:
    """A share such as 1.3, 0 for none given."""
    try:
        found = float(text or 0)
    except ValueError:
        found = -1.0
    if not found > 0 and text:
        raise usage(f"{text!r} is no share of all GPUs", "write --arrival 1.3 for 130 %")
    return found


def _replayed(
    traces: Sequence[str], generators: Sequence[str], policies: Sequence[str], runtimes: str, source: Source, rules: Rules
) -> list[Replayed]:
    """Every workload under every policy."""
    from tenure.optimize.words import read_policy
    from tenure.policies.words import BadPolicy
    from tenure.sim.compare import compare
    from tenure.sim.traces import generated, open_trace
    from tenure.sim.workload import BadWorkload

    found = []
    try:
        for word in policies:
            read_policy(word, rules.settings)  # a mistake is told before a long log is read
        opened = (_past(source) if path == _PAST else open_trace(path, source) for path in traces)
        drawn = (generated(text, source) for text in generators)
        for workload in (*opened, *drawn):
            _note_skipped(workload)
            with _bar() as told:
                found += compare(workload, policies, runtimes, rules, told)
    except BadWorkload as error:
        raise BadRequest("bad_workload", str(error), "see: tenure simulate --help") from None
    except BadPolicy as error:
        raise usage(str(error)) from None
    return found


def _past(source: Source) -> Workload:
    """The newest jobs that have ended here, on the nodes of the living store unless others are named."""
    from tenure.sim.formats.history import history_of, machines_of

    with options.client() as client:
        jobs = list(islice(client.every_job(Selection(states=["ended"])), _MOST_PAST + 1))
        nodes = client.admin.nodes()
    if len(jobs) > _MOST_PAST:
        console.note(f"history: the newest {_MOST_PAST:,} jobs only")
    return source.finished(history_of(jobs[:_MOST_PAST], source.machines or machines_of(nodes)))


def _note_skipped(workload: Workload) -> None:
    if workload.skipped:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(workload.skipped.items()))
        console.note(f"{workload.name}: left out {reasons}")


@contextmanager
def _bar() -> Iterator[Told | None]:
    """A progress bar for a person; nothing for a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, TaskID

    with Progress(console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def told(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(console.clean(name), total=total)
            progress.update(tasks[name], completed=done)

        yield told


def text_of(results: Sequence[Replayed], rows: Sequence[dict[str, Any]], *, wide: bool = False) -> str:
    """One table per workload."""
    from shutil import get_terminal_size

    width = get_terminal_size().columns if console.is_terminal() and not wide else 0
    parts = []
    for name in dict.fromkeys(result.workload.name for result in results):
        mine = [row for row in rows if row["workload"] == name]
        workload = next(result.workload for result in results if result.workload.name == name)
        parts.append(f"{console.clean(name)}: {_about(workload, mine[0]['runtimes'])}")
        parts.append(_table([_cells(row) for row in mine], width))
    return "\n".join(parts)


def _table(cells: Sequence[tuple[str, ...]], width: int) -> str:
    """The table without the columns that say nothing of this workload."""
    told = [place for place in range(len(_COLUMNS)) if any(row[place] != "-" for row in cells)]
    rows = [[row[place] for place in told] for row in cells]
    return render([_COLUMNS[place] for place in told], rows, width=width, colour=console.has_colour())


def _about(workload: Workload, runtimes: str) -> str:
    nodes = len(workload.nodes)
    gpus = sum(len(node.devices) for node in workload.nodes)
    machines = f"{nodes:,} node{'s' if nodes != 1 else ''}" + (f" with {gpus:,} GPUs" if gpus else "")
    jobs = len(workload.jobs)
    return f"{jobs:,} job{'s' if jobs != 1 else ''} on {machines}, run times {runtimes}"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    hits = f"{row['deadline_hits']}/{row['deadlines']}" if row["deadlines"] else "-"
    return (
        console.clean(row["policy"]),
        _number(row["avebsld"], 4),
        *(_time(row[key]) for key in ("mean_wait_s", "p95_wait_s", "max_wait_s", "mean_turnaround_s", "makespan_s")),
        *(_percent(row[key]) for key in ("cpu_utilisation_pct", "gpu_allocated_pct", "fragmentation_pct")),
        _number(row["fairness_jain"], 3),
        hits,
        _count(row["preemptions"]),
        _count(row["failed"]),
        _time(row["work_lost_s"] or None),
        _number(row["energy_kwh"], 1),
        _number(row["cost"], 2),
        _count(row["dropped"]),
        _count(row["waiting"]),
        _number(row["decisions_per_s"], 0),
    )


def _count(value: int) -> str:
    return str(value) if value else "-"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _time(value_s: float | None) -> str:
    return "-" if value_s is None else span(round(value_s * 1000))


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}%"
