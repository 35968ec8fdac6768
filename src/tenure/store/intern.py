"""Names and immutable values as small numbers, with caches: shapes, specs, users, projects, queues, nodes and devices.

Why: the hot path must not join five tables to turn numbers into names. Only what never changes for an id is cached (a shape's
content, a spec's body, a node's name); queues may change and are dropped from the cache by whoever writes them. After a rollback all
caches are dropped, because a number may have been taken back.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import func, select

from tenure.model.amounts import Amounts
from tenure.model.commands import Caller, Holder, JobSpec
from tenure.model.guidance import ClassGuidance
from tenure.model.queue import Queue
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.store.chosen import last_choice, plan_settings
from tenure.store.guided import classes as classes_guided
from tenure.store.measured import anomaly, series, simulation
from tenure.store.people_schema import token
from tenure.store.plan_schema import conflict, guidance, policy_choice, reservation
from tenure.store.schema import device, job_context, job_spec, node, project, queue, shape, user
from tenure.store.sql import InList, Link, Statement, const, insert, param
from tenure.store.windows import ReservationRow, standing

_stable = msgspec.json.Encoder(order="deterministic").encode
_MAX_DIGESTS = 4096
_MAX_BODIES = 64

_SHAPE_COLUMNS = (
    "cpu_milli",
    "memory_bytes",
    "storage_bytes",
    "bandwidth_bps",
    "gpu_milli",
    "gpu_memory_bytes",
    "gpu_model",
    "tasks",
    "nodes",
    "labels",
    "app",
    "max_per_node",
    "prefer",
    "prefer_wait_ms",
)
SHAPE_BY_DIGEST = Statement(select(shape.c.id).where(shape.c.digest == param("digest")), "digest")
SHAPES_ALL = Statement(select(shape.c.id, *(shape.c[name] for name in _SHAPE_COLUMNS)))
SHAPES_BY_ID = InList(lambda keys: select(shape.c.id, *(shape.c[name] for name in _SHAPE_COLUMNS)).where(shape.c.id.in_(keys)))
INSERT_SHAPE = insert(shape, "id", *_SHAPE_COLUMNS[:-4], "digest", *_SHAPE_COLUMNS[-4:])

SPEC_BY_DIGEST = Statement(select(job_spec.c.id).where(job_spec.c.digest == param("digest")), "digest")
SPEC_BY_ID = Statement(select(job_spec.c.body, job_spec.c.context_id).where(job_spec.c.id == param("id")), "id")
CONTEXT_BY_ID = Statement(select(job_context.c.body).where(job_context.c.id == param("id")), "id")
INSERT_SPEC = insert(job_spec, "id", "digest", "context_id", "body")
CONTEXT_BY_DIGEST = Statement(select(job_context.c.id).where(job_context.c.digest == param("digest")), "digest")
INSERT_CONTEXT = insert(job_context, "id", "digest", "body")

USER_BY_UID = Statement(select(user.c.id, user.c.name).where(user.c.uid == param("uid")), "uid")
INSERT_USER = insert(user, "id", "uid", "name")
RENAME_USER = Statement(user.update().values(name=param("name")).where(user.c.id == param("id")), "name", "id")
PROJECT_BY_NAME = Statement(select(project.c.id).where(project.c.name == param("name")), "name")
PROJECTS_ALL = Statement(select(project.c.id, project.c.name))
INSERT_PROJECT = insert(project, "id", "name")
QUEUES_ALL = Statement(
    select(queue.c.id, queue.c.name, queue.c.paused, queue.c.default_limit_ms, queue.c.max_limit_ms, queue.c.bonus).order_by(queue.c.id)
)
INSERT_QUEUE = insert(queue, "id", "name", "paused", "default_limit_ms", "max_limit_ms", "bonus")
NODE_NAMES = Statement(select(node.c.id, node.c.name))
DEVICE_NAMES = Statement(select(device.c.id, device.c.uuid, device.c.device_index))

_LAST_ID = {
    table: Statement(select(func.coalesce(func.max(table.c.id), const(0))))
    for table in (
        shape,
        job_spec,
        job_context,
        user,
        project,
        queue,
        policy_choice,
        conflict,
        reservation,
        guidance,
        series,
        anomaly,
        simulation,
        token,
    )
}


def next_id(link: Link, table: Any) -> int:
    """The next number of a small table; only under the writer's lock."""
    row = link.row(_LAST_ID[table])
    return int(row[0]) + 1 if row else 1


def digest_of(*parts: bytes) -> str:
    """A content address."""
    state = blake2b(digest_size=16)
    for part in parts:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.hexdigest()


def encode_stable(value: Any) -> bytes:
    """JSON that is the same for equal values."""
    return _stable(value)


class Names:
    """The caches of one connection's owner."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Drop everything cached."""
        self._shape_ids: dict[Shape, int] = {}
        self._shapes: dict[int, Shape] = {}
        self._spec_ids: dict[str, int] = {}
        self._context_ids: dict[str, int] = {}
        self._specs: dict[int, JobSpec] = {}
        self._contexts: dict[int, tuple[dict[str, str], str, dict[str, str]]] = {}
        self._users: dict[int, tuple[int, str]] = {}
        self._projects: dict[str, int] = {}
        self._project_names: dict[int, str] = {}
        self._queues: dict[str, Queue] | None = None
        self._plan: PlanSettings | None = None
        self._reservations: tuple[ReservationRow, ...] | None = None
        self._guidance: tuple[ClassGuidance, ...] | None = None
        self._strategy: str | None = None
        self._nodes: dict[int, str] = {}
        self._devices: dict[int, tuple[str, int]] = {}

    def shape_id(self, link: Link, value: Shape) -> int:
        """The number of a shape, made when it is new."""
        found = self._shape_ids.get(value)
        if found is not None:
            return found
        labels = tuple(sorted(set(value.labels)))
        columns = (*value.amounts.as_tuple(), value.gpu_milli, value.gpu_memory_bytes, value.gpu_model, value.tasks, value.nodes)
        text = msgspec.json.encode(labels).decode()
        beside = (value.app, value.max_per_node)
        wish = (",".join(value.prefer), value.prefer_wait_ms)
        # What most shapes have not is left out, so that those of older versions are found again.
        added = (*((beside,) if value.app or value.prefer else ()), *((wish,) if value.prefer else ()))
        digest = digest_of(encode_stable((columns, labels, *added)))
        row = link.row(SHAPE_BY_DIGEST, digest)
        if row is None:
            number = next_id(link, shape)
            link.write(INSERT_SHAPE, number, *columns, text, digest, *beside, *wish)
        else:
            number = int(row[0])
        self._shape_ids[value] = number
        return number

    def shape(self, link: Link, number: int) -> Shape:
        """The shape of a number. Raises KeyError for one that does not exist."""
        if number not in self._shapes:
            self._keep_shapes(link.rows_in(SHAPES_BY_ID, [number]))
        return self._shapes[number]

    def all_shapes(self, link: Link) -> dict[int, Shape]:
        """Every shape by number."""
        self._keep_shapes(link.rows(SHAPES_ALL))
        return dict(self._shapes)

    def _keep_shapes(self, rows: list[tuple[Any, ...]]) -> None:
        for number, cpu, memory, storage, bandwidth, gpu, gpu_memory, model, tasks, nodes, labels, app, most, prefer, wait in rows:
            if number not in self._shapes:
                names = tuple(msgspec.json.decode(labels))
                amounts = Amounts(cpu, memory, storage, bandwidth)
                wish = tuple(prefer.split(",")) if prefer else ()
                self._shapes[number] = Shape(amounts, gpu, gpu_memory, model, tasks, nodes, names, app, most, wish, wait)

    def spec_id(self, link: Link, value: JobSpec) -> int:
        """The number of a spec, made when it is new."""
        shared = encode_stable((value.env, value.script, value.origin))
        holder = (value.holder,) if value.holder is not None else ()
        body = encode_stable((value.argv, value.cwd, value.stdout, value.stderr, value.umask, value.submit_dir, *holder))
        context_digest = digest_of(shared)
        digest = digest_of(body, context_digest.encode())
        found = self._spec_ids.get(digest)
        if found is not None:
            return found
        row = link.row(SPEC_BY_DIGEST, digest)
        if row is None:
            number = next_id(link, job_spec)
            link.write(INSERT_SPEC, number, digest, self._context_id(link, context_digest, shared), body)
        else:
            number = int(row[0])
        if len(self._spec_ids) >= _MAX_DIGESTS:
            self._spec_ids.clear()
        self._spec_ids[digest] = number
        return number

    def _context_id(self, link: Link, digest: str, body: bytes) -> int:
        found = self._context_ids.get(digest)
        if found is not None:
            return found
        row = link.row(CONTEXT_BY_DIGEST, digest)
        number = int(row[0]) if row else next_id(link, job_context)
        if row is None:
            link.write(INSERT_CONTEXT, number, digest, body)
        if len(self._context_ids) >= _MAX_DIGESTS:
            self._context_ids.clear()
        self._context_ids[digest] = number
        return number

    def spec(self, link: Link, number: int) -> JobSpec:
        """The spec of a number. Raises KeyError for one that does not exist."""
        found = self._specs.get(number)
        if found is None:
            row = link.row(SPEC_BY_ID, number)
            if row is None:
                raise KeyError(number)
            found = _spec_of(row[0], self._context(link, int(row[1])))
            if len(self._specs) >= _MAX_BODIES:
                self._specs.clear()
            self._specs[number] = found
        return found

    def _context(self, link: Link, number: int) -> tuple[dict[str, str], str, dict[str, str]]:
        found = self._contexts.get(number)
        if found is None:
            row = link.row(CONTEXT_BY_ID, number)
            if row is None:
                raise KeyError(number)
            found = tuple(msgspec.json.decode(row[0]))
            if len(self._contexts) >= _MAX_BODIES:
                self._contexts.clear()
            self._contexts[number] = found
        return found

    def user_id(self, link: Link, caller: Caller) -> int:
        """The number of a person, made when new; a changed name is kept up to date."""
        known = self._users.get(caller.uid)
        if known is None:
            row = link.row(USER_BY_UID, caller.uid)
            if row is None:
                known = (next_id(link, user), caller.user)
                link.write(INSERT_USER, known[0], caller.uid, caller.user)
            else:
                known = (int(row[0]), str(row[1]))
        if known[1] != caller.user:
            link.write(RENAME_USER, caller.user, known[0])
            known = (known[0], caller.user)
        self._users[caller.uid] = known
        return known[0]

    def project_id(self, link: Link, name: str) -> int:
        """The number of a project, made when new."""
        found = self._projects.get(name)
        if found is None:
            row = link.row(PROJECT_BY_NAME, name)
            found = int(row[0]) if row else next_id(link, project)
            if row is None:
                link.write(INSERT_PROJECT, found, name)
            self._projects[name] = found
        return found

    def project_name(self, link: Link, number: int) -> str:
        """The name of a project. Raises KeyError for one that does not exist."""
        if number not in self._project_names:
            self._project_names = {int(i): str(name) for i, name in link.rows(PROJECTS_ALL)}
        return self._project_names[number]

    def queues(self, link: Link) -> dict[str, Queue]:
        """All queues by name, in the order of their numbers."""
        if self._queues is None:
            rows = link.rows(QUEUES_ALL)
            self._queues = {name: Queue(number, name, bool(paused), *rest) for number, name, paused, *rest in rows}
        return self._queues

    def plan(self, link: Link, own: PlanSettings) -> PlanSettings:
        """What the chosen policy plans with; ``own`` is what the settings say."""
        if self._plan is None:
            self._plan = plan_settings(link, own)
        return self._plan

    def strategy(self, link: Link) -> str:
        """The strategy that an adaptive policy follows now."""
        if self._strategy is None:
            choice = last_choice(link)
            self._strategy = choice.strategy if choice is not None else ""
        return self._strategy

    def forget_plan(self) -> None:
        """To be called by whoever chooses another policy."""
        self._plan = self._strategy = None

    def reservations(self, link: Link) -> tuple[ReservationRow, ...]:
        """The reservations that nobody has taken back, by id; those that are over stay among them for a while."""
        if self._reservations is None:
            self._reservations = standing(link)
        return self._reservations

    def forget_reservations(self) -> None:
        """Somebody writes reservations: read them afresh."""
        self._reservations = None

    def guidance(self, link: Link) -> tuple[ClassGuidance, ...]:
        """The classes of work that are raised or lowered now."""
        if self._guidance is None:
            self._guidance = classes_guided(link)
        return self._guidance

    def forget_guidance(self) -> None:
        """Somebody gives or ends guidance: read it afresh."""
        self._guidance = None

    def forget_queues(self) -> None:
        """Somebody writes queues: read them afresh."""
        self._queues = None

    def node_name(self, link: Link, number: int) -> str:
        """The name of a node. Raises KeyError for one that does not exist."""
        if number not in self._nodes:
            self._nodes = {int(i): str(name) for i, name in link.rows(NODE_NAMES)}
        return self._nodes[number]

    def device(self, link: Link, number: int) -> tuple[str, int]:
        """The uuid and the index of a device. Raises KeyError for one that does not exist."""
        if number not in self._devices:
            self._devices = {int(i): (str(uuid), int(index)) for i, uuid, index in link.rows(DEVICE_NAMES)}
        return self._devices[number]

    def forget_nodes(self) -> None:
        """Somebody writes nodes or devices: read them afresh."""
        self._nodes = {}
        self._devices = {}


def _spec_of(body: bytes, context: tuple[dict[str, str], str, dict[str, str]]) -> JobSpec:
    argv, cwd, stdout, stderr, umask, submit_dir, *holder = msgspec.json.decode(body)
    env, script, origin = context
    whose = Holder(**holder[0]) if holder else None
    return JobSpec(tuple(argv), cwd, env, stdout, stderr, script, umask, submit_dir, origin, whose)
