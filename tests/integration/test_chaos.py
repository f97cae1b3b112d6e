"""Faults amid a crawl: run again, it comes to the same state (tests/chaos).

Those of later steps, and at random: tests/integration/test_chaos_steps.py.
"""

import random
import signal

import pytest
from chaos.faults import DatabaseRestarts, Fault, Kill
from chaos.pipeline import Step, strike, undisturbed
from chaos.state import differences
from chaos.world import Kept, World


@pytest.fixture(scope="module")
def step(world: World) -> Step:
    """The crawl, with the state before it and after it; one machine's and a cluster's are the
    same.
    """
    (crawl,) = undisturbed(world, ("crawl",))
    return crawl


@pytest.fixture(scope="module")
def crawled(world: World, step: Step) -> Kept:
    """The world as the crawl left it."""
    return world.keep()


@pytest.mark.parametrize(
    ("shared", "fault"),
    [(False, Kill(random.Random(1))), (True, DatabaseRestarts(signal.SIGQUIT, 1.0))],
)
def test_a_crawl_that_is_struck_converges_when_it_is_run_again(
    world: World, step: Step, crawled: Kept, shared: bool, fault: Fault
) -> None:
    for at in (0.6, 0.7, 0.5, 0.8, 0.4):
        outcome = strike(world, step, fault, at, shared)
        assert not outcome.wrong, outcome.told()
        if outcome.target:
            return
    pytest.fail(f"It never hit anything: {outcome.told()}")


def test_whatever_is_lost_doubled_or_left_is_told(world: World, crawled: Kept) -> None:
    world.go_back(crawled)
    was = world.state()
    assert differences(was, world.state()) == []
    (world.home / ".mirrorset/spool").mkdir(exist_ok=True)
    (world.home / ".mirrorset/spool/x.jsonl").touch()
    blob = was["blobs"][0]
    world.s3.client().delete_object(Bucket="faces", Key=blob)
    with world.postgresql.connect("work") as connection:
        connection.execute(
            "DELETE FROM sightings USING images WHERE images.image_number = sightings.image_number "
            "AND image_id = %s",
            [blob.rpartition("/")[2]],
        )
    found = differences(was, world.state())
    assert f"blobs: lost {blob}" in found
    assert "leftovers: extra x.jsonl" in found
    assert any(one.startswith("catalogue: sightings: lost") for one in found), found
