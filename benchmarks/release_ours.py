"""One release of a workspace, as the flow makes it, with the seconds of its parts.

    release_ours.py HOME VERSION

Prints JSON: `prepare` (snapshot, gates, groups, splits), `build` (the stage that writes the shards,
by DVC) and `rest` (measures, the sealed test set, commit, tag; no push, HOME has no remote yet).
"""

import json
import sys
import time
from pathlib import Path

from flows.release import build, choose_version, freeze, mint_places, publish
from mirrorset.commands import dvc
from mirrorset.workspace import open_workspace

workspace = open_workspace(Path(sys.argv[1]))
marks = [time.perf_counter()]
with workspace.locked():
    freeze.fn(workspace)
    mint_places.fn(workspace)
    state = choose_version.fn(workspace, sys.argv[2])
    marks.append(time.perf_counter())
    dvc(workspace.home, "repro", "--quiet", "build")
    marks.append(time.perf_counter())
    build.fn(workspace)
    publish.fn(workspace, state)
    marks.append(time.perf_counter())
parts = zip(("prepare", "build", "rest"), marks, marks[1:], strict=False)
print(json.dumps({name: round(end - begin, 2) for name, begin, end in parts}))
