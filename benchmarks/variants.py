"""What quantised variants of three on-device models say, on every kernel, beside float32.

    .venv/bin/python benchmarks/variants.py [--photos DIR] [--out DIR]

The photographs lie in ../shared/data/photos. In order of their paths every fifth with a face is
tested, and of the others every third calibrates; of the London set nobody is in both. Faces are
YuNet's, cut as the Smart Mirror's chain cuts them. Float32 is the normalised file on its reference
kernels; the times are the fastest of many inferences on one thread.

Prints a table for each model and, as its last line, JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from faces.registry import fetch, load_registry
from faces.yunet import YuNet
from mirrorset.errors import NotRunnableError
from mirrorset.files import write_bytes
from mirrorset.pixels import decode
from parity.chain import Net, chain_file, load_chain
from parity.kernels import Kernel
from parity.normalise import normalise
from parity.preprocess import pixels, place, tensor, value_table
from parity.quantise import RECIPES, Calibration, quantise
from parity.runtimes.opening import open_session
from parity.runtimes.probe import probe
from parity.runtimes.tensors import Array

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
ON: tuple[Kernel, ...] = ("xnnpack", "optimised", "reference", "xnnpack_fp16")
TESTED_EVERY, CALIBRATES_EVERY = 5, 3
OUTER_CORNERS = (33, 263)
Outputs = list[list[Array]]


def photos_with_faces(folder: Path, cache: Path) -> dict[Path, tuple[NDArray[np.uint8], Array]]:
    """By path the pixels and the largest face (9,): box, score, eyes."""
    yunet = YuNet(fetch(load_registry()["yunet"], cache))
    found = {}
    for path in sorted(each for each in folder.rglob("*") if each.suffix in (".jpg", ".png")):
        rgb = decode(path.read_bytes())
        for face in yunet.detect([rgb])[0][:1]:
            row = np.array([*face.box, face.score, *face.five_points[:2].ravel()])
            found[path] = rgb, row
    return found


def inputs(net: Net, photos: dict[Path, tuple[NDArray[np.uint8], Array]]) -> list[Array]:
    """What `net` is fed of each photograph."""
    table, given = value_table(net.input), net.input
    fed = []
    for rgb, face in photos.values():
        where = place(given, rgb.shape[1], rgb.shape[0], face)
        fed.append(tensor(pixels(rgb, where, given), table, given.layout))
    return fed


def split(photos: list[Path]) -> tuple[list[Path], list[Path]]:
    """Those that test and those that calibrate."""
    tested = photos[::TESTED_EVERY]
    people = {path.stem[:3] for path in tested if "frl_london" in path.parts}
    others = [
        path
        for path in photos
        if path not in tested and not ("frl_london" in path.parts and path.stem[:3] in people)
    ]
    return tested, others[::CALIBRATES_EVERY]


def nme(said: Outputs, float32: Outputs) -> float:
    """Mean distance of all landmarks over that of the outer eye corners, as float32 places them."""
    errors = []
    for ours, theirs in zip(said, float32, strict=True):
        points, truth = (each[0].reshape(-1, 3)[:, :2] for each in (ours, theirs))
        left, right = truth[list(OUTER_CORNERS)]
        errors.append(np.linalg.norm(points - truth, axis=1).mean() / np.linalg.norm(right - left))
    return float(np.mean(errors))


def anchor_flips(said: Outputs, float32: Outputs) -> float:
    """Images whose most probable anchor is another one."""
    return float(
        sum(np.argmax(a[1]) != np.argmax(b[1]) for a, b in zip(said, float32, strict=True))
    )


def pixel_flips(said: Outputs, float32: Outputs) -> float:
    """Share of pixels that are a person's in one mask and nobody's in the other."""
    pairs = zip(said, float32, strict=True)
    return float(np.mean([((a[0] >= 0.5) != (b[0] >= 0.5)).mean() for a, b in pairs]))


#: By net of the chain: the measure, its name, and the kernels that float32 is taken from.
MEASURES: dict[str, tuple[Callable[[Outputs, Outputs], float], str, Kernel]] = {
    "landmarks": (nme, "NME", "reference"),
    "detector": (anchor_flips, "images whose best anchor flips", "reference"),
    "segmenter": (pixel_flips, "share of pixels that flip", "xnnpack"),
}


def asked(model: Path, kernel: Kernel, fed: list[Array]) -> Outputs:
    """All outputs of each input."""
    session = open_session(model, kernel, 1)
    return [session.infer([one]) for one in fed]


def fastest_ms(model: Path, kernel: Kernel, fed: list[Array]) -> float:
    """Of one inference: the least of many, which other work on the machine disturbs least."""
    session = open_session(model, kernel, 1)
    took = []
    for one in fed * (1 if kernel == "reference" else 4):
        began = time.perf_counter()
        session.infer([one])
        took.append((time.perf_counter() - began) * 1000)
    return min(took)


def variants(float32: Path, calibration: Calibration, out: Path) -> dict[str, Path | str]:
    """By recipe the file, or why there is none."""
    made: dict[str, Path | str] = {"float32": float32}
    for recipe in RECIPES:
        path = out / f"{float32.stem}-{recipe}.tflite"
        quantise(float32, recipe, path, calibration if recipe == "static_int8" else None)
        made[recipe] = path
    return made


def measured(name: str, files: dict[str, Path | str], fed: list[Array]) -> list[dict[str, Any]]:
    """A row for each variant and kernel."""
    measure, _, kernel = MEASURES[name]
    float32 = asked(Path(files["float32"]), kernel, fed)
    rows = []
    for variant, path in files.items():
        for on in ON:
            row: dict[str, Any] = {"model": name, "variant": variant, "kernel": on}
            row["kb"] = round(Path(path).stat().st_size / 1000)
            if failure := probe(Path(path), on, 1):
                row["not_runnable"] = failure.reason
            else:
                try:
                    row["measure"] = measure(asked(Path(path), on, fed), float32)
                    row["delegated_share"] = open_session(Path(path), on, 1).delegated_share
                    row["ms"] = fastest_ms(Path(path), on, fed)
                except NotRunnableError as error:
                    row["not_runnable"] = error.reason
            rows.append(row)
    return rows


def show(name: str, rows: list[dict[str, Any]], count: int) -> None:
    """One line a variant, its kernels side by side."""
    print(f"\n{name}, {count} photographs: {MEASURES[name][1]} to float32, ms")
    print(f"{'':<18}{'kB':>6}" + "".join(f"{kernel:>22}" for kernel in ON))
    for variant in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == variant]
        cells = "".join(
            f"{'not runnable':>22}"
            if "not_runnable" in row
            else f"{row['measure']:>13.2g} {row['ms']:>5.1f} ms"
            for row in own
        )
        print(f"{variant:<18}{own[0]['kb']:>6}{cells}")
    for reason in dict.fromkeys(row.get("not_runnable") for row in rows):
        if reason:
            print(f"not runnable: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photos", type=Path, default=PHOTOS)
    parser.add_argument("--out", type=Path, help="a folder that keeps the variants")
    arguments = parser.parse_args()
    cache = Path(platformdirs.user_cache_dir("mirrorset")) / "models"
    photos = photos_with_faces(arguments.photos, cache)
    tested, calibrating = split(list(photos))
    chain = load_chain(chain_file("smart_mirror"))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        for name in MEASURES:
            net = chain.nets[name]
            fed = inputs(net, {path: photos[path] for path in tested})
            known = inputs(net, {path: photos[path] for path in calibrating})
            float32 = out / f"{net.net}.tflite"
            write_bytes(float32, normalise(fetch(load_registry()[net.net], cache)))
            calibration = Calibration(lambda known=known: iter(known), len(known), "photographs")
            own = measured(name, variants(float32, calibration, out), fed)
            show(name, own, len(fed))
            rows += own
    print(json.dumps({"tested": len(tested), "calibrating": len(calibrating), "rows": rows}))


if __name__ == "__main__":
    main()
