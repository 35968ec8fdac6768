"""Closed lists: reasons survive being written down, lifecycles lead somewhere, devices accept what they should."""

from __future__ import annotations

import json

import pytest

from tenure.model.lifecycle import (
    ALLOCATION_TRANSITIONS,
    ENDED_STATES,
    JOB_TRANSITIONS,
    LIVE_STATES,
    WAITING_STATES,
    AllocationState,
    JobState,
    may_become,
)
from tenure.model.outcomes import Commands
from tenure.model.reasons import (
    REASON_CODES,
    ArrayCap,
    BetterPlace,
    Capacity,
    Cure,
    Dependency,
    DeviceUnavailable,
    Held,
    MaximumReached,
    NeverFits,
    NodeUnavailable,
    NotBefore,
    NotReached,
    QueuePaused,
    QuotaReached,
    Reason,
    Reserved,
    RoomPromised,
    Shortfall,
    WouldDelay,
    reason_from_dict,
    reason_to_dict,
)

SHORT = (Shortfall("cpu_milli", 2000, 500),)
REASONS: list[Reason] = [
    Capacity(3, SHORT, 17),
    WouldDelay(4, 9),
    Reserved(2, "kernel", 5, 6, True, 7),
    BetterPlace(6),
    Dependency((1, 2)),
    Held(),
    NotBefore(5),
    ArrayCap(),
    QueuePaused(2),
    RoomPromised((3, 4), 9),
    NodeUnavailable((1,)),
    DeviceUnavailable((7, 8)),
    QuotaReached(3, "gpu_milli", 4000, 2000, 5000),
    MaximumReached(3, "cpu_milli", 4000, 2000, 5000),
    NeverFits(1, SHORT, ("class=training",)),
    NotReached(),
]


@pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.code)
def test_a_reason_survives_being_written_down(reason: Reason) -> None:
    data = json.loads(json.dumps(reason_to_dict(reason)))
    assert data["code"] == reason.code
    assert Cure(data["cure"]) is reason.cure
    assert reason_from_dict(data) == reason


def test_the_list_of_reasons_is_closed() -> None:
    assert {reason.code for reason in REASONS} == set(REASON_CODES)
    with pytest.raises(KeyError):
        reason_from_dict({"code": "because"})


def test_every_state_of_a_job_can_be_reached_and_left() -> None:
    assert set(JOB_TRANSITIONS) == set(JobState)
    for state, following in JOB_TRANSITIONS.items():
        assert state not in following
        assert following, "an ended job may be requeued, so no state is a trap"
    reached = set().union(*JOB_TRANSITIONS.values())
    assert reached == set(JobState)
    assert set(JobState) == WAITING_STATES | LIVE_STATES | ENDED_STATES
    assert len(WAITING_STATES) + len(LIVE_STATES) + len(ENDED_STATES) == len(JobState)


def test_a_job_never_runs_without_starting() -> None:
    assert not may_become(JobState.PENDING, JobState.RUNNING)
    assert not may_become(JobState.SUCCEEDED, JobState.RUNNING)
    assert may_become(JobState.STARTING, JobState.SUCCEEDED)
    assert may_become(JobState.LOST, JobState.PENDING)


def test_only_a_released_allocation_is_over() -> None:
    ends = [state for state, following in ALLOCATION_TRANSITIONS.items() if not following]
    assert ends == [AllocationState.RELEASED]
    assert AllocationState.ACTIVE not in ALLOCATION_TRANSITIONS[AllocationState.RELEASING]


def test_commands_without_content_are_empty() -> None:
    assert Commands().is_empty
