"""What the daemon says of projects: what each is entitled to, holds and has held, as numbers that a person can check by hand."""

from __future__ import annotations

import msgspec

from tenure.wire.base import Page, Reply


class Portion(Reply):
    """An amount of each shared resource; -1 in a quota or a maximum: nothing is said of it."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    gpu_milli: int = 0


class SharerView(Reply):
    """One user of a project: what is held now, was held of late on average, and their sum as a part of the cluster, in millionths."""

    user: str
    held: Portion
    held_of_late: Portion
    share_millionths: int = 0


class ProjectView(Reply):
    """One project. ``share_millionths`` is the largest part of any resource that it holds and held of late together,
    ``entitled_millionths`` its weight among those of all listed; ``factor_milli`` is the first by the second: lower goes first."""

    name: str
    weight_milli: int
    quota: Portion
    maximum: Portion
    held: Portion
    held_of_late: Portion
    borrow: bool = True
    share_millionths: int = 0
    entitled_millionths: int = 0
    factor_milli: int = 0
    pending: int = 0
    running: int = 0
    users: list[SharerView] = msgspec.field(default_factory=list)


class ProjectsReply(Page):
    """Projects that have jobs, have had some, or are named in the settings, by name. ``capacity`` is what shares are parts of."""

    capacity: Portion
    half_life_ms: int
    projects: list[ProjectView]
