"""Shards and workers, some of which die: nothing is lost, nothing is done twice."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from annotation.labelling import labelled
from annotation.prelabel import PrelabelParams
from annotation.worker import LabelOrder
from mirrorset.errors import IntegrityError, UnavailableError

ORDER = LabelOrder(blobs_url="memory://", models=Path(), params=PrelabelParams())
SHARDS = [("a", "b", "c"), ("d", "e", "f"), ("g",)]


class DeathError(Exception):
    """What a future of this team says of a dead worker."""


class Team:
    """Workers that give back the ids they were given, unless `fate` raises."""

    lost: type[Exception] = DeathError

    def __init__(self, fate: Callable[[tuple[str, ...]], None], room: int = 2) -> None:
        self.fate = fate
        self.room = room
        self.given: list[tuple[str, ...]] = []

    def begin(self, order: LabelOrder, image_ids: Sequence[str]) -> Future[bytes]:
        self.given.append(tuple(image_ids))
        future: Future[bytes] = Future()
        try:
            self.fate(tuple(image_ids))
            future.set_result("".join(image_ids).encode())
        except Exception as error:
            future.set_exception(error)
        return future


def done(team: Team, shards: Sequence[tuple[str, ...]] = SHARDS) -> list[bytes]:
    ended = list(labelled(team, ORDER, iter(shards)))
    assert sum(one.images for one in ended) == sum(len(shard) for shard in shards)
    return [one.content for one in ended]


def dying(times: dict[tuple[str, ...], int]) -> Callable[[tuple[str, ...]], None]:
    """The fate of a worker that dies over a share so many times."""
    left = Counter(times)

    def fate(image_ids: tuple[str, ...]) -> None:
        if left[image_ids]:
            left[image_ids] -= 1
            raise DeathError

    return fate


@pytest.mark.parametrize("room", [1, 2, 10])
def test_every_shard_is_done_once(room: int) -> None:
    team = Team(dying({}), room)
    assert sorted(done(team)) == [b"abc", b"def", b"g"]
    assert len(team.given) == 3


def test_no_shards_no_work() -> None:
    assert done(Team(dying({})), []) == []


def test_the_shard_of_a_dead_worker_is_done_again_whole() -> None:
    team = Team(dying({("d", "e", "f"): 1}))
    assert sorted(done(team)) == [b"abc", b"def", b"g"]
    assert Counter(team.given)["d", "e", "f"] == 2


def test_a_picture_that_kills_is_found_and_rejected_and_spares_the_others() -> None:
    def fate(image_ids: tuple[str, ...]) -> None:
        if "e" in image_ids:
            raise DeathError

    team = Team(fate)
    contents = done(team)
    (rejected,) = [json.loads(one)["Rejected"] for one in contents if one.startswith(b"{")]
    assert (rejected["item_id"], rejected["step"], rejected["reason"]) == (
        "e",
        "prelabel",
        "model_failed",
    )
    assert rejected["is_retryable"]
    assert sorted(one for one in contents if not one.startswith(b"{")) == [b"abc", b"d", b"f", b"g"]
    assert Counter(team.given)["e",] == 2


def test_workers_that_all_die_end_the_run() -> None:
    def fate(image_ids: tuple[str, ...]) -> None:
        raise DeathError

    team = Team(fate)
    with pytest.raises(UnavailableError, match="workers died one after the other"):
        done(team, [(str(number), "x") for number in range(1000)])
    assert len(team.given) < 15


def test_a_fault_is_no_workers_and_is_raised() -> None:
    def fate(image_ids: tuple[str, ...]) -> None:
        raise IntegrityError("other bytes")

    with pytest.raises(IntegrityError, match="other bytes"):
        done(Team(fate))


def test_a_cluster_that_goes_away_is_one_sentence() -> None:
    team = Team(dying({}))

    def begin(order: LabelOrder, image_ids: Sequence[str]) -> Future[bytes]:
        future: Future[bytes] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future

    team.begin = begin
    with pytest.raises(UnavailableError, match="cluster went away"):
        done(team)


def test_shards_are_read_as_there_is_room_for_them() -> None:
    read: list[int] = []

    def shards() -> Iterator[tuple[str, ...]]:
        for number in range(100):
            read.append(number)
            yield (str(number),)

    ended = labelled(Team(dying({}), room=3), ORDER, shards())
    next(ended)
    assert len(read) <= 6
