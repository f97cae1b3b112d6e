"""The peers' environments and programs: each in a process that loads nothing of the others.

What each program prints is one JSON object (`parity_clock.report`) with the seconds of its
phases, by the clock (`s`) and of the processor (`cpu_s`): imports, reading, run, compare; and how
many items it looked at.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duplicates_peers import environment

_HERE = Path(__file__).parent
_OURS = ("ours", "untimed")
_LITERT = (
    "ai-edge-litert==2.3.0",
    "backports.strenum==1.3.1",
    "flatbuffers==25.12.19",
    "ml-dtypes==0.6.0",
    "numpy==2.4.6",
    "protobuf==7.36.2",
    "tqdm==4.70.1",
    "typing-extensions==4.16.0",
)
POLYGRAPHY = ("polygraphy==0.53.6", *_LITERT)
VALIDATOR = (
    "ai-edge-quantizer==0.10.0",
    "absl-py==2.5.1",
    "immutabledict==4.3.1",
    "litert-lm-builder==0.18.1",
    "scipy==1.17.1",
    *_LITERT,
)


@dataclass(frozen=True)
class Compared:
    """What all programs get: two models of the same inputs and outputs, and what both are fed.

    pack: the sealed test set. tensors: the same tensors as one .npy (N, 1, …) float32, for those
    who read no pack.
    """

    pack: Path
    tensors: Path
    reference: Path
    candidate: Path


class Programs:
    """The programs by name; the peers' environments are made where `cache` lacks them."""

    def __init__(self, cache: Path) -> None:
        polygraphy = environment(cache, POLYGRAPHY)
        validator = environment(cache, VALIDATOR)
        self._commands = {
            "ours": [sys.executable, _HERE / "parity_ours.py"],
            "untimed": [sys.executable, _HERE / "parity_ours.py"],
            "bare": [sys.executable, _HERE / "parity_bare.py"],
            "polygraphy": [polygraphy, _HERE / "parity_polygraphy.py"],
            "validator": [validator, _HERE / "parity_validator.py"],
        }

    def run(self, name: str, given: Compared, scratch: Path) -> dict[str, Any]:
        """What the program took. SystemExit in one sentence where it fails."""
        data = given.pack if name in _OURS else given.tensors
        command = [*self._commands[name], data, given.reference, given.candidate, scratch]
        command += ["--untimed"] if name == "untimed" else []
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        if name in _OURS:
            env["PYTHONPATH"] = os.pathsep.join([str(_HERE.parent), str(_HERE)])
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, check=False, env=env
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise SystemExit(f"{name} failed: {said[0]}")
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
