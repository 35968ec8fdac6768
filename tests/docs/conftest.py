"""The pages are executed once there is a daemon to execute them with; until then they are not collected."""

from __future__ import annotations

collect_ignore = ["test_pages.py"]
