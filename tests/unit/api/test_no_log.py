"""A job without a log is told apart from one whose log was removed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tenure.api.context import Context
from tenure.api.streams import no_log
from tenure.store import open_sqlite
from tenure.store.settings import StoreSettings
from tenure.store.store import SqlStore
from tenure.testing.store_rig import StoreRig, ended


def test_a_log_that_retention_has_removed_is_called_so(tmp_path: Path) -> None:
    rig = StoreRig(lambda: open_sqlite(str(tmp_path / "tenure.db"), StoreSettings(keep_released_ms=1_000, ballast_bytes=0)))
    assert isinstance(rig.store, SqlStore)
    queries = rig.store.queries()
    try:
        waits, ran = rig.submit(), rig.submit()
        rig.record(ended(rig.run(ran)))
        rig.now_ms += 10_000
        rig.store.retain(rig.now_ms)
        context = Context(None, queries, None, tmp_path, tmp_path)  # type: ignore[arg-type]
        said = [asyncio.run(no_log(context, number, -1, str(number))).reply.message for number in (waits, ran)]
        assert said == [
            f"job {waits} has not written a log",
            f"the log of job {ran} is no longer kept (settings: retention.runs)",
        ]
    finally:
        queries.close()
        rig.store.close()
