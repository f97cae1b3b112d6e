"""Runs two variants of each of the mirror's networks on 360 images and compares them, beside two
peers.

    .venv/bin/python benchmarks/parity_speed.py [--repetitions 3] [--photos DIR] [--net NAME …]

The models are the networks that find the face, its landmarks and the person, each in float32
(normalised) and as its half-precision variant, both on XNNPACK and one thread; the images are the
photographs in ../shared/data/photos that show a face, and mirror images of the first until there
are 360. Each program runs in a process and an environment of its own, in turn, and is fed the same
tensors: mirrorset, polygraphy with a runner written for it, ai_edge_quantizer's model_validator,
and a bare loop around two interpreters.

Prints a table a network and, as its last line, JSON. `ratio` is polygraphy's seconds for run and
compare over ours, medians of the repetitions, all networks together, on one processor;
`ratio_untimed` that of runs without times, which use all; `ratio_limit` is what the bare loop,
which compares nothing, would have. Imports, intervals, the reading of files and the process in
which each file is tried first stand apart; `ratio_whole` has them all. `cpu` holds the same ratios
of the processor's time, steadier on a machine with other work; it counts in full what several
processors do at once, so it has none of runs without times.
"""

import argparse
import io
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import yaml  # noqa: E402
from measured import this_machine  # noqa: E402
from parity_programs import Compared, Programs  # noqa: E402
from PIL import Image  # noqa: E402
from portraits import Portrait, make_release  # noqa: E402

from faces.detection import Detection  # noqa: E402
from faces.registry import fetch, load_registry  # noqa: E402
from faces.yunet import YuNet  # noqa: E402
from mirrorset.files import write_bytes  # noqa: E402
from mirrorset.pixels import decode  # noqa: E402
from mirrorset.records import Face, Landmarks  # noqa: E402
from mirrorset.settings import Settings  # noqa: E402
from parity.chain import CHAINS  # noqa: E402
from parity.normalise import normalise  # noqa: E402
from parity.pack import Pack, PackParams, open_pack, seal  # noqa: E402
from parity.quantise import quantise  # noqa: E402

IMAGES = 360
#: The mirror's networks, with the rules that read each.
NETS = {"detector": ("face",), "landmarks": ("points", "presence"), "segmenter": ("mask",)}
#: ibug68 → YuNet's points; the eyes stand for their outer corners: speed asks for no better labels.
LABELS = {36: 0, 45: 1, 30: 2, 48: 3, 54: 4}
#: What `parity_clock` measures, and how it is called in a table.
CLOCKS = {"s": "seconds", "cpu_s": "CPU seconds"}
PHASES = ("imports", "reading", "trial", "run", "inference", "compare", "intervals")
TITLES = {
    "ours": "mirrorset",
    "untimed": "mirrorset, untimed",
    "polygraphy": "polygraphy 0.53",
    "validator": "model_validator 0.10",
    "bare": "bare loop",
}


def portraits(folder: Path, cache: Path) -> list[Portrait]:
    """The photographs with a face, and mirror images of the first of them until there are enough.

    SystemExit where there are none.
    """
    yunet = YuNet(fetch(load_registry()["yunet"], cache))
    found = list(_with_faces(yunet, _contents(folder)))
    if not found:
        raise SystemExit(f"{folder} holds no photograph with a face: name another with --photos.")
    mirrored = _with_faces(yunet, (_mirrored(one.content) for one in found))
    return [*found, *mirrored][:IMAGES]


def _contents(folder: Path) -> Iterator[bytes]:
    for path in sorted(each for each in folder.rglob("*") if each.suffix in (".jpg", ".png")):
        yield path.read_bytes()


def _mirrored(content: bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(decode(content)[:, ::-1]).save(file, "PNG")
    return file.getvalue()


def _with_faces(yunet: YuNet, contents: Iterator[bytes]) -> Iterator[Portrait]:
    for content in contents:
        for face in yunet.detect([decode(content)])[0][:1]:
            yield Portrait(content, _labelled(face))


def _labelled(face: Detection) -> Face:
    points = [(0.0, 0.0)] * 68
    for index, place in LABELS.items():
        x, y = face.five_points[place]
        points[index] = float(x), float(y)
    marks = Landmarks(points=tuple(points), visibility=(2,) * 68, confidence=(1.0,) * 68)
    return Face(
        face_id="0",
        box=tuple(map(float, face.box)),
        score=float(face.score),
        landmarks={"ibug68": marks},
    )


def sealed(net: str, release: Path, scratch: Path, cache: Path) -> Pack:
    """A pack of all of them, of one of the mirror's networks with the rules that read it."""
    values = yaml.safe_load((CHAINS / "smart_mirror.yaml").read_text())
    values["stages"] = {name: values["stages"][name] for name in (net, *NETS[net])}
    truth = values["truth"]
    values["truth"] = {name: truth[name] for name in ("label_schema", "eye_corners")}
    if net == "landmarks":
        values["stages"]["landmarks"]["input"]["region"] = "labels"
        values["truth"] |= {name: truth[name] for name in ("points", "presence")}
        values["truth"]["label_points"] = {index: truth["label_points"][index] for index in LABELS}
    chain = scratch / "chain.yaml"
    chain.write_text(yaml.safe_dump(values, sort_keys=False))
    params = PackParams(chain=str(chain), min_interocular_px=1)
    return open_pack(seal(release, scratch / "pack", params, cache))


def prepared(net: str, release: Path, scratch: Path, cache: Path) -> Compared:
    """Pack, tensors and models. SystemExit where there are too few faces."""
    pack = sealed(net, release, scratch, cache)
    if len(pack.items) != IMAGES:
        raise SystemExit(f"The pack holds {len(pack.items)} faces, not {IMAGES}.")
    np.save(scratch / "tensors.npy", np.stack(list(pack.tensors(net))))
    model = fetch(load_registry()[pack.chain.nets[net].net], cache)
    reference, candidate = scratch / "float32.tflite", scratch / "fp16.tflite"
    write_bytes(reference, normalise(model))
    quantise(model, "fp16", candidate)
    return Compared(scratch / "pack", scratch / "tensors.npy", reference, candidate)


def medians(runs: list[dict[str, Any]], clock: str) -> dict[str, float]:
    """Of each phase. SystemExit where a run did not look at all images."""
    if any(run["items"] != IMAGES for run in runs):
        raise SystemExit(f"Not all runs looked at {IMAGES} images.")
    return {
        phase: round(statistics.median(run[clock][phase] for run in runs), 4)
        for phase in PHASES
        if phase in runs[0][clock]
    }


def show(title: str, figures: dict[str, dict[str, float]]) -> None:
    """A line for each program."""
    print(f"{title:<22}" + "".join(f"{phase:>11}" for phase in PHASES))
    for name, phases in figures.items():
        cells = "".join(
            f"{phases[each]:>11.3f}" if each in phases else f"{'':>11}" for each in PHASES
        )
        print(f"{TITLES[name]:<22}{cells}")


def ratios(nets: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    """How many times longer the peers take, all of `nets` together; and our inference stage over
    the bare loop's.
    """

    def seconds(name: str, *phases: str) -> float:
        return sum(figures[name].get(phase, 0.0) for figures in nets for phase in phases)

    work = "run", "compare"
    everything = "imports", "reading", "trial", "run", "compare", "intervals"
    return {
        "ratio": seconds("polygraphy", *work) / seconds("ours", *work),
        "ratio_untimed": seconds("polygraphy", *work) / seconds("untimed", *work),
        "ratio_limit": seconds("polygraphy", *work) / seconds("bare", "inference"),
        "ratio_with_intervals": seconds("polygraphy", *work) / seconds("ours", *work, "intervals"),
        "ratio_whole": seconds("polygraphy", *everything) / seconds("ours", *everything),
        "ratio_validator": seconds("validator", *work) / seconds("ours", *work),
        "inference_over_bare": seconds("ours", "inference") / seconds("bare", "inference"),
    }


def cpu_ratios(nets: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    """Those of `ratios` that hold for processor time, which has no children and no waiting."""
    return {
        name: value
        for name, value in ratios(nets).items()
        if name not in ("ratio_untimed", "ratio_whole")
    }


def main() -> None:
    """Run everything; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=3, help="of all programs in turn")
    parser.add_argument("--net", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared/data/photos")
    wanted = parser.parse_args()
    settings = Settings()
    machine = this_machine()
    programs = Programs(settings.cache)
    # By clock, net, program and phase.
    figures: dict[str, dict[str, dict[str, dict[str, float]]]] = {clock: {} for clock in CLOCKS}
    with tempfile.TemporaryDirectory(prefix="mirrorset-bench-") as name:
        scratch = Path(name)
        (scratch / "release").mkdir()
        found = portraits(wanted.photos, settings.models)
        release = make_release(found, scratch / "release", "human")
        for net in wanted.net:
            runs: dict[str, list[dict[str, Any]]] = {name: [] for name in TITLES}
            with tempfile.TemporaryDirectory(dir=scratch) as own:
                given = prepared(net, release, Path(own), settings.models)
                for _ in range(wanted.repetitions):
                    for program, measured in runs.items():
                        with tempfile.TemporaryDirectory(dir=own) as out:
                            measured.append(programs.run(program, given, Path(out)))
            for clock, called in CLOCKS.items():
                figures[clock][net] = {
                    name: medians(measured, clock) for name, measured in runs.items()
                }
                show(f"{net}, {called}", figures[clock][net])
    print(json.dumps({**summary(figures), "images": IMAGES, **figures, **machine}))


def summary(figures: dict[str, dict[str, dict[str, dict[str, float]]]]) -> dict[str, Any]:
    """The ratios of all networks together and of each, by the clock and of the processor's time."""
    wall, cpu = figures.values()
    return {
        **rounded(ratios(list(wall.values()))),
        "by_net": {net: rounded(ratios([one])) for net, one in wall.items()},
        "cpu": {
            **rounded(cpu_ratios(list(cpu.values()))),
            "by_net": {net: rounded(cpu_ratios([one])) for net, one in cpu.items()},
        },
    }


def rounded(found: dict[str, float]) -> dict[str, float]:
    """To two digits after the point."""
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    main()
