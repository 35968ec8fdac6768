"""``GET /metrics``: how the installation stands, for Prometheus; made when it is asked for, so it costs nothing otherwise.

Nothing in it names a job, a user or a project, so that its number of series does not grow with work, and whoever may read it learns
nothing of anybody. Invariant: the names below are what the board in ``deploy/grafana`` asks for (a test compares them).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, context_of
from tenure.api.exposition import CONTENT_TYPE, Family, exposition
from tenure.api.monitoring import Seen, merged, seen_by
from tenure.api.routes import Routes
from tenure.model.access import Permission
from tenure.model.anomaly import KINDS
from tenure.model.lifecycle import JobState
from tenure.wire.dto import NodesReply, QueuesReply
from tenure.wire.monitoring import GpuSample

routes = Routes("")
_STATES = ("available", "in_use", "error")


@routes.get("/metrics", media=CONTENT_TYPE.partition(";")[0], needs=Permission.CLUSTER_READ)
async def metrics(request: Request) -> Response:
    """Everything as OpenMetrics."""
    return Response(await scraped(context_of(request)), media_type=CONTENT_TYPE)


async def scraped(context: Context) -> bytes:
    """The text as of now."""
    nodes = await asyncio.to_thread(context.queries.nodes)
    queues = await asyncio.to_thread(context.queries.queues)
    counts = await asyncio.to_thread(context.queries.counts)
    troubles = await asyncio.to_thread(context.queries.anomalies)
    families = [*_of_daemon(context), *_of_jobs(counts, queues), *_of_nodes(nodes)]
    if context.watch is not None:
        families.append(_of_troubles([one.kind for one in troubles]))
        seen = seen_by(context)
        families += [*_of_hosts(seen), *_of_gpus(merged(nodes.devices, seen.gpus)), *_of_monitoring(seen)]
    return exposition(families)


def _of_daemon(context: Context) -> list[Family]:
    health = context.loop.health
    is_exposed = context.listener is not None and context.listener.is_exposed
    present = "How long the present turn has taken; 0 while it sleeps."
    return [
        Family("tenure_build_info", "gauge", "The version that runs.", [({"version": context.version}, 1)]),
        Family("tenure_start_time_seconds", "gauge", "When the daemon started.", [({}, context.started_ms / 1000)]),
        Family("tenure_insecure_listener", "gauge", "Whether it listens beyond this machine without TLS.", [({}, is_exposed)]),
        Family("tenure_loop_turns", "counter", "Turns of the control loop.", [({}, health.cycles)]),
        Family("tenure_loop_errors", "counter", "Turns of the control loop that failed.", [({}, health.errors)]),
        Family("tenure_loop_turn_seconds", "gauge", present, [({}, health.stuck_for_s())]),
    ]


def _of_jobs(counts: dict[str, int], queues: QueuesReply) -> list[Family]:
    by_state = [({"state": str(state)}, counts.get(state, 0)) for state in JobState]
    waiting = [({"queue": queue.name}, queue.pending) for queue in queues.queues]
    running = [({"queue": queue.name}, queue.running) for queue in queues.queues]
    return [
        Family("tenure_jobs", "gauge", "Jobs by state; an array counts once.", by_state),
        Family("tenure_queue_pending", "gauge", "Jobs that wait in a queue.", waiting),
        Family("tenure_queue_running", "gauge", "Jobs of a queue that run.", running),
    ]


def _of_troubles(kinds: Sequence[str]) -> Family:
    samples = [({"kind": kind}, kinds.count(kind)) for kind in KINDS]
    return Family("tenure_anomalies_open", "gauge", "What has gone on for too long.", samples)


def _of_nodes(reply: NodesReply) -> list[Family]:
    def each(name: str, text: str, value: str, scale: float = 1.0) -> Family:
        samples = [({"node": node.name}, getattr(node, value) * scale) for node in reply.nodes]
        return Family(f"tenure_node_{name}", "gauge", text, samples)

    return [
        Family("tenure_node_up", "gauge", "Whether a node takes work.", [({"node": n.name}, n.status == "up") for n in reply.nodes]),
        each("cpus", "Processors that a node offers.", "cpu_milli", 0.001),
        each("cpus_held", "Processors that jobs hold.", "used_cpu_milli", 0.001),
        each("memory_bytes", "Memory that a node offers.", "memory_bytes"),
        each("memory_held_bytes", "Memory that jobs hold.", "used_memory_bytes"),
        each("storage_bytes", "Scratch space that a node offers.", "storage_bytes"),
        each("storage_held_bytes", "Scratch space that jobs hold.", "used_storage_bytes"),
        each("bandwidth_bits_per_second", "Bandwidth that a node offers.", "bandwidth_bps"),
        each("bandwidth_held_bits_per_second", "Bandwidth that jobs hold.", "used_bandwidth_bps"),
        each("gpus", "GPUs that a node offers.", "devices"),
        each("gpus_held", "GPUs that jobs hold, fractions counted.", "devices_used_milli", 0.001),
    ]


def _of_hosts(seen: Seen) -> list[Family]:
    def each(name: str, text: str, value: str, scale: float = 1.0) -> Family:
        found = getattr(seen.host, value) if seen.host is not None else None
        samples = [] if found is None or seen.host is None else [({"node": seen.host.node}, found * scale)]
        return Family(f"tenure_host_{name}", "gauge", text, samples)

    return [
        each("cpu_utilisation_ratio", "How busy all processors are.", "utilisation_percent", 0.01),
        each("load1", "Processes that run or want to, averaged over a minute.", "load_1m"),
        each("memory_total_bytes", "Memory of the machine.", "memory_bytes"),
        each("memory_used_bytes", "Memory in use that could not be given back at once.", "memory_used_bytes"),
        each("disk_read_bytes_per_second", "Read from disks.", "disk_read_bytes_per_s"),
        each("disk_written_bytes_per_second", "Written to disks.", "disk_written_bytes_per_s"),
        each("network_received_bytes_per_second", "Received over all interfaces.", "network_received_bytes_per_s"),
        each("network_sent_bytes_per_second", "Sent over all interfaces.", "network_sent_bytes_per_s"),
        each("temperature_celsius", "The hottest sensor of the processors.", "temperature_c"),
    ]


def _of_gpus(gpus: Sequence[GpuSample]) -> list[Family]:
    def each(name: str, text: str, value: str, scale: float = 1.0) -> Family:
        found = [(_gpu(gpu), getattr(gpu, value)) for gpu in gpus]
        return Family(f"tenure_gpu_{name}", "gauge", text, [(labels, None if v is None else v * scale) for labels, v in found])

    states = [({**_gpu(gpu), "state": state}, float(gpu.state == state)) for gpu in gpus for state in _STATES]
    return [
        Family("tenure_gpu_state", "gauge", "1 for the state that a GPU is in.", states),
        Family("tenure_gpu_held", "gauge", "Whether a job holds a GPU or a part of it.", [(_gpu(gpu), bool(gpu.jobs)) for gpu in gpus]),
        each("utilisation_ratio", "How busy a GPU is.", "utilisation_percent", 0.01),
        each("memory_total_bytes", "Memory of a GPU.", "memory_bytes"),
        each("memory_used_bytes", "Memory of a GPU in use.", "memory_used_bytes"),
        each("temperature_celsius", "Temperature of a GPU.", "temperature_c"),
        each("power_watts", "Power that a GPU draws.", "power_mw", 0.001),
    ]


def _gpu(gpu: GpuSample) -> dict[str, str]:
    return {"node": gpu.node, "gpu": str(gpu.index), "uuid": gpu.uuid, "model": gpu.model}


def _of_monitoring(seen: Seen) -> list[Family]:
    running = sum(one.state == "running" for one in seen.containers.containers)
    return [
        Family("tenure_containers_running", "gauge", "Containers that run on the machine.", [({}, running)]),
        Family("tenure_monitor_looks", "counter", "Looks that went well.", [({"sampler": v.name}, v.samples) for v in seen.samplers]),
        Family("tenure_monitor_errors", "counter", "Looks that failed.", [({"sampler": v.name}, v.errors) for v in seen.samplers]),
    ]
