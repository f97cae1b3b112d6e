"""Two runs of a device on a pack that needs no model, held against its reference; one fails."""

from pathlib import Path

import yaml
from fleet_records import gpu, key, write_run
from small_pack import make_pack, sessions

from parity.compare import compare, write_comparison
from parity.forensics.explain import Models, explain, keep
from parity.gates import load_gates
from parity.pack import Pack
from parity.run import open_run, reference_of

COUNT = 24
GATES = [
    {"metric": "nme_to_reference", "limit": 0.01},
    {"metric": "nme_to_reference", "slice": "pose", "limit": 0.01},
    {"metric": "flip_share", "output": "presence", "limit": 0.001},
]
#: Added to what the GPU gives, by pose; of points in px of the net's input.
SHIFTS = {"frontal": 1.0, "left": 2.0}


def make_runs(folder: Path, author: str, device: str) -> Pack:
    """The pack, the runs cpu and gpu on it, and gates.yaml, in `folder`. author: as CSV has it."""
    slices = [{"pose": "left" if place % 2 else "frontal"} for place in range(COUNT)]
    lights = [60 + 6 * place for place in range(COUNT)]
    pack = make_pack(folder / "pack", lights, slices=slices, author=author)
    write_run(folder / "cpu", pack, key(device), ms=8.0)
    write_run(
        folder / "gpu", pack, gpu(device), shift=[SHIFTS[each["pose"]] for each in slices], ms=3.0
    )
    (folder / "gates.yaml").write_text(yaml.safe_dump(GATES))
    return pack


def make_comparisons(folder: Path, pack: Pack) -> list[Path]:
    """Of both runs, and why the GPU's departs."""
    gates = load_gates(folder / "gates.yaml")
    paths = []
    for name in ("cpu", "gpu"):
        path = folder / f"comparison-{name}.json"
        write_comparison(path, compare(pack, reference_of(pack), open_run(folder / name), gates))
        paths.append(path)
    run, played = open_run(folder / "gpu"), sessions()
    keep(pack, run, explain(pack, run, Models(played, played)), folder / "why-gpu")
    return paths
