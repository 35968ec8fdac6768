"""The truth in a database: jobs, what they hold, why they wait. `open_sqlite` gives a store that implements `tenure.ports.Store`."""

from __future__ import annotations

from tenure.store.opening import open_sqlite
from tenure.store.settings import StoreSettings
from tenure.store.store import SqlStore

__all__ = ["SqlStore", "StoreSettings", "open_sqlite"]
