"""What an agent can do: each method is a tool, in plain words and plain data. Knows the client, and nothing of the protocol.

Methods that change something give a plan and a confirmation first; the same call with ``confirm`` carries it out. Amounts are written
as on the command line (``"8G"``, ``"2h"``). Every refusal is a `TenureError` with its code and the way out.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tenure.client import words
from tenure.client.errors import TenureError
from tenure.client.requests import build_request
from tenure.client.session import Client
from tenure.mcp.confirming import LASTS_S, Confirmations
from tenure.mcp.saying import job_line, lease_view, plain, shift_lines
from tenure.wire import dto
from tenure.wire.leases import WAITING, LeaseRequest
from tenure.wire.whatif import PriorityWish, WhatIfRequest

Answer = dict[str, Any]
Connect = Callable[[str], Client]
"""A client for whoever shows this secret; empty: for whom the server works by itself."""
LONGEST_WAIT_S = 60.0
LONGEST_TAIL = 500


class Tools:
    """The tools of one server. Safe to use from several threads: each call has a connection of its own."""

    def __init__(self, connect: Connect, confirmations: Confirmations | None = None) -> None:
        self._connect = connect
        self._confirmations = confirmations or Confirmations()

    @contextmanager
    def _client(self, secret: str) -> Iterator[Client]:
        client = self._connect(secret)
        try:
            yield client
        finally:
            client.close()

    # --- looking

    def capacity(self, secret: str) -> Answer:
        """What there is, what is held and free, and what those wait for who wait."""
        with self._client(secret) as client:
            report, nodes = client.thinking.status(advise=False), client.admin.nodes()
        told = plain(report)
        told["nodes"] = [
            {
                "name": n.name,
                "status": n.status,
                "jobs": n.jobs,
                "cpus": n.cpu_milli / 1000,
                "cpus_held": n.used_cpu_milli / 1000,
                "memory_bytes": n.memory_bytes,
                "memory_held_bytes": n.used_memory_bytes,
                "storage_bytes": n.storage_bytes,
                "storage_held_bytes": n.used_storage_bytes,
                "bandwidth_bps": n.bandwidth_bps,
                "bandwidth_held_bps": n.used_bandwidth_bps,
                "gpus": n.devices,
                "gpus_held": n.devices_used_milli / 1000,
            }
            for n in nodes.nodes
        ]
        return {name: value for name, value in told.items() if name not in ("recommendations", "recommended_ms")}

    def jobs(self, secret: str, states: Sequence[str], limit: int) -> Answer:
        """Jobs of these states, the newest first."""
        with self._client(secret) as client:
            found = client.jobs(dto.Selection(states=list(states), limit=max(1, min(limit, 200))))
        return {"jobs": [job_line(job) for job in found.jobs], "counts": plain(found.counts)}

    def follow(self, secret: str, job: str, wait_s: float, tail: int) -> Answer:
        """How a job stands and the end of its output, after waiting for its end for a while."""
        deadline = time.monotonic() + max(0.0, min(wait_s, LONGEST_WAIT_S))
        with self._client(secret) as client:
            if wait_s > 0:
                client.wait(job, max(0.0, deadline - time.monotonic()))
            view = client.show(job).job
            try:
                output = b"".join(client.logs(job, tail=max(1, min(tail, LONGEST_TAIL)))).decode(errors="replace") if tail > 0 else ""
            except TenureError as error:
                if error.code != "no_log":
                    raise
                output = ""
        return {**job_line(view), "output": output}

    def explain(self, secret: str, job: str) -> Answer:
        """Why a job is where it is, and what would help."""
        with self._client(secret) as client:
            found: Answer = plain(client.why(job))
        return found

    def recommendations(self, secret: str) -> Answer:
        """Changes that would let somebody start sooner, each tried out."""
        with self._client(secret) as client:
            found: Answer = plain(client.thinking.recommendations())
        return found

    def what_if(self, secret: str, wish: Mapping[str, Any]) -> Answer:
        """What would start when if something were different."""
        with self._client(secret) as client:
            return self._supposed(client, wish)

    def _supposed(self, client: Client, wish: Mapping[str, Any]) -> Answer:
        priorities = [PriorityWish(job=job, priority=int(value)) for job, value in (wish.get("priorities") or {}).items()]
        request = WhatIfRequest(
            cancel=list(wish.get("cancel") or ()),
            drain_nodes=list(wish.get("drain") or ()),
            resume_nodes=list(wish.get("resume") or ()),
            remove_nodes=list(wish.get("remove") or ()),
            priorities=priorities,
            policy=str(wish.get("policy") or ""),
        )
        found = client.admin.what_if(request)
        return {
            "supposed": found.supposed,
            "waiting": found.waiting,
            "sooner": found.sooner,
            "later": found.later,
            "starts_now": found.starts_now,
            "mean_change_ms": found.mean_change_ms,
            "jobs": shift_lines(found.jobs),
            "notes": found.notes,
        }

    # --- acting

    def _dry(self, secret: str, tool: str, wish: Mapping[str, Any], plan: Answer) -> Answer:
        """The answer of a dry run."""
        return {
            "dry_run": True,
            "plan": plan,
            "confirm": self._confirmations.make(secret, tool, wish),
            "confirm_within_s": LASTS_S,
            "next": f"nothing was done; call {tool} again with the same arguments and this confirm to do it",
        }

    def _key(self, secret: str, tool: str, wish: Mapping[str, Any], confirm: str) -> str:
        """The idempotency key of a confirmed call. Raises TenureError for a confirmation of something else."""
        if not self._confirmations.holds(confirm, secret, tool, wish):
            text = "this confirmation is not for this call, or has expired"
            raise TenureError("bad_confirmation", text, f"call {tool} without confirm to see the plan and get a new one")
        return f"mcp-{hashlib.sha256(confirm.encode()).hexdigest()[:32]}"

    def submit(self, secret: str, command: Sequence[str], options: Mapping[str, Any], confirm: str) -> Answer:
        """Queue a job, or say what would become of it."""
        wish = {"command": list(command), **options}
        given = {name: value for name, value in options.items() if value not in ("", None)}
        key = self._key(secret, "submit", wish, confirm) if confirm else "dry-run"
        request = build_request(command, key=key, inherit=not secret, **given)
        with self._client(secret) as client:
            if not confirm:
                return self._dry(secret, "submit", wish, self._planned(client, request))
            done = client.submit(request)
        return {"dry_run": False, **plain(done)}

    def _planned(self, client: Client, request: dto.SubmitRequest) -> Answer:
        plan = client.plan(request)
        told: Answer = {"verdict": plan.verdict, "start_ms": plan.start_ms, "limit_ms": plan.limit_ms, "placements": plan.placements}
        if plan.explanation is not None:
            told["summary"] = plan.explanation.summary
            told["suggestions"] = [item.text for item in plan.explanation.suggestions]
        if plan.note:
            told["note"] = plan.note
        told["delays"] = shift_lines(plan.delayed)
        return told

    def cancel(self, secret: str, job: str, confirm: str) -> Answer:
        """End a job, or say what would follow."""
        wish = {"job": job}
        if confirm:
            key = self._key(secret, "cancel", wish, confirm)
            with self._client(secret) as client:
                done = client.act("cancel", job, why="an agent cancelled it", key=key)
            return {"dry_run": False, "results": plain(done.results)}
        with self._client(secret) as client:
            view = client.show(job).job
            return self._dry(secret, "cancel", wish, {"job": job_line(view), "then": self._supposed(client, {"cancel": [job]})})

    def acquire(self, secret: str, options: Mapping[str, Any], wait_s: float, confirm: str) -> Answer:
        """Take a lease, or say when it could be had."""
        request = _lease_of(options)
        with self._client(secret) as client:
            if not confirm:
                stand_in = build_request(["lease"], key="dry-run", inherit=False, **_amounts(options), time=options["ttl"])
                return self._dry(secret, "acquire_lease", dict(options), self._planned(client, stand_in))
            request.key = self._key(secret, "acquire_lease", options, confirm)
            request.token = hashlib.sha256(f"lease:{confirm}:{secret}".encode()).hexdigest()
            request.wait_ms = round(max(1.0, min(wait_s, 3600.0)) * 1000)
            deadline = time.monotonic() + min(wait_s, LONGEST_WAIT_S)
            request.poll_ms = round(max(0.0, min(30.0, deadline - time.monotonic())) * 1000)
            view = client.leases.ask(request)
            while view.phase == WAITING and time.monotonic() < deadline:
                view = client.leases.ask(request)
        held = {"dry_run": False, **lease_view(view), "token": request.token}
        if view.phase == WAITING:
            held["next"] = "it is not granted yet: call acquire_lease again with the same arguments and confirm"
        return held

    def renew(self, secret: str, number: int, token: str, ttl: str) -> Answer:
        """Let a lease end so much later than now."""
        with self._client(secret) as client:
            return lease_view(client.leases.renew(number, token, words.span_of(ttl)))

    def release(self, secret: str, number: int, token: str) -> Answer:
        """Give a lease back."""
        with self._client(secret) as client:
            return lease_view(client.leases.release(number, token))


def _amounts(options: Mapping[str, Any]) -> dict[str, Any]:
    names = ("cpus", "memory", "storage", "bandwidth", "gpus", "gpu_memory", "project")
    return {name: options[name] for name in names if options.get(name) not in ("", None)}


def _lease_of(options: Mapping[str, Any]) -> LeaseRequest:
    """What is asked for; the secrets are added once it is confirmed."""
    gpus = words.gpus_of(options["gpus"])
    return LeaseRequest(
        token="",
        name=options.get("name") or "agent",
        purpose=["agent", str(os.getpid())],
        cpu_milli=words.milli_of(options["cpus"]),
        memory_bytes=words.bytes_of(options["memory"]) if options.get("memory") else 0,
        storage_bytes=words.bytes_of(options["storage"]) if options.get("storage") else 0,
        bandwidth_bps=words.bits_of(options["bandwidth"]) if options.get("bandwidth") else 0,
        gpu_milli=gpus.milli,
        gpu_model=gpus.model,
        gpu_memory_bytes=words.bytes_of(options["gpu_memory"]) if options.get("gpu_memory") else 0,
        ttl_ms=words.span_of(options["ttl"]),
        project=options.get("project") or "default",
        priority=5,
        bound=False,
    )
