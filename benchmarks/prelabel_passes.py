"""A program that prelabel_speed.py starts: it loads its models, then works pass by pass."""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faces.registry import fetch, load_registry

#: The faces of one photograph: box (4) and 106 points, px.
Faces = list[tuple[list[float], list[list[float]]]]
SIDE_PX = 640
SCRFD, POINTS = "scrfd_500m_bnkps", "2d106det"


@dataclass(frozen=True)
class Given:
    """Folders of photographs, of weights and of scratch files; worker threads, None by default."""

    photos: Path
    cache: Path
    scratch: Path
    workers: int | None

    @property
    def paths(self) -> list[Path]:
        """The photographs, in the order of names."""
        return sorted(self.photos.iterdir())

    @property
    def counts(self) -> list[int]:
        """Faces a photograph, about: one, and six in the last, the group."""
        return [1] * (len(self.paths) - 1) + [6]

    def weights(self, name: str) -> Path:
        """The verified file of that model."""
        return fetch(load_registry()[name], self.cache)


def serve(programs: Mapping[str, Callable[[Given], Callable[[], Any]]]) -> None:
    """`SCRIPT NAME PHOTOS CACHE SCRATCH [WORKERS]`: load the program of that name, then answer each
    line with the wall and CPU seconds of one pass and what it found.
    """
    name, photos, cache, scratch, *workers = sys.argv[1:]
    given = Given(Path(photos), Path(cache), Path(scratch), int(workers[0]) if workers else None)
    # The answers' own stream: libraries print to stdout as they like.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    program = programs[name](given)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        found = program()
        answer = {
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "found": found,
        }
        print(json.dumps(answer), file=answers, flush=True)
