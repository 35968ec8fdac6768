"""Who may do what: roles, permissions, and the caller who has them. Pure values; nothing here knows where an identity comes from.

A permission is what a call needs; a role is a set of permissions, and a greater role has all of a smaller one's. Beside the role over
the whole installation a person has a role in each project that he is a member of, and a token may narrow all of it. Everything is
denied that is not allowed here. Names are compared whole, never by how they begin.
Invariant: a narrower caller (a smaller role, a token with fewer projects or permissions) may never do what the wider one may not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

DEFAULT_PROJECT = "default"
"""Everybody who may submit may submit to it. It gives nobody a look at the jobs of others."""


class Role(IntEnum):
    """What somebody may do, the least first. ``NOBODY`` is no role: it may nothing."""

    NOBODY = 0
    VIEWER = 1
    USER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """As people write it."""
        return self.name.lower()

    @staticmethod
    def of(word: str) -> Role:
        """The role that a word names. Raises ValueError."""
        if word not in ROLE_WORDS:
            raise ValueError(f"{word!r} is no role; roles are {', '.join(ROLE_WORDS)}")
        return Role[word.upper()]


ROLE_WORDS = tuple(role.word for role in Role if role)


class Permission(StrEnum):
    """What a call needs. ``PUBLIC`` needs nobody: only what tells that a daemon is alive."""

    PUBLIC = "public"
    SELF_READ = "self.read"
    CLUSTER_READ = "cluster.read"
    JOBS_READ = "jobs.read"
    TOKENS_WRITE = "tokens.write"
    JOBS_WRITE = "jobs.write"
    MACHINE_READ = "machine.read"
    CLUSTER_WRITE = "cluster.write"
    POLICY_WRITE = "policy.write"
    AUDIT_READ = "audit.read"
    USERS_WRITE = "users.write"
    DAEMON_WRITE = "daemon.write"


LOWEST: dict[Permission, Role] = {
    Permission.PUBLIC: Role.NOBODY,
    Permission.SELF_READ: Role.VIEWER,
    Permission.CLUSTER_READ: Role.VIEWER,
    Permission.JOBS_READ: Role.VIEWER,
    Permission.TOKENS_WRITE: Role.VIEWER,
    Permission.JOBS_WRITE: Role.USER,
    Permission.MACHINE_READ: Role.OPERATOR,
    Permission.CLUSTER_WRITE: Role.OPERATOR,
    Permission.POLICY_WRITE: Role.OPERATOR,
    Permission.AUDIT_READ: Role.ADMIN,
    Permission.USERS_WRITE: Role.ADMIN,
    Permission.DAEMON_WRITE: Role.ADMIN,
}
"""The smallest role that has each permission."""

READING = frozenset({Permission.SELF_READ, Permission.CLUSTER_READ, Permission.JOBS_READ})
"""What a token that only reads may."""

IN_PROJECTS = READING | {Permission.PUBLIC, Permission.TOKENS_WRITE, Permission.JOBS_WRITE}
"""What still means something to a token that is for some projects only: all else concerns everybody."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What may be spent under one token; 0 is no bound. ``gpu_milli_ms`` counts thousandths of a GPU times milliseconds, of what has
    ended as it was and of what has not as it may become; ``jobs`` are jobs and leases that are not over."""

    gpu_milli_ms: int = 0
    jobs: int = 0
    lease_ms: int = 0


NO_CAPS = Caps()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as the transport vouches for it: the uid (of somebody without an account here a number above all uids), the name, the
    role over everything, the roles in projects by name, the projects (None: all) and permissions (None: all that the role has) to
    which the token narrows it, and that token's number (0: none) and caps. ``via`` says how he came: ``unix``, ``token``, ``session``.
    """

    uid: int
    user: str
    role: Role = Role.USER
    projects: tuple[tuple[str, Role], ...] = ()
    only: tuple[str, ...] | None = None
    verbs: frozenset[Permission] | None = None
    token: int = 0
    caps: Caps = NO_CAPS
    via: str = "unix"

    @property
    def sees_all(self) -> bool:
        """Whether no job is hidden from him."""
        return self.role >= Role.OPERATOR and self.only is None

    def may(self, permission: Permission) -> bool:
        """Whether he may make calls that need this."""
        if self.verbs is not None and permission not in self.verbs and permission is not Permission.PUBLIC:
            return False
        if self.only is not None and permission not in IN_PROJECTS:
            return False
        return self.role >= LOWEST[permission]

    def role_in(self, project: str) -> Role:
        """What he may do with the jobs of others in a project."""
        if not self._reaches(project):
            return Role.NOBODY
        if self.role >= Role.OPERATOR:
            return self.role
        found = next((role for name, role in self.projects if name == project), Role.NOBODY)
        return min(found, self.role if self.role <= Role.VIEWER else Role.OPERATOR)

    def sees(self, uid: int, project: str) -> bool:
        """Whether he may look at a job that this uid submitted for a project."""
        return (uid == self.uid and self.role > Role.NOBODY and self._reaches(project)) or self.role_in(project) >= Role.VIEWER

    def acts_on(self, uid: int, project: str) -> bool:
        """Whether he may change such a job: his own, or as an operator."""
        own = uid == self.uid and self._reaches(project)
        return self.role >= Role.USER and (own or self.role_in(project) >= Role.OPERATOR)

    def may_use(self, project: str) -> bool:
        """Whether he may submit for a project."""
        if self.role < Role.USER:
            return False
        return self.role_in(project) >= Role.USER or (project == DEFAULT_PROJECT and self._reaches(project))

    def _reaches(self, project: str) -> bool:
        return self.only is None or project in self.only


@dataclass(frozen=True, slots=True)
class Scope:
    """To what a token narrows whoever has it; as it stands it narrows nothing."""

    role: Role = Role.ADMIN
    only: tuple[str, ...] | None = None
    verbs: frozenset[Permission] | None = None
    caps: Caps = NO_CAPS

    def narrow(self, caller: Caller, token: int, via: str) -> Caller:
        """The caller as he comes with the token."""
        return replace(
            caller,
            role=min(caller.role, self.role),
            projects=tuple((name, min(role, self.role)) for name, role in caller.projects),
            only=self.only,
            verbs=self.verbs,
            token=token,
            caps=self.caps,
            via=via,
        )


SCHEDULER = Caller(-1, "tenure", Role.ADMIN, via="daemon")
"""The daemon itself: no transport ever vouches for its uid."""
