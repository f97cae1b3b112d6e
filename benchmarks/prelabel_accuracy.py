"""How far pre-labels are off, what they know of it, and which faces they find or invent.

    .venv/bin/python benchmarks/prelabel_accuracy.py [--negatives FOLDER] [--fit]

Landmarks are measured on the Face Research Lab London Set (accuracy_london.py states the mapping),
as taken and altered by seed; detection on all sets of ../shared/data, beside SCRFD and YuNet at
640 px by themselves. Prints tables and, as its last line, JSON. `ratio` is the error of the better
single model off the shelf over ours, seven points of the portraits as taken. `--negatives` adds a
folder of pictures without faces; `--fit` prints the constants of faces/uncertainty.py anew.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import accuracy_fit
import accuracy_london
import accuracy_sets
import numpy as np
from accuracy_london import IBUG68, KINDS, SEVEN, Looked, Looker
from accuracy_sets import Picture
from numpy.typing import NDArray

from faces.engine import in_batches
from faces.landmarks import SHARED, located68
from faces.profiles import Measures, load_profile, second_look
from faces.registry import fetch, load_registry
from faces.scrfd import Scrfd, ScrfdParams
from faces.uncertainty import NEAR, confidence
from faces.yunet import YuNet, YuNetParams
from mirrorset.metrics import bootstrap_interval, wilson_interval
from mirrorset.settings import Settings

Floats = NDArray[np.float64]
PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
# The bound on how much worse the joined points may be than the better model alone.
_MARGIN = 0.001
_PROFILES = ("research", "commercial")


def main() -> None:
    """Measure everything; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--negatives", type=Path, help="a folder of pictures without faces")
    parser.add_argument("--fit", action="store_true", help="calibrate uncertainty anew")
    wanted = parser.parse_args()
    if not PHOTOS.is_dir():
        raise SystemExit("The photographs of ../shared/data are not beside this checkout.")
    settings = Settings()
    models = settings.cache / "models"
    paths = {
        name: fetch(model, models)
        for name, model in load_registry().items()
        if name in ("scrfd_500m_bnkps", "yunet", "2d106det", "face_landmarker")
    }
    detector = Scrfd(paths["scrfd_500m_bnkps"])
    confirmation = second_look("scrfd_500m_bnkps", paths["scrfd_500m_bnkps"])
    looker = Looker(detector, confirmation, paths["2d106det"], paths["face_landmarker"])
    looked = [(one.person, one.kind, looker.look(one)) for one in accuracy_london.portraits(PHOTOS)]
    faces = [face for _, _, face in looked if face]
    lost = _lost(looked)
    figures: dict[str, Any] = {"landmarks": _landmarks(faces), "lost": lost}
    _people(faces)
    figures["uncertainty"] = _uncertainty(faces)
    if wanted.fit:
        for name, calibration in accuracy_fit.calibrate(faces).items():
            print(name, {key: round(value, 4) for key, value in calibration})
    finders: dict[str, Callable[[Sequence[Picture]], list[Found]]] = {
        "SCRFD at 640": _by_detector(
            Scrfd(paths["scrfd_500m_bnkps"], ScrfdParams(input_sides_px=(640,)))
        ),
        "YuNet at 640": _by_detector(YuNet(paths["yunet"], YuNetParams(input_sides_px=(640,)))),
    } | {name: _by_profile(name, models) for name in _PROFILES}
    figures["detection"] = _detection(
        accuracy_sets.sets(PHOTOS, settings.cache, wanted.negatives, detector), finders
    )
    print("\nLondon by slice")
    figures["slices"] = _detection(accuracy_sets.slices(PHOTOS), finders)
    as_taken = figures["landmarks"][KINDS[0]]["seven points"]
    singles = (as_taken["2d106"]["mean"], as_taken["face_landmarker"]["mean"])
    ratio = min(singles) / as_taken["ours"]["mean"]
    print(f"\nratio, error of the better single model over ours: {ratio:.2f}")
    print(json.dumps({"ratio": round(ratio, 3), **figures}, ensure_ascii=False))


def _lost(looked: Sequence[tuple[str, str, Looked | None]]) -> dict[str, dict[str, int]]:
    """By alteration: pictures, those whose face was not found, and those where it was found and not
    confirmed, which have no labels either."""
    lost: dict[str, dict[str, int]] = {}
    for kind in KINDS:
        of_kind = [face for _, of, face in looked if of == kind]
        found = [face for face in of_kind if face]
        lost[kind] = {
            "pictures": len(of_kind),
            "not found": len(of_kind) - len(found),
            "not confirmed": sum(not face.is_confirmed for face in found),
        }
        print(kind, ", ".join(f"{name} {count}" for name, count in lost[kind].items()))
    return lost


# --- landmarks --------------------------------------------------------------------------------


def _landmarks(faces: Sequence[Looked]) -> dict[str, Any]:
    """Errors by alteration, over the pictures in which both models found the face."""
    print(f"NME, interocular, bootstrap 95 % over people\n{'':12}{'':14}{'n':>4}", end="")
    print("".join(f"{name:>26}" for name in ("ours", "2d106", "face_landmarker")), end="")
    print("   ours − better single, bound")
    figures: dict[str, Any] = {}
    for kind in KINDS:
        of_kind = [f for f in faces if f.kind == kind and f.plain478 is not None]
        figures[kind] = {}
        for points, errors in {
            "seven points": {
                name: [value[SEVEN].mean() for value in values]
                for name, values in _errors(of_kind).items()
            },
            "ten points": {
                name: [value.mean() for value in values]
                for name, values in _errors(of_kind).items()
            },
            "pupils": {
                name: [face.pupil_error(name) for face in of_kind]
                for name in ("ours", "2d106", "face_landmarker")
            },
        }.items():
            figures[kind][points] = _compared(kind, points, of_kind, errors)
    return figures


def _errors(faces: Sequence[Looked]) -> dict[str, list[Floats]]:
    return {
        "ours": [face.errors(face.ours.points) for face in faces],
        "2d106": [face.errors(face.plain106) for face in faces],
        "face_landmarker": [
            face.errors(face.plain478) for face in faces if face.plain478 is not None
        ],
    }


def _compared(
    kind: str, points: str, faces: Sequence[Looked], errors: dict[str, list[float]]
) -> dict[str, Any]:
    people = [face.person for face in faces]
    by_person = {name: _means(people, values) for name, values in errors.items()}
    rows = {name: _row(values) for name, values in by_person.items()}
    better = min(("2d106", "face_landmarker"), key=lambda name: rows[name]["mean"])
    apart = by_person["ours"] - by_person[better]
    # One-sided: how much worse it may be at the most, with 95 % confidence.
    difference = _row(apart) | {"bound": round(bootstrap_interval(apart, level=0.9)[1], 5)}
    is_held = difference["bound"] < _MARGIN
    print(f"{kind:12}{points:14}{len(faces):4}", end="")
    print("".join(f"{_shown(row):>26}" for row in rows.values()), end="")
    print(f"   {_shown(difference)} {difference['bound']:+.4f}{'' if is_held else ' WORSE'}")
    return {**rows, "n": len(faces), "ours − better": difference, "is_no_worse": is_held}


def _means(people: Sequence[str], values: Sequence[float]) -> Floats:
    """One mean a person: pictures of one person are not independent."""
    pairs = sorted(zip(people, values, strict=True))
    return np.array(
        [np.mean([value for _, value in pair]) for _, pair in groupby(pairs, lambda one: one[0])]
    )


def _row(values: Floats) -> dict[str, float]:
    low, high = bootstrap_interval(values)
    return {
        key: round(value, 5)
        for key, value in {"mean": float(values.mean()), "low": low, "high": high}.items()
    }


def _shown(row: dict[str, float]) -> str:
    return f"{row['mean']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"


def _people(faces: Sequence[Looked]) -> None:
    """Person by person, seven points as taken: ours, 2d106, face_landmarker."""
    print("\nPerson by person, as taken, seven points: ours / 2d106 / face_landmarker")
    taken = [face for face in faces if face.kind == KINDS[0]]
    cells = [
        f"{face.person} "
        + " / ".join(
            f"{float(values[index][SEVEN].mean()):.4f}" for values in _errors(taken).values()
        )
        for index, face in enumerate(taken)
    ]
    for start in range(0, len(cells), 3):
        print("   ".join(cells[start : start + 3]))


# --- uncertainty ------------------------------------------------------------------------------


def _uncertainty(faces: Sequence[Looked]) -> dict[str, Any]:
    """Error by decile of uncertainty, as shipped and by calibrations on all other people."""
    errors = np.array([face.errors(face.ours.points).mean() for face in faces])
    shipped = [face.ours.expected for face in faces]
    elsewhere = accuracy_fit.expected_elsewhere(faces)
    figures = {
        "as shipped": _deciles("as shipped", shipped, errors),
        "calibrated on other people": _deciles("calibrated on other people", elsewhere, errors),
        "without blur": _deciles(
            "calibrated on other people, without blur",
            *_kept(elsewhere, errors, [face.kind != "blur" for face in faces]),
        ),
        "confirmed": _deciles(
            "calibrated on other people, confirmed faces alone",
            *_kept(elsewhere, errors, [face.is_confirmed for face in faces]),
        ),
    }
    alone = [
        located68(replace(face.seen, points106=None))
        for face in faces
        if face.seen.points478 is not None
    ]
    of_mesh = [face for face in faces if face.seen.points478 is not None]
    figures["commercial"] = _deciles(
        "the mesh alone, as the commercial profile has it",
        [one.expected for one in alone],
        np.array(
            [face.errors(one.points).mean() for face, one in zip(of_mesh, alone, strict=True)]
        ),
    )
    points = np.concatenate([expected[list(IBUG68)] for expected in elsewhere])
    is_near = np.concatenate([face.errors(face.ours.points) for face in faces]) < NEAR
    figures["confidence"] = _reliability(confidence(points), is_near)
    return figures


def _kept(
    expected: Sequence[Floats], errors: Floats, is_kept: Sequence[bool]
) -> tuple[list[Floats], Floats]:
    kept = np.flatnonzero(is_kept)
    return [expected[index] for index in kept], errors[kept]


def _deciles(name: str, expected: Sequence[Floats], errors: Floats) -> dict[str, Any]:
    uncertainty = np.array([of_face[SHARED].mean() for of_face in expected])
    worst_first = np.argsort(-uncertainty, kind="stable")
    parts = np.array_split(worst_first, 10)
    ratio = errors[parts[0]].mean() / errors[np.concatenate(parts[1:])].mean()
    ideal = np.array_split(np.sort(errors)[::-1], 10)
    oracle = ideal[0].mean() / np.concatenate(ideal[1:]).mean()
    print(f"\nError by decile of uncertainty, worst first: {name}, {len(errors)} pictures")
    print("expected " + " ".join(f"{uncertainty[part].mean():.4f}" for part in parts))
    print("measured " + " ".join(f"{errors[part].mean():.4f}" for part in parts))
    print(f"worst decile over the rest: {ratio:.2f} (ranked by the error itself: {oracle:.2f})")
    return {
        "worst_over_rest": round(float(ratio), 3),
        "oracle": round(float(oracle), 3),
        "expected": [round(float(uncertainty[part].mean()), 5) for part in parts],
        "measured": [round(float(errors[part].mean()), 5) for part in parts],
    }


def _reliability(stated: Floats, is_near: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Share of points within 5 % of the interocular distance, by stated confidence."""
    print("\nA point's confidence, and the share of points within 5 % (Wilson 95 %)")
    rows = []
    for part in np.array_split(np.argsort(stated), 10):
        low, high = wilson_interval(int(is_near[part].sum()), len(part))
        rows.append(
            {
                "stated": round(float(stated[part].mean()), 3),
                "low": round(low, 3),
                "measured": round(float(is_near[part].mean()), 3),
                "high": round(high, 3),
            }
        )
        print("  ".join(f"{key} {value:.3f}" for key, value in rows[-1].items()))
    return rows


# --- detection --------------------------------------------------------------------------------

# Faces found in a picture, and faces found and not confirmed.
Found = tuple[int, int]


def _by_detector(detector: Scrfd | YuNet) -> Callable[[Sequence[Picture]], list[Found]]:
    def find(pictures: Sequence[Picture]) -> list[Found]:
        return [(len(found), 0) for found in detector.detect([one.rgb for one in pictures])]

    return find


def _by_profile(name: str, models: Path) -> Callable[[Sequence[Picture]], list[Found]]:
    profile = load_profile(name, models)

    def find(pictures: Sequence[Picture]) -> list[Found]:
        measures: Sequence[Measures] = profile.measure_batch([one.rgb for one in pictures])
        return [(len(one.faces), one.unconfirmed) for one in measures]

    return find


def _detection(
    sets: Any, finders: dict[str, Callable[[Sequence[Picture]], list[Found]]]
) -> dict[str, Any]:
    """Pictures of people whose face is missed, and faces found where there are none."""
    print(f"\n{'set':40}{'pictures':>9}", end="")
    print("".join(f"{name:>40}" for name in finders))
    figures: dict[str, Any] = {}
    for name, pictures in sets:
        if not pictures:
            continue
        figures[name] = {}
        line = f"{name:40}{len(pictures):9}"
        for finder, find in finders.items():
            found = list(in_batches(find, pictures))
            figures[name][finder] = _counts(pictures, found)
            line += f"{_said(figures[name][finder]):>40}"
        print(line, flush=True)
    return figures


def _counts(pictures: Sequence[Picture], found: Sequence[Found]) -> dict[str, Any]:
    has_faces = bool(pictures[0].faces)
    hits = sum(1 for faces, _ in found if faces)
    low, high = wilson_interval(hits, len(pictures))
    counts = {
        "recall" if has_faces else "false_positive_rate": round(hits / len(pictures), 4),
        "low": round(low, 4),
        "high": round(high, 4),
        "faces": sum(faces for faces, _ in found),
        "unconfirmed": sum(others for _, others in found),
    }
    if has_faces:
        counts["missed"] = [
            picture.name for picture, (faces, _) in zip(pictures, found, strict=True) if not faces
        ]
    return counts


def _said(counts: dict[str, Any]) -> str:
    rate = counts.get("recall", counts.get("false_positive_rate"))
    said = f"{100 * rate:.1f} % [{100 * counts['low']:.1f}, {100 * counts['high']:.1f}]"
    return f"{said}, {counts['faces']} + {counts['unconfirmed']}"


if __name__ == "__main__":
    main()
