"""Leases in any order: asked for, granted, renewed, given back, taken back, run out, across crashes. The store agrees with a few
lines of plain rules: nothing is granted twice, the number that fences a holder off grows with each grant, what is over or being taken
back is never renewed, and what was held is free again once its end is known."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenure.model.amounts import GIB, Amounts
from tenure.model.commands import AcquireLease, Answer, Applied, Holder, JobRequest, JobSpec, Refused, ReleaseLease, RenewLease
from tenure.model.observations import EndReason, Launch
from tenure.model.plan import Decision, Evict
from tenure.model.shape import Shape
from tenure.store import SqlStore, StoreSettings, open_sqlite
from tenure.testing.store_rig import ADA, BEN, HALF_GPU, ONE_CPU, ONE_GPU, StoreRig, ended, node, started
from tests.support.examples import examples

SHAPES = {"cpu": ONE_CPU, "gpu": ONE_GPU, "half": HALF_GPU}
CPUS_MILLI, GPU_MILLI, DEVICES = 3_000, 1_000, 2
SECRET, WRONG = "a" * 64, "b" * 64
TTL_MS, WAIT_MS, GRACE_MS = 60_000, 90_000, 10_000
PICK = st.integers(0, 10**6)
FAST = "/dev/shm"


@dataclass
class Lease:
    """One as it should be: ``until_ms`` is the end of its wait, then of its time."""

    id: int
    shape: Shape
    until_ms: int
    state: str = "pending"
    device: int = 0
    stop: str = ""
    launch: Launch | None = None


class LeaseMachine(RuleBasedStateMachine):
    """The real store beside the leases as they should be."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(dir=FAST if os.path.isdir(FAST) else None)
        path = str(Path(self.folder.name) / "tenure.db")
        machine = node("n1", gpus=DEVICES, amounts=Amounts(CPUS_MILLI, 64 * GIB))
        self.rig = StoreRig(lambda: open_sqlite(path, StoreSettings(log_dir="/logs", ballast_bytes=0)), [machine])
        self.waits = self.rig.submit(priority=9)  # in whose favour leases are taken back; it is never started
        self.leases: dict[int, Lease] = {}
        self.fence = 0

    def teardown(self) -> None:
        self.rig.store.close()
        self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.acquire("gpu")

    @rule(kind=st.sampled_from(sorted(SHAPES)))
    def acquire(self, kind: str) -> None:
        wish = JobRequest(kind, SHAPES[kind], kind="lease", limit_ms=TTL_MS, grace_ms=GRACE_MS)
        spec = JobSpec(("tool",), "/", holder=Holder(4711, 99))
        key = self.rig.key()
        answers = [self.rig.apply(AcquireLease(key, ADA, wish, spec, SECRET, WAIT_MS, 0, "so")) for _ in range(2)]
        first, again = answers
        assert isinstance(first, Applied)
        assert isinstance(again, Applied)
        assert again.job_id == first.job_id, "a repetition is no second lease"
        assert again.replayed
        self.leases[first.job_id] = Lease(first.job_id, SHAPES[kind], self.rig.now_ms + WAIT_MS)

    def _any(self, pick: int, *states: str) -> Lease | None:
        found = [self.leases[number] for number in sorted(self.leases) if not states or self.leases[number].state in states]
        return found[pick % len(found)] if found else None

    def _fits(self, lease: Lease, device: int) -> bool:
        held = [one for one in self.leases.values() if one.state == "running"]
        cpus = sum(one.shape.amounts.cpu_milli for one in held)
        gpu = sum(one.shape.gpu_milli for one in held if one.device == device)
        return cpus + lease.shape.amounts.cpu_milli <= CPUS_MILLI and gpu + lease.shape.gpu_milli <= GPU_MILLI

    @rule(pick=PICK, device=st.integers(1, DEVICES), any_state=st.booleans())
    def grant(self, pick: int, device: int, any_state: bool) -> None:
        """Accepted exactly where it waits and there is room; the planner may be as wrong as it likes."""
        lease = self._any(pick) if any_state else self._any(pick, "pending")
        if lease is None:
            return
        wanted = device if lease.shape.gpu_milli else 0
        may = lease.state == "pending" and self._fits(lease, wanted)
        rejection, launches = self.rig.try_start(lease.id, lease.shape, devices=[[wanted]] if wanted else ())
        assert (rejection is None) == may, rejection
        if launches:
            (lease.launch,) = launches
            assert lease.launch.attempt_id > self.fence, "a later holder has the greater number"
            self.fence = lease.launch.attempt_id
            self.rig.record(started(lease.launch, self.rig.now_ms))
            lease.state, lease.device, lease.until_ms = "running", wanted, self.rig.now_ms + TTL_MS

    @rule(pick=PICK, ttl_ms=st.sampled_from([5_000, TTL_MS]), token=st.sampled_from([SECRET, SECRET, WRONG]))
    def renew(self, pick: int, ttl_ms: int, token: str) -> None:
        lease = self._any(pick)
        assert lease is not None
        self._renew(lease, ttl_ms, token)

    def _renew(self, lease: Lease, ttl_ms: int = TTL_MS, token: str = SECRET) -> None:
        answer = self.rig.apply(RenewLease("", BEN, lease.id, token, ttl_ms))
        if token == WRONG:
            assert code(answer) == "wrong_token"
        elif lease.state == "pending":
            assert code(answer) == "not_held"
        elif lease.state != "running":
            assert code(answer) == "lease_over", "what has run out stays so"
        elif lease.stop:
            assert code(answer) == "lease_ending"
        else:
            lease.until_ms = self.rig.now_ms + ttl_ms
            assert code(answer) == ""

    @rule(pick=PICK, token=st.sampled_from([SECRET, SECRET, WRONG]))
    def release(self, pick: int, token: str) -> None:
        lease = self._any(pick)
        assert lease is not None
        answer = self.rig.apply(ReleaseLease("", BEN, lease.id, token))
        assert code(answer) == ("wrong_token" if token == WRONG else "")
        if token == SECRET and lease.state == "running":
            assert lease.launch is not None
            lease.state = "succeeded"
            self._renew(lease)
            echo = ended(lease.launch, None, EndReason.STOPPED, stop_reason="released")
            assert self.rig.record(echo).ignored == 1, "what its executor says of it then is no news"
        elif token == SECRET and lease.state == "pending":
            lease.state = "cancelled"
            self._renew(lease)

    @rule(pick=PICK)
    def reclaim(self, pick: int) -> None:
        """Taken back for somebody more urgent: once, and only while it is held."""
        lease = self._any(pick)
        if lease is None or lease.launch is None:
            return
        evict = Evict(lease.id, lease.launch.attempt_id, self.waits, "it makes room")
        (rejection,) = self.rig.commit(Decision(evicts=(evict,))).rejections
        assert (rejection is None) == (lease.state == "running" and not lease.stop), rejection
        lease.stop = lease.stop or ("preempted" if rejection is None else "")
        self._renew(lease)

    @precondition(lambda self: any(one.state == "running" and one.stop for one in self.leases.values()))
    @rule(pick=PICK)
    def stopped(self, pick: int) -> None:
        """The executor has ended one that was asked to stop."""
        asked = [one for one in self.leases.values() if one.state == "running" and one.stop]
        lease = asked[pick % len(asked)]
        self._end(lease, EndReason.STOPPED, "cancelled")

    @rule(pick=PICK)
    def run_out(self, pick: int) -> None:
        """The executor has ended one whose time is up."""
        late = [one for one in self.leases.values() if one.state == "running" and not one.stop and one.until_ms <= self.rig.now_ms]
        if late:
            self._end(late[pick % len(late)], EndReason.TIMEOUT, "timed_out")

    def _end(self, lease: Lease, reason: EndReason, state: str) -> None:
        assert lease.launch is not None
        stop = lease.stop if reason is EndReason.STOPPED else ""
        news = ended(lease.launch, None, reason, stop_reason=stop)
        assert self.rig.record(news).ignored == 0
        assert self.rig.record(news).ignored == 1, "an end is believed once, and frees once"
        lease.state = state
        self._renew(lease)

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        """Whoever has waited long enough is told so; what is held is left to its executor."""
        self.rig.now_ms += seconds * 1000
        _, changes = self.rig.store.expire_leases(self.rig.now_ms)
        late = [one for one in self.leases.values() if one.state == "pending" and one.until_ms <= self.rig.now_ms]
        assert {one.job_id for one in changes if one.state == "cancelled"} == {one.id for one in late}
        for one in late:
            one.state = "cancelled"

    @rule()
    def crash(self) -> None:
        self.rig.reopen()

    @invariant()
    def agrees(self) -> None:
        self.rig.sound()
        store = self.rig.store
        assert isinstance(store, SqlStore)
        cursor = store.database.link.cursor
        cursor.execute("SELECT id, state FROM job WHERE kind = 'lease'")
        assert dict(cursor.fetchall()) == {one.id: one.state for one in self.leases.values()}
        running = {job.id: job for job in store.snapshot(self.rig.now_ms).running}
        held = [one for one in self.leases.values() if one.state == "running"]
        assert sorted(running) == sorted(one.id for one in held), "what is over holds nothing"
        for lease in held:
            job = running[lease.id]
            assert [share.device_id for part in job.allocations for share in part.devices] == [lease.device] * bool(lease.device)
            assert lease.stop or job.ends_by_ms == lease.until_ms


def code(answer: Answer) -> str:
    """The code of a refusal, empty where there is none."""
    return answer.code if isinstance(answer, Refused) else ""


TestLeaseMachine = LeaseMachine.TestCase
TestLeaseMachine.settings = settings(
    max_examples=examples(10), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
