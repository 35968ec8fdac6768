"""One example for each body that a call takes, shown in the OpenAPI document: the shortest that is of use, to be sent as it stands.

Invariant: each is read by its struct without a word left over, and what names nothing of an installation is answered with success
(both are tests). Ids, names of nodes and secrets are such as an installation might have.
"""

from __future__ import annotations

from typing import Any, Final

_SECRET: Final = "a-secret-of-your-own-of-32-letters"

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "ActRequest": {"action": "cancel", "select": {"group": "sweep-1a2b3c", "states": ["pending"]}, "key": "act-4e1c7a52"},
    "ActionRequest": {"why": "the data was wrong"},
    "BackupRequest": {"path": "/var/backups/tenure.db"},
    "ConflictChoice": {"by": "priority", "favour": "12"},
    "EndRequest": {"guidance": 3},
    "FrontRequest": {"policy": "portfolio:profile=green"},
    "GuidanceRequest": {
        "steps": 2,
        "name": "thesis-*",
        "length_ms": 10_800_000,
        "note": "the deadline is tonight",
        "key": "guidance-4e1c7a52",
    },
    "JobPatch": {"priority": 7, "limit_ms": 14_400_000},
    "LeaseRequest": {
        "token": _SECRET,
        "key": "lease-4e1c7a52",
        "purpose": ["infer.py"],
        "cpu_milli": 500,
        "memory_bytes": 268_435_456,
        "ttl_ms": 60_000,
        "wait_ms": 30_000,
        "poll_ms": 5_000,
    },
    "NodeRequest": {"name": "gpu1", "status": "draining", "reason": "a new driver"},
    "PolicyRequest": {"policy": "fair-easy+fgd", "key": "policy-4e1c7a52"},
    "QueuePatch": {"max_limit_ms": 43_200_000, "bonus": -50},
    "QueueRequest": {"name": "night", "max_limit_ms": 43_200_000, "bonus": -50, "key": "queue-4e1c7a52"},
    "ReleaseRequest": {"token": _SECRET},
    "RemovalRequest": {"reservation": "course"},
    "RemoveUserRequest": {"name": "amy", "key": "remove-user-4e1c7a52"},
    "RenewRequest": {"token": _SECRET, "ttl_ms": 300_000},
    "ReservationRequest": {
        "name": "course",
        "project": "teaching",
        "nodes": ["gpu1"],
        "length_ms": 7_200_000,
        "key": "reservation-4e1c7a52",
    },
    "ResolveRequest": {"conflict": "resource-gpu", "by": "fair"},
    "RevokeRequest": {"token": "k3v7ab2q", "key": "revoke-4e1c7a52"},
    "Selection": {"states": ["active"], "mine": True, "limit": 50},
    "SimulationRequest": {
        "generate": "lublin:jobs=50,nodes=16",
        "policies": ["easy", "tenure"],
        "seed": 1,
        "key": "simulation-4e1c7a52",
    },
    "StrategyRequest": {"strategy": "fair_sharing"},
    "SubmitManyRequest": {
        "jobs": [
            {
                "argv": ["python3", "-c", f"print({seed})"],
                "cwd": "/tmp",
                "cpu_milli": 250,
                "limit_ms": 600_000,
                "key": f"submit-4e1c7a52-{seed}",
            }
            for seed in (1, 2)
        ]
    },
    "SubmitRequest": {
        "argv": ["python3", "-c", "print('hello')"],
        "cwd": "/tmp",
        "key": "submit-4e1c7a52",
        "name": "hello",
        "cpu_milli": 1000,
        "memory_bytes": 268_435_456,
        "limit_ms": 600_000,
    },
    "TokenRequest": {
        "key": "token-4e1c7a52",
        "label": "agent",
        "projects": ["vision"],
        "ttl_ms": 2_592_000_000,
        "gpu_hours": 10,
        "jobs": 4,
    },
    "UpdateRequest": {"select": {"states": ["pending"], "mine": True}, "limit_ms": 14_400_000},
    "UserRequest": {"name": "amy", "key": "user-4e1c7a52", "role": "user", "projects": {"vision": "operator"}},
    "WaitRequest": {"select": {"ids": ["last"]}, "timeout_ms": 1000},
    "WhatIfRequest": {
        "add_nodes": [{"count": 2, "cpu_milli": 64_000, "gpus": 8, "gpu_model": "A100", "gpu_memory_bytes": 85_899_345_920}],
        "limit": 20,
    },
}
"""By the name of the struct."""
