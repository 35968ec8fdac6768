"""A store in miniature: the same rules in plain objects, written again and simply, to compare the real one with.

No capacity, no rows, no events: only which job is in which state after what was asked and reported. Times do not matter here except
that a retried job may start again only once the test has let time pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ENDED = ("succeeded", "failed", "cancelled", "timed_out", "lost")
LIVE = ("starting", "running", "suspended")
MAX_FAULTS = 3
NEVER_RAN = ("job_fault", "node_fault", "returned")


@dataclass
class Task:
    """One task of the attempt that a job has now."""

    launched: bool = False
    result: str = ""
    held: bool = True


@dataclass
class Job:
    """A job, an element that has become one, or (``left`` is not None) an array's template."""

    id: int
    tasks_wanted: int
    retries: int = 0
    state: str = "pending"
    after: dict[int, str] = field(default_factory=dict)
    met: set[int] = field(default_factory=set)
    tasks: list[Task] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    stop: str = ""
    retried: int = 0
    faults: int = 0
    array: int = 0
    left: list[int] | None = None
    dropped: list[int] = field(default_factory=list)
    cap: int = 10**9
    room: int = 0

    @property
    def is_held(self) -> bool:
        """Whether anything of an attempt still holds resources."""
        return any(task.held for task in self.tasks)


class Reference:
    """All jobs by id. Each method is what the store's command or observation of that name should mean."""

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}

    def add(self, job: Job) -> None:
        """A submission that was accepted."""
        self.jobs[job.id] = job
        for on, condition in job.after.items():
            self._judge_dependency(job, self.jobs[on], condition)

    def elements(self, array: int) -> list[Job]:
        """The elements of an array that are jobs of their own."""
        return [job for job in self.jobs.values() if job.array == array]

    def is_ready(self, job: Job, successors: int = 0) -> bool:
        """Whether a start would be accepted as far as states go."""
        waiting = job.state == "pending" and (bool(job.left) if job.left is not None else not job.is_held)
        array = self.jobs.get(job.array) if job.array else job if job.left is not None else None
        room = array is None or sum(one.state in LIVE for one in self.elements(array.id)) + successors < array.cap
        return waiting and room and all(set(one.after) <= one.met for one in (job, array) if one)

    def waiting(self) -> list[int]:
        """What a snapshot must list as pending."""
        return sorted(
            job.id
            for job in self.jobs.values()
            if (job.left is not None and job.left and job.state in ("held", "pending"))
            or (job.left is None and job.state in ("held", "pending") and not job.is_held)
        )

    def holding(self) -> list[int]:
        """What a snapshot must list as running."""
        held = sorted(((job.room, job.id) for job in self.jobs.values() if job.is_held), reverse=True)
        first = dict(held)  # of each room the one that came first
        return sorted(number for room, number in held if not room or first[room] == number)

    def start(self, job: Job, element_id: int = 0, position: int = -1, room: int = 0) -> Job:
        """A start was committed; the job that runs. Of those with the same ``room`` one counts at a time."""
        if job.left is not None:
            job.left.remove(position)
            job = self._element(job, element_id, "pending")
        job.state, job.room = "starting", room
        job.tasks = [Task() for _ in range(job.tasks_wanted)]
        job.ends, job.stop = [], ""
        if job.array:
            self._settle_array(job.array)
        return job

    def _element(self, template: Job, element_id: int, state: str) -> Job:
        made = Job(element_id, template.tasks_wanted, template.retries, state, array=template.id)
        self.jobs[element_id] = made
        return made

    def task_started(self, job: Job, number: int) -> bool:
        """A task was reported to run; whether that is news."""
        task = job.tasks[number]
        if task.launched or task.result:
            return False
        task.launched = True
        if job.state == "starting":
            job.state, job.faults = "running", 0
        return True

    def task_ended(self, job: Job, number: int, result: str, *, empty: bool) -> bool:
        """A task was reported gone: ``ok``, ``bad``, ``unknown``, ``timeout``, ``stopped`` or one of `NEVER_RAN`."""
        task = job.tasks[number]
        if task.result or (result in NEVER_RAN and task.launched):
            return False
        task.result, task.held = result, not empty
        job.ends.append("gang" if result == "stopped" and job.stop == "gang" else result)
        if result != "ok" and len(job.tasks) > 1 and not job.stop:
            job.stop = "gang"
        if all(one.result for one in job.tasks):
            self._conclude(job)
        return True

    def task_emptied(self, job: Job, number: int) -> bool:
        """Nothing is left of a task; whether that is news."""
        task = job.tasks[number]
        if not task.result or not task.held:
            return False
        task.held = False
        return True

    def _conclude(self, job: Job) -> None:
        bad = [one for one in job.ends if one not in ("ok", "gang")] or [one for one in job.ends if one != "ok"]
        first = bad[0] if bad else "ok"
        if job.stop == "requeued":
            job.retried = job.faults = 0
            return self._wait_again(job)
        if first == "ok":
            return self._end(job, "succeeded")
        if job.stop == "cancelled" and first in ("stopped", "unknown", "node_fault", "returned"):
            return self._end(job, "cancelled")
        if first in ("node_fault", "returned"):
            job.faults += first == "node_fault"
            return self._end(job, "failed") if job.faults >= MAX_FAULTS else self._wait_again(job)
        state = {"timeout": "timed_out", "unknown": "lost"}.get(first, "failed")
        if first in ("bad", "unknown") and job.stop != "cancelled" and job.retried < job.retries:
            job.retried += 1
            job.faults = 0
            return self._wait_again(job)
        job.faults = 0
        return self._end(job, state)

    def _wait_again(self, job: Job) -> None:
        job.state = "pending"

    def _end(self, job: Job, state: str) -> None:
        job.state = state
        if job.array:
            self._settle_array(job.array)
        for other in list(self.jobs.values()):
            if job.id in other.after:
                self._judge_dependency(other, job, other.after[job.id])

    def _judge_dependency(self, job: Job, on: Job, condition: str) -> None:
        if on.state not in ENDED or on.id in job.met:
            return
        if condition == "any" or (condition == "ok") == (on.state == "succeeded"):
            job.met.add(on.id)
        elif job.state in ("held", "pending"):
            self.cancel(job)

    def _settle_array(self, array: int) -> None:
        template = self.jobs[array]
        assert template.left is not None
        states = [one.state for one in self.elements(array)] + ["cancelled"] * len(template.dropped)
        if template.left:
            template.state = "held" if template.state == "held" else "pending"
        elif all(state in ENDED for state in states):
            was = template.state
            bad = any(state in ("failed", "timed_out", "lost") for state in states)
            now = "failed" if bad else "cancelled" if "cancelled" in states else "succeeded"
            if was not in ENDED:
                self._end_template(template, now)
        else:
            template.state = "running"

    def _end_template(self, template: Job, state: str) -> None:
        template.state = state
        for other in list(self.jobs.values()):
            if template.id in other.after:
                self._judge_dependency(other, template, other.after[template.id])

    def cancel(self, job: Job) -> None:
        """A person (or a dependency that can never hold) cancels a job."""
        if job.left is not None:
            if job.state in ENDED:
                return
            for one in self.elements(job.id):
                if one.state not in ENDED:
                    self.cancel(one)
            job.dropped += job.left
            job.left = []
            self._settle_array(job.id)
        elif job.state in ("held", "pending"):
            self._end(job, "cancelled")
        elif job.state in LIVE:
            job.stop = "cancelled"

    def hold(self, job: Job, *, release: bool = False) -> None:
        """A person holds a waiting job or lets it go."""
        old, new = ("held", "pending") if release else ("pending", "held")
        if job.left is not None:
            for one in self.elements(job.id):
                self.hold(one, release=release)
            if job.left and job.state == old:
                job.state = new
        elif job.state == old:
            job.state = new

    def touch(self, template: Job, position: int, element_id: int, state: str) -> None:
        """A waiting element became a job of its own."""
        assert template.left is not None
        template.left.remove(position)
        made = self._element(template, element_id, state if state in ("held", "pending") else "pending")
        if state == "cancelled":
            self._end(made, "cancelled")
        self._settle_array(template.id)

    def requeue(self, job: Job) -> None:
        """A person runs a plain job or an element again."""
        if job.state in LIVE:
            job.stop = "requeued"
        elif job.state in ENDED:
            if any(self.jobs[on].state in ENDED for on in set(job.after) - job.met):
                return
            job.state, job.retried, job.faults = "pending", 0, 0
            if job.array:
                template = self.jobs[job.array]
                template.state = "running" if not template.left else template.state
                if template.state in ENDED:
                    template.state = "running"

    def suspend(self, job: Job, *, resume: bool) -> None:
        """A person pauses a running job, or lets it go on."""
        old, new = ("suspended", "running") if resume else ("running", "suspended")
        if job.state == old and not job.stop:
            job.state = new
