"""One release of a workspace, as the flow makes it, with the seconds of its parts.

    release_ours.py HOME VERSION

Prints JSON, each with its seconds and its seconds of CPU, children's included: `prepare` (snapshot,
gates, groups, splits), `build` (the stage that writes the shards, by DVC) and `rest` (measures, the
sealed test set, commit, tag; no push, HOME has no remote yet).
"""

import json
import os
import sys
import time
from pathlib import Path

from flows.release import begin_test_series, build, choose_version, freeze, mint_places, publish
from mirrorset.dvc import dvc
from mirrorset.workspace import open_workspace


def _now() -> tuple[float, float]:
    return time.perf_counter(), sum(os.times()[:4])


workspace = open_workspace(Path(sys.argv[1]))
marks = [_now()]
with workspace.locked():
    freeze.fn(workspace)
    mint_places.fn(workspace)
    begin_test_series.fn(workspace)
    state = choose_version.fn(workspace, sys.argv[2])
    marks.append(_now())
    dvc(workspace.home, "repro", "--quiet", "build")
    marks.append(_now())
    build.fn(workspace)
    publish.fn(workspace, state)
    marks.append(_now())
parts = zip(("prepare", "build", "rest"), marks, marks[1:], strict=False)
print(
    json.dumps(
        {
            name: [round(after - before, 2) for before, after in zip(begin, end, strict=True)]
            for name, begin, end in parts
        }
    )
)
