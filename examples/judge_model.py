"""Judges a .tflite file on a sealed pack, as a build would before it ships the file.

    mirrorset parity pack --home demo --out pack
    python examples/judge_model.py pack mine.tflite

Exit code 7 where a gate fails. Takes a model that is in the place of the pack's only network; a
chain of several is judged with `mirrorset parity run`.
"""

import sys
import tempfile
from pathlib import Path

from mirrorset.errors import GateError, InputError, MirrorsetError
from parity.compare import compare
from parity.gates import gates_file, load_gates
from parity.pack import open_pack
from parity.run import reference_of, run


def judge(pack_folder: Path, model: Path) -> None:
    """Run the model as a phone's CPU would, and print what each gate says of it."""
    pack = open_pack(pack_folder)  # every byte is verified
    if len(pack.chain.nets) > 1:
        raise InputError(f"{pack_folder} is of several networks: use `mirrorset parity run`.")
    (net,) = pack.chain.nets
    with tempfile.TemporaryDirectory() as folder:
        candidate = run(pack, {net: model}, "xnnpack", 2, Path(folder) / "run")
        gates = load_gates(gates_file(pack.chain))
        comparison = compare(pack, reference_of(pack), candidate, gates)
    for one in comparison.gates:
        measured = "–" if one.measured is None else f"{one.measured.value:.4g}"
        limit = f"limit {one.gate.limit}"
        print(f"{one.verdict:<20} {one.gate.metric} {one.output} {one.slice}: {measured}, {limit}")
    for fault in comparison.not_runnable.values():
        raise GateError(f"{model} does not run: {fault.reason}.")
    if comparison.has_failed:
        raise GateError(f"{model} fails a gate: do not ship it.")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        judge(Path(sys.argv[1]), Path(sys.argv[2]))
    except MirrorsetError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
