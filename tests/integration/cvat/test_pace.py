"""The pace of the stand-in is that of the recordings."""

import re
import statistics
from collections import defaultdict

import pytest
from cvat_replay import exchanges
from standin.pace import call_s
from standin.server import RECORDED


def test_calls_take_the_recorded_median() -> None:
    """Every kind of call that was recorded ten times or more, sized ones apart."""
    seconds: dict[str, list[float]] = defaultdict(list)
    modelled: dict[str, float] = {}
    for name in ("transcript.jsonl", "transcript2.jsonl"):
        if not (RECORDED / name).is_file():
            pytest.skip(f"{name} is not here: the recordings lie in ../shared/data/cvat")
        for said in exchanges(RECORDED / name):
            path = said["path"].rstrip("/")
            headers = {one.lower() for one in said["request_headers"] or {}}
            if path.endswith(("/annotations", "/h", "/data")):
                continue
            if said["status"] >= 300:
                continue
            kind = f"{said['method']} {re.sub(r'requests/.*', 'requests/1', path)}"
            kind = re.sub(r"\d+(_[0-9a-f-]{36})?", lambda found: "N_" if found[1] else "N", kind)
            seconds[kind].append(said["seconds"])
            modelled[kind] = call_s(said["method"], path, "", headers, 0, 0)
    often = {kind: statistics.median(each) for kind, each in seconds.items() if len(each) >= 10}
    assert len(often) >= 12
    wrong = {kind: (modelled[kind], median) for kind, median in often.items()
             if abs(modelled[kind] - median) > 0.012}  # fmt: skip
    assert not wrong


def test_sized_calls_take_as_long_as_the_second_recording_says() -> None:
    """Its largest: 2,691 rows saved in 0.74 s and read in 0.13 to 0.18 s; never faster than it."""
    saved = call_s("PUT", "/api/tasks/1/annotations", "", set(), 0, 2691)
    read = call_s("GET", "/api/tasks/1/annotations", "", set(), 0, 2691)
    assert 0.74 <= saved <= 1.1
    assert 0.13 <= read <= 0.25
