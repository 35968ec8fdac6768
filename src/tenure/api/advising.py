"""Advice in words: what was found, on what evidence, the command that makes the change, and what was worked out to follow from it.

Invariant: the command says exactly what was tried (a test types each one and looks whether what was said comes true).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tenure.api.suggesting import suggestion_view
from tenure.core.advice import Advice, AdviceKind
from tenure.model.amounts import MILLI, format_bytes, format_duration_ms, format_milli
from tenure.model.explanation import Change, Suggestion
from tenure.model.hint import Hint
from tenure.model.snapshot import Snapshot
from tenure.wire.text import clock_text, count_text
from tenure.wire.thinking import Evidence, RecommendationView

SHOWN = 5
"""So many jobs are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """Names for what a piece of advice is about: jobs as people type them; ``idle`` says how idle a job's GPU is."""

    snapshot: Snapshot
    jobs: Mapping[int, str]
    idle: Mapping[int, str]

    def job(self, job_id: int) -> str:
        """What people type for a job."""
        return self.jobs.get(job_id, str(job_id))

    def say(self, advice: Advice) -> RecommendationView:
        """The advice as the wire shows it."""
        change = advice.change
        text, command, evidence = _SENTENCES[change.kind](self, advice)
        node = next((node.name for node in self.snapshot.nodes if node.id == change.node_id), "")
        project = next((project.name for project in self.snapshot.projects if project.id == change.project), "")
        return RecommendationView(
            kind=change.kind.value,
            text=text,
            command=command,
            estimate=self.estimate(advice),
            job=self.job(change.job_id) if change.job_id else "",
            node=node,
            project=project,
            runs=_runs(advice),
            evidence=evidence,
            starts_now=[self.job(job_id) for job_id in advice.now],
            sooner=len(advice.sooner),
            later=len(advice.later),
            gain_ms=advice.gain_ms,
        )

    def estimate(self, advice: Advice) -> str:
        """What would follow, in one sentence."""
        parts = []
        if advice.now:
            parts.append(f"{self.named(advice.now)} would start now")
        rest = [shift for shift in advice.sooner if shift.job_id not in advice.now]
        for shift in rest[:1]:
            assert shift.after is not None
            told = f"{self.named([shift.job_id])} would start at {clock_text(shift.after.start_ms)}"
            parts.append(told if shift.after.start_ms else f"{self.named([shift.job_id])} could start")
        if len(rest) > 1:
            parts.append(f"{len(rest) - 1} more sooner")
        if advice.later:
            parts.append(f"{self.named(advice.later)} would start later")
        return ", ".join(parts)

    def named(self, job_ids: Sequence[int]) -> str:
        """``job 3``, ``jobs 3 and 4``, ``jobs 1, 2, 3, 4, 5 and 9 more``."""
        names = [self.job(job_id) for job_id in job_ids[:SHOWN]]
        if len(job_ids) == 1:
            return f"job {names[0]}"
        more = len(job_ids) - len(names)
        last = f"{more} more" if more else names.pop()
        return f"jobs {', '.join(names)} and {last}"

    def update(self, advice: Advice, kind: Change) -> tuple[str, str]:
        """The options that make a change of a waiting job, and the command with them."""
        change = advice.change
        job = self.snapshot.job(change.job_id)
        assert job is not None, "it was tried out on this snapshot"
        assert change.shape is not None
        options = suggestion_view(
            Suggestion(kind, change.shape, change.limit_ms, job.queue, 0, job.priority), job, self.snapshot
        ).options
        return options, f"tenure update {self.job(change.job_id)} {options}"


def _runs(advice: Advice) -> int:
    if advice.change.kind is AdviceKind.SHARED_GPU:
        return advice.habit.watched
    return advice.habit.runs if advice.change.kind in (AdviceKind.LESS_MEMORY, AdviceKind.SHORTER_LIMIT) else 0


def hint_of(advice: Advice, said: RecommendationView) -> Hint:
    """The same for those who follow. It is of a job only where it speaks of that one alone, so that whoever may see the job may hear
    it; any other speaks of several, and reaches those who see everything. What follows for others is left out."""
    subject = said.job or said.node or said.project
    alone = advice.change.kind in _OF_ONE_JOB
    figures = {name: value for name, value in said.evidence.items() if not isinstance(value, str)}
    job_id = advice.change.job_id if alone else 0
    return Hint(f"advice:{said.kind}:{subject}", said.kind, said.text, said.command, job_id, "" if alone else subject, figures)


_OF_ONE_JOB = (AdviceKind.LESS_MEMORY, AdviceKind.SHORTER_LIMIT, AdviceKind.SHARED_GPU, AdviceKind.FREE_IDLE_GPU)
Said = tuple[str, str, Evidence]
"""The sentence, the command, the figures it rests on."""


def _less_memory(speaker: Speaker, advice: Advice) -> Said:
    change, habit = advice.change, advice.habit
    job = speaker.snapshot.job(change.job_id)
    assert job is not None
    assert change.shape is not None
    asked = speaker.snapshot.shapes[job.shape].amounts.memory_bytes
    text = (
        f"job {speaker.job(job.id)} asks for {format_bytes(asked)} of memory and has used {format_bytes(habit.peak_memory_bytes)} "
        f"at most in {habit.runs} runs: {format_bytes(change.shape.amounts.memory_bytes)} would do"
    )
    evidence: Evidence = {"asked_bytes": asked, "most_used_bytes": habit.peak_memory_bytes, "runs": habit.runs}
    return text, speaker.update(advice, Change.SMALLER)[1], evidence


def _shorter(speaker: Speaker, advice: Advice) -> Said:
    change, habit = advice.change, advice.habit
    job = speaker.snapshot.job(change.job_id)
    assert job is not None
    asked = f"a time limit of {format_duration_ms(job.limit_ms)}" if job.limit_ms else "no time limit"
    text = (
        f"job {speaker.job(job.id)} has {asked} and has run for {format_duration_ms(habit.longest_ms)} at most in {habit.runs} runs: "
        f"{format_duration_ms(change.limit_ms)} would do"
    )
    evidence: Evidence = {"asked_ms": job.limit_ms, "longest_ms": habit.longest_ms, "runs": habit.runs}
    return text, speaker.update(advice, Change.SHORTER)[1], evidence


def _shared(speaker: Speaker, advice: Advice) -> Said:
    change, habit = advice.change, advice.habit
    assert change.shape is not None
    text = (
        f"job {speaker.job(change.job_id)} asks for a whole GPU and has kept one busy for {habit.gpu_percent} % at most, with "
        f"{format_bytes(habit.gpu_memory_bytes)} of its memory, in {habit.watched} runs: it could share one"
    )
    evidence: Evidence = {
        "most_busy_percent": habit.gpu_percent,
        "most_gpu_memory_bytes": habit.gpu_memory_bytes,
        "runs": habit.watched,
    }
    return text, speaker.update(advice, Change.SMALLER)[1], evidence


def _free_idle(speaker: Speaker, advice: Advice) -> Said:
    job_id = advice.change.job_id
    running = next((job for job in speaker.snapshot.running if job.id == job_id), None)
    milli = sum(share.milli for held in running.allocations for share in held.devices) if running else 0
    why = speaker.idle.get(job_id, "it does not use it")
    text = f"job {speaker.job(job_id)} holds {count_text(milli, 'GPU')}: {why}"
    return text, f"tenure cancel {speaker.job(job_id)}", {"held_gpus": format_milli(milli), "seen": why}


def _resume(speaker: Speaker, advice: Advice) -> Said:
    node = next(node for node in speaker.snapshot.nodes if node.id == advice.change.node_id)
    why = f" ({node.drain_reason})" if node.drain_reason else ""
    text = f"node {node.name} is drained{why}, and {speaker.named([shift.job_id for shift in advice.sooner])} could use it"
    return text, f"tenure nodes resume {node.name}", {"reason": node.drain_reason, "waiting": len(advice.sooner)}


def _borrow(speaker: Speaker, advice: Advice) -> Said:
    project = next(project for project in speaker.snapshot.projects if project.id == advice.change.project)
    text = (
        f"project {project.name} is at its quota and may not borrow, while what it waits for is idle: "
        f"borrow = true under [projects.{project.name}] in config.toml lets it, until others need theirs"
    )
    return text, "tenure down && tenure up", {"setting": f"projects.{project.name}.borrow", "value": "true"}


def _move(speaker: Speaker, advice: Advice) -> Said:
    change = advice.change
    running = next(job for job in speaker.snapshot.running if job.id == change.job_id)
    ran_ms = max(0, speaker.snapshot.now_ms - running.started_ms)
    waiting = speaker.snapshot.job(change.beneficiary)
    assert waiting is not None
    wanted = speaker.snapshot.shapes[waiting.shape].gpu_milli
    text = (
        f"{count_text(wanted, 'GPU')} for job {speaker.job(waiting.id)} are free, but on several nodes: job {speaker.job(running.id)}, "
        f"which has run for {format_duration_ms(ran_ms)}, stands in the way and has room elsewhere"
    )
    evidence: Evidence = {"wanted_gpus": wanted // MILLI, "ran_ms": ran_ms}
    return text, f"tenure requeue {speaker.job(running.id)}", evidence


_SENTENCES = {
    AdviceKind.LESS_MEMORY: _less_memory,
    AdviceKind.SHORTER_LIMIT: _shorter,
    AdviceKind.SHARED_GPU: _shared,
    AdviceKind.FREE_IDLE_GPU: _free_idle,
    AdviceKind.RESUME_NODE: _resume,
    AdviceKind.LET_BORROW: _borrow,
    AdviceKind.MOVE: _move,
}
