"""What is under way: no host and no memory is taken by more than it may be."""

import asyncio

from crawlers.under_way import UnderWay
from mirrorset.catalogue.frontier import Entry, Kind


def entry(number: int) -> Entry:
    return Entry(f"item:{number}", Kind.ITEM, f"http://h.org/{number}.jpg", {}, entry_id=number)


async def _waits(under_way: UnderWay, one: Entry) -> "asyncio.Task[None]":
    task = asyncio.ensure_future(under_way.room(one))
    await asyncio.sleep(0)
    return task


def test_large_pictures_wait_for_those_before_them() -> None:
    async def crawl() -> None:
        under_way = UnderWay()
        first, second, third = entry(1), entry(2), entry(3)
        for one in (first, second, third):
            under_way.add(one)
        await under_way.room(first)
        under_way.hold(first, 70_000_000)
        waiting = await _waits(under_way, second)
        assert not waiting.done()
        under_way.remove(first)
        await asyncio.wait_for(waiting, 1)
        # What was seen is expected of the next.
        assert under_way._held_bytes[2] > 5_000_000

    asyncio.run(crawl())


def test_retries_do_not_wait_for_one_another() -> None:
    async def crawl() -> None:
        under_way = UnderWay()
        entries = [entry(number) for number in range(1, 21)]
        for one in entries:
            under_way.add(one)
            under_way._held_bytes[one.entry_id] = 20_000_000
        await asyncio.wait_for(asyncio.gather(*(under_way.room(one) for one in entries)), 1)

    asyncio.run(crawl())
