"""How projects stand, in numbers and in words: the example of the page about sharing, worked out by the code that decides."""

from __future__ import annotations

from pathlib import Path

from tenure.api.sharing import standing_text, standings
from tenure.cli.projects import projects_text
from tenure.core.board import Board
from tenure.core.picture import Picture
from tenure.model.amounts import GIB, Amounts
from tenure.model.project import NO_BOUNDS, Bundle
from tenure.model.settings import PlanSettings
from tenure.model.shape import Shape
from tenure.testing.builders import NOW_MS, Cluster
from tenure.wire.sharing import ProjectsReply

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "sharing.md"


def example() -> Cluster:
    """The cluster of the page: 16 GPUs, of which two projects hold some and held some."""
    cluster = Cluster()
    cluster.node("a", Amounts(128_000, 1024 * GIB), 16)
    vision = cluster.project("vision", weight_milli=2000, quota=NO_BOUNDS._replace(gpu_milli=8000))
    speech = cluster.project("speech", quota=NO_BOUNDS._replace(gpu_milli=4000), maximum=Bundle(-1, -1, 6000), borrow=False)
    ann, bob = cluster.user("ann"), cluster.user("bob")
    cluster.used("vision", "ann", Bundle(4000, 0, 4000))
    cluster.run("r1", Shape(Amounts(16_000, 64 * GIB), 4000), ["a"], project=vision.id, user=ann)
    cluster.run("r2", Shape(Amounts(48_000, 64 * GIB), 2000), ["a"], project=speech.id, user=bob)
    cluster.wait("w1", Shape(Amounts(1000), 3000), project=speech.id, user=bob)
    cluster.wait("w2", Shape(Amounts(1000), 1000), project=vision.id, user=ann, is_array=1, array_left=9)
    return cluster


def reply_of(cluster: Cluster) -> ProjectsReply:
    picture = Picture.of(Board.of(cluster.snapshot()), NOW_MS)
    names = {project.id: name for name, project in cluster.projects.items()}
    return standings(picture, names, {number: name for name, number in cluster.users.items()})


def test_the_page_shows_what_the_command_prints() -> None:
    assert projects_text(reply_of(example()), with_users=True) in PAGE.read_text()


def test_shares_are_what_a_hand_works_out() -> None:
    speech, vision = reply_of(example()).projects
    assert (vision.name, vision.running, vision.pending) == ("vision", 1, 9)
    assert vision.share_millionths == (4 + 4) * 1_000_000 // 16
    assert vision.entitled_millionths == 666_666
    assert vision.factor_milli == 750
    assert speech.share_millionths == 48 * 1_000_000 // 128  # its cpus are more of the cluster than its two GPUs
    assert speech.factor_milli == 1125
    assert speech.borrow is False
    assert [user.user for user in vision.users] == ["ann"]


def test_the_standing_of_a_job_in_words() -> None:
    cluster = example()
    snapshot = cluster.snapshot()
    speech, vision = snapshot.pending.jobs()
    assert standing_text(snapshot, vision, "vision", "ann") == (
        "project vision holds 4 GPUs, 16 cpus, 64G of memory and held 4 GPUs, 4 cpus of late: 50.0 % of the cluster, "
        "by its weight of 2 25.0 %; of it user ann has 50.0 %"
    )
    assert standing_text(snapshot, speech, "speech", "bob").endswith(
        "held nothing of late: 37.5 % of the cluster; of it user bob has 37.5 %"
    )


def test_without_a_past_and_without_projects() -> None:
    cluster = Cluster(settings=PlanSettings(half_life_ms=0))
    cluster.node("a", Amounts(4000))
    cluster.project("empty", quota=Bundle(0, -1, -1), maximum=Bundle(0, 0, -1), borrow=False)
    text = projects_text(reply_of(cluster))
    assert "0cpu alone" in text
    assert "0cpu 0" in text
    assert "past use is not counted" in text
    assert "0.0%" in text
