"""Leases with a real daemon and a real supervisor: held, renewed, given back; and whatever dies, nothing stays held for nobody."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenure
from tenure.client.errors import LeaseLost, TenureError, TimedOut
from tenure.client.holding import Leasing
from tenure.client.lease_words import lease_request
from tenure.client.link import Link
from tenure.wire.leases import HELD, OVER, LeaseView
from tests.support.living import Installation, alive, installation, kill, until

CONFIG = """
[node]
cpus = "2"
[[pretend_nodes]]
name = "box"
cpus = "1"
memory = "64G"
gpus = "2xA100:80G"
price_per_hour = "3.60"
"""
HOLDS = """
import sys, time, tenure
with tenure.lease(gpus=2, ttl=sys.argv[1]) as lease:
    print(lease.id, flush=True)
    time.sleep(1000)
"""


@pytest.fixture
def living(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with installation(CONFIG) as home:
        monkeypatch.setenv("TENURE_HOME", str(home.home))
        home.up()
        yield home


def phase(living: Installation, number: int | str) -> str:
    with living.client() as client:
        return client.leases.show(int(number)).phase


def view(living: Installation, number: int | str) -> LeaseView:
    with living.client() as client:
        return client.leases.show(int(number))


def sound(living: Installation) -> None:
    """Nothing is held and every invariant holds."""
    with living.client() as client:
        assert client.leases.open() == []
        checks = client.admin.doctor(check_store=True).checks
        assert [check for check in checks if check.name.startswith("store") and check.level == "problem"] == []


def both(**options: object) -> Leasing:
    """Both GPUs, so that whoever else wants one waits."""
    return tenure.lease(gpus=2, **options)  # type: ignore[no-any-return]


class Holder:
    """A process that holds both GPUs once they are to be had, and its lease."""

    def __init__(self, living: Installation, ttl: str = "1m") -> None:
        self.process = subprocess.Popen([sys.executable, "-c", HOLDS, ttl], env=living.env, stdout=subprocess.PIPE, text=True)

    def number(self) -> int:
        """Its lease, once it is held."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def kill(self) -> None:
        """End it with signal 9."""
        self.process.kill()
        self.process.communicate()


def test_a_lease_is_pinned_priced_and_given_back(living: Installation) -> None:
    with tenure.lease(gpus=0.5, gpu_memory="8G", ttl="30s", pin=True) as lease:
        assert (lease.node, lease.gpus, lease.gpu_memory_bytes, lease.fence) == ("box", 0.5, 8 << 30, 1)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == lease.env["CUDA_VISIBLE_DEVICES"] == lease.devices[0]
        assert os.environ["TENURE_LEASE"] == lease.id
        assert (lease.view.has_price, lease.view.price_micro, lease.view.pid) == (True, 900_000, os.getpid())
        assert not lease.lost
        assert not lease.should_stop
        assert 0 < lease.left_s <= 30
        assert phase(living, lease.id) == HELD
    assert "TENURE_LEASE" not in os.environ
    assert (lease.view.phase, lease.view.state, lease.lost) == (OVER, "succeeded", False)
    assert lease.view.cost_micro > 0
    with tenure.lease(gpus=1) as later:
        assert later.fence > lease.fence
    sound(living)


def test_who_waits_gets_it_when_it_is_given_back(living: Installation) -> None:
    with both() as first:
        waiting = Holder(living)
        with living.client() as client:
            until(lambda: len(client.leases.open()) == 2, "the second request")
    assert waiting.number() == first.view.number + 1
    waiting.kill()
    until(lambda: phase(living, first.view.number + 1) == OVER, "the end of the second")
    sound(living)


def test_a_wait_ends_with_its_reason_and_exit_code_5(living: Installation) -> None:
    with both():
        with pytest.raises(TimedOut, match=r"timed out waiting for .*: it lacks 1 GPU") as caught:
            tenure.lease(gpus=1, wait=0.2).acquire()
        assert (caught.value.code, caught.value.exit_code) == ("timed_out_waiting", 5)
        done = living.cli("lease", "--gpus", "1", "--wait", "0s", "--", "true", ok=False)
        assert done.returncode == 5
        assert "it lacks 1 GPU" in done.stderr
    sound(living)


def test_what_could_never_be_granted_is_refused(living: Installation) -> None:
    assert living.cli("lease", "--gpus", "3", "--", "true", ok=False).returncode == 4
    with pytest.raises(TenureError, match="nothing is of no use"):
        tenure.lease().acquire()
    with pytest.raises(TenureError, match="time to live"):
        tenure.lease(cpus=1, ttl="3h").acquire()


def test_a_command_runs_under_a_lease_with_its_own_exit_code(living: Installation) -> None:
    done = living.cli("lease", "--gpus", "0.5", "--", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; exit 7", ok=False)
    assert (done.returncode, done.stdout) == (7, "PRETEND-box-0\n")
    assert living.cli("lease", "--cpus", "1", "--", "sh", "-c", "kill -9 $$", ok=False).returncode == 137
    assert living.cli("lease", "--cpus", "1", "--", "no-such-program", ok=False).returncode == 127
    living.cli("lease", "--cpus", "1", "--", "sh", "-c", "sleep 1000 & echo $! > child")
    assert not alive(int((living.work / "child").read_text())), "what the command left is ended with the lease"
    sound(living)


def test_a_token_is_what_renews_and_releases(living: Installation) -> None:
    number, token = living.cli("lease", "acquire", "--gpus", "1", "--ttl", "5m", "--parsable").stdout.split()
    assert living.json("lease", "list")["leases"][0]["id"] == number
    refused = living.cli("lease", "release", number, "--token", "x" * 64, ok=False)
    assert "is not the token" in refused.stderr
    env = {"TENURE_LEASE": number, "TENURE_LEASE_TOKEN": token}
    assert "is yours for 10m" in living.cli("lease", "renew", "--ttl", "10m", env=env).stdout
    assert "is over" in living.cli("lease", "release", env=env).stdout
    assert "is over" in living.cli("lease", "release", env=env).stdout, "once more does no harm"
    gone = living.cli("lease", "renew", env=env, ok=False)
    assert "is over" in gone.stderr
    sound(living)


def test_exported_it_is_for_a_shell(living: Installation) -> None:
    text = f"""
    set -e
    eval "$({sys.executable} -m tenure.cli lease acquire --gpus 1 --ttl 5m --export)"
    echo "$CUDA_VISIBLE_DEVICES"
    {sys.executable} -m tenure.cli lease release
    """
    done = subprocess.run(["sh", "-c", text], env=living.env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("PRETEND-box-0\n")
    sound(living)


def test_a_retry_after_a_lost_answer_is_the_same_lease(living: Installation) -> None:
    request = lease_request(gpus=2, bound=False)
    with living.client() as client, living.client() as other:
        first = client.leases.ask(request)
        second = other.leases.ask(request)
        assert (second.number, second.phase) == (first.number, HELD)
        assert second.env == first.env
        changed = lease_request(gpus=1)
        changed.key, changed.token = request.key, request.token
        with pytest.raises(TenureError, match="idempotency key") as caught:
            client.leases.ask(changed)
        assert caught.value.code == "key_reused"
        client.leases.release(first.number, request.token)
    sound(living)


def test_a_lease_ends_with_its_holder(living: Installation) -> None:
    process = Holder(living)
    number = process.number()
    assert view(living, number).pid == process.process.pid
    process.kill()
    until(lambda: phase(living, number) == OVER, "the end of the lease")
    assert "holder ended" in view(living, number).why
    with both(wait=10):
        pass
    sound(living)


def test_a_daemon_that_is_killed_loses_no_lease(living: Installation) -> None:
    process = Holder(living)
    number = process.number()
    with tenure.lease(cpus=1, ttl="30s") as lease:
        kill(living.daemon_pid())
        assert not lease.lost
        living.up()
        lease.renew()
        assert lease.left_s > 0
    assert phase(living, number) == HELD
    kill(living.daemon_pid())
    process.kill()
    living.up()
    until(lambda: phase(living, number) == OVER, "the end of the lease whose holder died while nobody served")
    sound(living)


def test_a_lease_expires_while_no_daemon_lives(living: Installation) -> None:
    number, _ = living.cli("lease", "acquire", "--gpus", "2", "--ttl", "1s", "--parsable").stdout.split()
    ends_ms = view(living, number).expires_ms
    kill(living.daemon_pid())
    clock = living.home / "node" / "journal.jsonl"
    until(lambda: b'"reason":"timeout"' in clock.read_bytes(), "the supervisor to end it")
    living.up()
    until(lambda: phase(living, number) == OVER, "the news of its end")
    found = view(living, number)
    assert found.state == "timed_out"
    assert found.ended_ms >= ends_ms - 5
    with both(wait=10):
        pass
    sound(living)


def test_a_supervisor_that_is_killed_keeps_what_is_leased(living: Installation) -> None:
    process = Holder(living)
    number = process.number()
    request = lease_request(cpus=1, bound=False, ttl=2)
    with living.client() as client:
        short = client.leases.ask(request).number
    living.kill_supervisor()
    until(lambda: living.supervisor_pid() > 0, "the next supervisor")
    assert phase(living, number) == HELD
    until(lambda: phase(living, short) == OVER, "the end of the short one, at its time")
    assert view(living, short).state == "timed_out"
    process.kill()
    until(lambda: phase(living, number) == OVER, "the end with its holder, who is no child of anybody's")
    sound(living)


def test_the_command_line_is_the_holder(living: Installation) -> None:
    command = [sys.executable, "-m", "tenure.cli", "lease", "--gpus", "2", "--", "sh", "-c", "echo $$ > pid; exec sleep 1000"]
    process = subprocess.Popen(command, env=living.env, cwd=living.work)
    pid = int(until(lambda: _text(living.work / "pid"), "the command to run"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not alive(pid), "the end of the command, which the kernel tells of it")
    with living.client() as client:
        until(lambda: not client.leases.open(), "the end of the lease")
    sound(living)


def test_a_lease_that_is_taken_back_warns_its_holder(living: Installation) -> None:
    warned: list[str] = []
    with both(on_warning=lambda lease: warned.append(lease.why), grace="2s") as lease:
        living.cli("cancel", lease.id)
        assert lease.wait_for_warning(20)
        until(lambda: warned, "the callback")
        until(lambda: lease.lost, "the end of the grace")
        with pytest.raises(LeaseLost):
            lease.check()
    assert len(warned) == 1
    sound(living)


def test_a_lease_makes_room_for_what_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with installation('[node]\ncpus = "2"\n[plan]\npolicy = "preemptive"\npreempt_min_run = "0s"\n') as living:
        monkeypatch.setenv("TENURE_HOME", str(living.home))
        living.up()
        with tenure.lease(cpus=2, ttl="5m", grace="30s") as lease:
            urgent = living.submit("--cpus", "2", "--priority", "critical", "--", "true")
            assert lease.wait_for_warning(25)
            until(lambda: lease.why, "the reason")
            assert f"it makes room for job {urgent}" in lease.why
            assert not lease.lost, "it is the holder's until the grace is over, or he gives it back"
            with pytest.raises(TenureError, match="is being taken back"):
                lease.renew()
        until(lambda: living.state(urgent) == "succeeded", "the end of what counts more")
        assert lease.view.state == "succeeded"
        sound(living)


def test_the_command_of_a_lease_that_is_taken_back_is_ended(living: Installation) -> None:
    script = "trap 'echo told > told' TERM; echo $$ > pid; while :; do sleep 0.05; done"
    command = [sys.executable, "-m", "tenure.cli", "lease", "--gpus", "2", "--grace", "1s", "--", "sh", "-c", script]
    process = subprocess.Popen(command, env=living.env, cwd=living.work, stderr=subprocess.PIPE, text=True)
    pid = int(until(lambda: _text(living.work / "pid"), "the command to run"))
    with living.client() as client:
        living.cli("cancel", client.leases.open()[0].id)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 137
    assert (living.work / "told").exists()
    assert not alive(pid)
    assert "is asked to end" in said
    sound(living)


def test_a_renewal_that_comes_too_late_says_so(living: Installation) -> None:
    request = lease_request(cpus=1, bound=False, ttl=1)
    with living.client() as client:
        number = client.leases.ask(request).number
        until(lambda: client.leases.show(number).phase == OVER, "its end")
        with pytest.raises(LeaseLost, match="is over"):
            client.leases.renew(number, request.token, 1000)
    sound(living)


def test_of_a_range_the_most_is_given_that_is_to_be_had_at_once(living: Installation) -> None:
    with tenure.lease(gpus=(0.25, 1)) as first, tenure.lease(gpus="0.25..1", gpu_memory="8G..80G") as second:
        assert (first.gpus, second.gpus) == (1, 1)
        with pytest.raises(TimedOut, match=r"it lacks 0\.25"):
            tenure.lease(gpus=(0.25, 2), wait=0).acquire()
        first.release()
        with tenure.lease(gpus=0.5), tenure.lease(gpus=(0.1, 1), cpus=(0.5, 64)) as third:
            assert 0.1 <= third.gpus <= 0.5
            assert 0.5 <= third.cpus <= 1
            assert third.env["TENURE_GPUS"] == f"{third.gpus:g}"
    sound(living)


def test_it_decorates_functions_and_coroutines(living: Installation) -> None:
    @tenure.lease(cpus=1, ttl="30s")
    def plain(number: int) -> int:
        with living.client() as client:
            return number * len(client.leases.open())

    @tenure.lease(cpus=1, ttl="30s")
    async def coroutine(number: int) -> int:
        return await asyncio.to_thread(plain, number)

    assert plain(21) == 21
    assert asyncio.run(coroutine(21)) == 42, "each call holds a lease of its own"
    sound(living)


def test_a_coroutine_that_is_cancelled_while_it_waits_leaves_nothing(living: Installation) -> None:
    async def impatient() -> None:
        async with tenure.lease(gpus=1):
            raise AssertionError("both are held by somebody else")

    async def main() -> None:
        waiting = asyncio.ensure_future(impatient())
        with living.client() as client:
            while len(await asyncio.to_thread(client.leases.open)) < 2:
                await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with both():
        asyncio.run(main())
    with living.client() as client:
        until(lambda: not client.leases.open(), "the end of what nobody waits for")
    sound(living)


def test_renewals_and_the_end_race_and_somebody_wins(living: Installation) -> None:
    """Whatever a renewal answers is true: a lease that it kept is alive at the end that it named, one that it lost is over."""
    with living.client() as client:
        for lead_ms in (60, 20, 5, 0):
            request = lease_request(cpus=1, bound=False, ttl=1)
            view = client.leases.ask(request)
            until(lambda: client.leases.show(view.number).left_ms <= lead_ms, "the moment")  # noqa: B023 - used at once
            try:
                kept = client.leases.renew(view.number, request.token, 60_000)
            except LeaseLost:
                until(lambda: client.leases.show(view.number).phase == OVER, "its end")  # noqa: B023 - used at once
            else:
                assert kept.left_ms > 50_000
                assert client.leases.show(view.number).phase == HELD
                client.leases.release(view.number, request.token)
    sound(living)


def test_anything_can_speak_the_protocol(living: Installation) -> None:
    socket = json.loads(living.cli("status", "-o", "json").stdout)["socket"]
    link = Link(socket)
    body = {"key": "k", "token": "t" * 32, "cpu_milli": 1000, "bound": False}
    found = link.call("POST", "/api/v1/leases", dict[str, object], body)
    assert found["phase"] == HELD
    number = found["number"]
    assert link.call("GET", f"/api/v1/leases/{number}", dict[str, object])["phase"] == HELD
    assert link.call("POST", f"/api/v1/leases/{number}/release", dict[str, object], {"token": "t" * 32})["phase"] == OVER
    link.close()
    sound(living)


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
