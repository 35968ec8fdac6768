"""The route about projects: standings as the planner counts them, at this moment and by the same functions.

Everything follows from a picture of the planner's board; only names come from the store. Invariant: nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from tenure.api.context import Context, answer, caller_from, context_of
from tenure.api.paging import page_of
from tenure.api.parameters import Cursor, Limit, Named
from tenure.api.routes import Routes
from tenure.core.board import Board
from tenure.core.ledger import Account
from tenure.core.picture import Picture
from tenure.core.shares import WHOLE, Part, capacity_of, dominant, parts_of
from tenure.model.access import Caller, Permission
from tenure.model.amounts import MILLI, format_bytes, format_milli
from tenure.model.job import PendingJob
from tenure.model.project import Bundle, Project
from tenure.model.snapshot import Snapshot
from tenure.wire import ROOT
from tenure.wire.sharing import Portion, ProjectsReply, ProjectView, SharerView
from tenure.wire.text import count_text

routes = Routes(ROOT)
MILLION = 1_000_000


async def all_projects(request: Request) -> ProjectsReply:
    """The standings of all projects that the caller has to do with."""
    context = context_of(request)
    picture = await context.on_control(lambda: picture_of(context))
    named, users = await asyncio.to_thread(context.queries.sharers)
    return seen_by(standings(picture, named, users), caller_from(request))


@routes.get("/projects", ProjectsReply, needs=Permission.CLUSTER_READ)
async def projects(request: Request, user: Named = "", limit: Limit = 100, cursor: Cursor = "") -> Response:
    """A page of projects by name: weight, quota, maximum, what they hold and held, and what share that is; with ``user`` those in
    which that user has held something."""
    found = await all_projects(request)
    wanted = [one for one in found.projects if not user or any(each.user == user for each in one.users)]
    page, more = page_of("projects", wanted, lambda one: (one.name,), limit, cursor)
    return answer(replace(found, projects=page, next=more))


def seen_by(reply: ProjectsReply, caller: Caller) -> ProjectsReply:
    """Of the standings those of the projects that the caller has to do with; of people in others than his own only himself."""
    if caller.sees_all:
        return reply
    reply.projects = [view for view in reply.projects if caller.role_in(view.name) or caller.may_use(view.name)]
    for view in reply.projects:
        if not caller.role_in(view.name):
            view.users = [user for user in view.users if user.user == caller.user]
    return reply


def picture_of(context: Context) -> Picture:
    """The queue as the planner sees it. On the control thread, and nothing but references: the planner's board is no trial's."""
    loop = context.loop
    now_ms = loop.clock.now_ms()
    return Picture.of(loop.planner.follow(loop.ports, now_ms), now_ms)


def standings(picture: Picture, names: Mapping[int, str], users: Mapping[int, str]) -> ProjectsReply:
    """The standing of every project that has a name."""
    capacity = capacity_of(picture.nodes)
    of_projects, of_users = parts_of(picture.ledger(), picture.now_ms)
    known = {project.id: project for project in picture.projects}
    weights = {number: known.get(number, Project(number)).weight_milli for number in names}
    total = max(sum(weights.values()), 1)
    views = []
    for number, name in sorted(names.items(), key=lambda item: item[1]):
        project, part = known.get(number, Project(number)), of_projects.get(number, Part())
        share = dominant(part.counted, capacity)
        views.append(
            ProjectView(
                name=name,
                weight_milli=project.weight_milli,
                quota=portion(project.quota),
                maximum=portion(project.maximum),
                borrow=project.borrow,
                held=portion(part.held),
                held_of_late=portion(part.mean),
                share_millionths=share * MILLION // WHOLE,
                entitled_millionths=weights[number] * MILLION // total,
                factor_milli=share * total * MILLI // (weights[number] * WHOLE),
                pending=sum(job.array_left for job in picture.waiting if job.project == number),
                running=sum(job.project == number for job in picture.running),
                users=_users(number, of_users, users, capacity),
            )
        )
    return ProjectsReply(capacity=portion(capacity), half_life_ms=picture.settings.half_life_ms, projects=views)


def _users(project: int, parts: Mapping[Account, Part], names: Mapping[int, str], capacity: Bundle) -> list[SharerView]:
    found = [(names.get(user, str(user)), part) for (of, user), part in parts.items() if of == project]
    return [
        SharerView(
            user=name,
            held=portion(part.held),
            held_of_late=portion(part.mean),
            share_millionths=dominant(part.counted, capacity) * MILLION // WHOLE,
        )
        for name, part in sorted(found, key=lambda item: item[0])
    ]


def standing_text(snapshot: Snapshot, job: PendingJob, project: str, user: str) -> str:
    """How a job's project and user stand, with the numbers that the order ``fair`` goes by."""
    picture = Picture.of(Board.of(snapshot), snapshot.now_ms)
    capacity, (of_projects, of_users) = capacity_of(snapshot.nodes), parts_of(picture.ledger(), snapshot.now_ms)
    whole, own = of_projects.get(job.project, Part()), of_users.get((job.project, job.user), Part())
    weight_milli = next((known.weight_milli for known in snapshot.projects if known.id == job.project), MILLI)
    share, mine = dominant(whole.counted, capacity), dominant(own.counted, capacity)
    by_weight = (
        f", by its weight of {format_milli(weight_milli)} {_percent(share * MILLI // weight_milli)}" if weight_milli != MILLI else ""
    )
    return (
        f"project {project} holds {_bundle_text(whole.held)} and held {_bundle_text(whole.mean)} of late: "
        f"{_percent(share)} of the cluster{by_weight}; of it user {user} has {_percent(mine)}"
    )


def _bundle_text(bundle: Bundle) -> str:
    parts = [count_text(bundle.gpu_milli, "GPU")] if bundle.gpu_milli else []
    parts += [count_text(bundle.cpu_milli, "cpu")] if bundle.cpu_milli else []
    parts += [f"{format_bytes(bundle.memory_bytes)} of memory"] if bundle.memory_bytes else []
    return ", ".join(parts) or "nothing"


def _percent(share: int) -> str:
    return f"{share * 1000 // WHOLE / 10:.1f} %"


def portion(bundle: Bundle) -> Portion:
    """A bundle as the wire shows it."""
    return Portion(cpu_milli=bundle.cpu_milli, memory_bytes=bundle.memory_bytes, gpu_milli=bundle.gpu_milli)
