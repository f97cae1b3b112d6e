"""Decoding processes may die or dawdle; the crawl's own process does neither."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crawlers.decoders import Decoders, UndecodableError


def doubled(number: int) -> int:
    return 2 * number


def crashing(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def dawdling(number: int) -> int:
    if number == 7:
        time.sleep(60)
    return number


def raising(number: int) -> int:
    raise ValueError(f"{number} is not wanted")


async def outcomes(decoders: Decoders, work: object, count: int) -> list[object]:
    tasks = (decoders.run(work, number) for number in range(count))  # type: ignore[arg-type]
    return list(await asyncio.gather(*tasks, return_exceptions=True))


def test_work_comes_back_in_its_own_place() -> None:
    decoders = Decoders(2, timeout_s=30)
    try:
        assert asyncio.run(outcomes(decoders, doubled, 40)) == [2 * n for n in range(40)]
    finally:
        decoders.close()


@pytest.mark.parametrize(
    ("work", "timeout_s", "words"),
    [(crashing, 30, "ended the process"), (dawdling, 0.5, "within 0.5 s")],
)
def test_only_the_guilty_is_refused(work: object, timeout_s: float, words: str) -> None:
    decoders = Decoders(2, timeout_s=timeout_s)

    async def one_after_the_other() -> tuple[list[object], list[object]]:
        return await outcomes(decoders, work, 20), await outcomes(decoders, doubled, 5)

    try:
        came, again = asyncio.run(one_after_the_other())
    finally:
        decoders.close()
    assert [came[n] for n in range(20) if n != 7] == [n for n in range(20) if n != 7]
    assert isinstance(came[7], UndecodableError)
    assert words in str(came[7])
    assert again == [0, 2, 4, 6, 8]


def test_what_the_work_raises_is_raised_here() -> None:
    decoders = Decoders(1, timeout_s=30)
    try:
        (error,) = asyncio.run(outcomes(decoders, raising, 1))
    finally:
        decoders.close()
    assert isinstance(error, ValueError)
    assert str(error) == "0 is not wanted"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds processes in /proc")
def test_a_killed_parent_leaves_no_process_behind() -> None:
    program = (
        "import time\n"
        "from crawlers.decoders import Decoders\n"
        "decoders = Decoders(2, 30)\n"
        "print(*decoders.pids, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    end_at = time.monotonic() + 20
    while any(_is_alive(pid) for pid in pids):
        assert time.monotonic() < end_at, "they are still there"
        time.sleep(0.1)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_where_no_process_can_be_started_the_jobs_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    decoders = Decoders(1, timeout_s=30)

    def refused() -> None:
        raise OSError(24, "Too many open files")

    async def one_after_the_other() -> tuple[list[object], list[object]]:
        monkeypatch.setattr("crawlers.decoders._started", refused)
        came = await outcomes(decoders, crashing, 12)
        monkeypatch.undo()
        return came, await outcomes(decoders, doubled, 5)

    try:
        came, again = asyncio.run(one_after_the_other())
    finally:
        decoders.close()
    assert {type(one) for one in came} <= {int, OSError}
    assert OSError in {type(one) for one in came}
    assert again == [0, 2, 4, 6, 8]


def unpicklable(number: int) -> object:
    return lambda: number


def test_what_cannot_be_sent_back_is_refused() -> None:
    decoders = Decoders(1, timeout_s=30)
    try:
        came = asyncio.run(outcomes(decoders, unpicklable, 3))
    finally:
        decoders.close()
    assert all(isinstance(one, UndecodableError) for one in came)


def test_a_large_job_goes_alone() -> None:
    decoders = Decoders(1, timeout_s=30)

    async def sized() -> list[int]:
        tasks = (decoders.run(doubled, number, size_bytes=30_000_000) for number in range(6))
        waiting = asyncio.gather(*tasks)
        await asyncio.sleep(0)
        handful = decoders._handful()
        decoders._waiting.extendleft(reversed(handful))
        assert len(handful) == 1
        return await waiting

    try:
        assert asyncio.run(sized()) == [0, 2, 4, 6, 8, 10]
    finally:
        decoders.close()
