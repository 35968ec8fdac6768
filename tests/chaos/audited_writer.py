"""A process that submits jobs and makes users for ever and prints the last job that is acknowledged; it is there to be killed."""

from __future__ import annotations

import sys

from tenure.model.access import Caller, Role
from tenure.model.commands import Applied, JobRequest, SubmitJob
from tenure.model.people import SetUser
from tenure.store import StoreSettings, open_sqlite
from tenure.testing.store_rig import ADA, ONE_CPU, SPEC

ROOT = Caller(0, "root", Role.ADMIN)


def main(path: str) -> None:
    """Write until killed."""
    store = open_sqlite(path, StoreSettings(ballast_bytes=0))
    number = len(store.queries().people())
    while True:
        number += 1
        jobs = [SubmitJob("", ADA, JobRequest("job", ONE_CPU), SPEC) for _ in range(1 + number % 3)]
        with store.group():
            answers = store.apply(jobs, number)
            store.apply([SetUser("", ROOT, f"user-{number}", role=Role.USER)], number)
        last = answers[-1]
        assert isinstance(last, Applied)
        sys.stdout.write(f"{last.job_id}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
