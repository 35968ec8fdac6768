"""Wishes: a job may prefer nodes with certain labels, or all GPUs of a task in one NVLink or NUMA group, and wait a while for them.

Every policy gives a job the place it wishes for where there is one, and another place otherwise. One that *delays* (`Stages.delays`)
holds a job back that could start elsewhere, until its wished-for place is free or its patience, counted from its submission, is over;
meanwhile others go ahead as if it were not there. Invariant: a job without a wish, or whose patience is over, is never held back.

A shape with a wish is judged twice: as it is, and as an ask that must have what it wishes for, under a number of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tenure.core.feasibility import Ask, ask_of
from tenure.model.job import PendingJob
from tenure.model.shape import ONE_GROUP, Shape

WISHED = 2**40
"""The number of a shape, plus this, is that of the ask that must have what the shape wishes for. No shape has so high a number."""


def know(asks: dict[int, Ask], number: int, shape: Shape) -> None:
    """Enter a shape's asks."""
    asks[number] = ask_of(shape)
    if shape.prefer:
        asks[number + WISHED] = wished(shape)


def wished(shape: Shape) -> Ask:
    """The shape with its wish for a condition."""
    labels = tuple(dict.fromkeys((*shape.labels, *(word for word in shape.prefer if word != ONE_GROUP))))
    ask = ask_of(shape)
    return replace(ask, labels=labels, one_group=ONE_GROUP in shape.prefer and ask.whole > 1)


def patience_ends_ms(shapes: Mapping[int, Shape], job: PendingJob) -> int:
    """Until when the job waits for the place it wishes for; 0 for one that wishes for none."""
    shape = shapes[job.shape]
    return job.submitted_ms + shape.prefer_wait_ms if shape.prefer else 0
