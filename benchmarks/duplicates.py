"""Finds copies planted among 20,000 pictures, and close hashes among 10⁵ to 10⁷, beside imagededup.

    .venv/bin/python benchmarks/duplicates.py [--pictures 20000] [--largest 10000000]

Prints tables and, as its last line, JSON. `ratio` is pairs of pictures judged in a second by our
search over imagededup's default search, on the same hashes (imagededup's own, of these pictures) at
its default radius of 10 bits; both exact or nearly so, the recall is printed beside. Its search
takes the same time for each picture, so some are searched among all. `growth_exponent` is the slope
of log CPU time over log number of face hashes, from 10⁵ to the largest.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import duplicates_peers
import numpy as np
from duplicates_altered import ALTERATIONS
from duplicates_pictures import Picture, photographs, strangers
from duplicates_search import RADIUS, by_brute_force, hashes_like, plant
from measured import this_machine

from curation.close_pairs import Words, close_pairs
from curation.group import GroupParams, join_copies
from curation.hashes import words
from curation.likeness import Pixels
from curation.near_duplicates import HashColumns, Hashed, hash_image, near_duplicates
from mirrorset.pixels import decode, phash
from mirrorset.settings import Settings

_PEER_RADIUS = 10  # imagededup's default
_QUERIES = 400
_SIZES = (100_000, 1_000_000, 10_000_000)


def main() -> None:
    """Run everything; the last line printed is JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=20_000, help="of different faces")
    parser.add_argument("--copied", type=int, default=150, help="photographs that are altered")
    parser.add_argument("--largest", type=int, default=_SIZES[-1], help="number of hashes searched")
    parser.add_argument("--photos", type=Path, default=Path("../shared/data/photos"))
    wanted = parser.parse_args()
    settings = Settings()
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="mirrorset-bench-") as name:
        scratch = Path(name)
        real = photographs(wanted.photos, scratch / "real", wanted.copied, settings.models)
        originals = sum(not picture.alteration for picture in real)
        made = strangers(
            wanted.pictures - originals,
            1 + max(picture.original for picture in real),
            real,
            wanted.photos,
            scratch / "made",
        )
        pictures = [*real, *made]
        print(f"{len(pictures)} pictures, {len(real) - originals} of them planted copies")
        figures, hashed = _groups(pictures)
        peer = _peer(pictures, settings.cache, scratch)
        donors = np.array([image.faces[0][0] for image in hashed[len(real) :]])
        np.save(scratch / "donors.npy", donors)
        sizes = [size for size in _SIZES if size <= wanted.largest]
        growth = [_search(scratch / "donors.npy", size) for size in sizes]
        faiss = _faiss(donors, settings.cache, scratch)
    exponent = None
    if len(growth) > 1:
        times = math.log(growth[-1]["cpu_seconds"] / growth[0]["cpu_seconds"])
        exponent = round(times / math.log(growth[-1]["hashes"] / growth[0]["hashes"]), 3)
        print(f"growth exponent: {exponent}")
    machine["load_after"] = round(os.getloadavg()[0], 1)
    print(
        json.dumps(
            {
                "ratio": round(peer["pairs_s"] / peer["imagededup_pairs_s"], 2),
                "growth_exponent": exponent,
                "pictures": figures,
                "same_hashes": peer,
                "search": growth,
                "faiss": faiss,
                "machine": machine,
            }
        )
    )


def _groups(pictures: Sequence[Picture]) -> tuple[dict[str, Any], list[Hashed]]:
    """Groups as `mirrorset release` makes them, held against what was planted."""
    params = GroupParams()
    began = time.perf_counter()
    hashed = []
    for picture in pictures:
        rgb = decode(picture.path.read_bytes())
        hashed.append(hash_image(rgb, phash(rgb), picture.faces))
    hashed_s = time.perf_counter() - began

    @lru_cache(maxsize=256)
    def pixels(index: int) -> Pixels:
        picture = pictures[index]
        return Pixels(decode(picture.path.read_bytes()), picture.faces)

    began = time.perf_counter()
    close = list(
        near_duplicates(HashColumns(hashed), params.face_radius_bits, params.frame_radius_bits)
    )
    searched_s = time.perf_counter() - began
    by_hash, _ = join_copies(close, pixels, min_likeness=-1)
    began = time.perf_counter()
    sets, refused = join_copies(close, pixels, params.min_likeness)
    verified_s = time.perf_counter() - began
    rows = {}
    print(f"{'':14}{'recall':>8}{'precision':>11}   precision by hashes alone")
    for alteration in ALTERATIONS:
        recall, precision = _held(pictures, sets, alteration)
        _, unverified = _held(pictures, by_hash, alteration)
        rows[alteration] = {
            "copies": sum(picture.alteration == alteration for picture in pictures),
            "recall": recall,
            "precision": precision,
            "precision_by_hashes": unverified,
        }
        print(f"{alteration:14}{recall:8.4f}{precision:11.4f}{unverified:14.4f}")
    different = [{pictures[index].original for index in members} for members in sets.subsets()]
    largest = max((len(members) for members in sets.subsets()), default=0)
    print(
        f"hashed in {hashed_s:.0f} s, searched in {searched_s:.1f} s, verified in "
        f"{verified_s:.0f} s; {len(close)} pairs close by hash, {refused} refused; largest group "
        f"{largest}, {sum(len(one) > 1 for one in different)} groups of different originals"
    )
    return {
        "images": len(pictures),
        "alterations": rows,
        "close_by_hash": len(close),
        "refused_by_pixels": refused,
        "largest_group": largest,
        "groups_of_different_originals": sum(len(one) > 1 for one in different),
        "largest_by_hashes": max((len(one) for one in by_hash.subsets()), default=0),
        "seconds": {
            "hashed": round(hashed_s, 1),
            "searched": round(searched_s, 1),
            "verified": round(verified_s, 1),
        },
    }, hashed


def _held(pictures: Sequence[Picture], sets: Any, alteration: str) -> tuple[float, float]:
    """Share of the altered copies in their original's group, and of those in their groups that
    show the same original."""
    originals = {
        picture.original: index for index, picture in enumerate(pictures) if not picture.alteration
    }
    hits: list[bool] = []
    together: Counter[bool] = Counter()
    for index, picture in enumerate(pictures):
        if picture.alteration == alteration and picture.original in originals:
            group = sets.subset(index) if index in sets else {index}
            hits.append(originals[picture.original] in group)
            together.update(
                pictures[other].original == picture.original for other in group if other != index
            )
    return (
        round(sum(hits) / max(len(hits), 1), 4),
        round(together[True] / max(together.total(), 1), 4),
    )


def _peer(pictures: Sequence[Picture], cache: Path, scratch: Path) -> dict[str, Any]:
    folder = scratch / "all"
    folder.mkdir()
    for picture in pictures:
        (folder / picture.path.name).symlink_to(picture.path)
    python = duplicates_peers.environment(cache, duplicates_peers.IMAGEDEDUP)
    theirs = duplicates_peers.imagededup(python, folder, _QUERIES, scratch)
    names = sorted(theirs["hashes"])
    hashes = np.array([words(theirs["hashes"][name]) for name in names])
    began = time.perf_counter()
    pairs = close_pairs(hashes, _PEER_RADIUS, lambda i, _: np.ones(len(i), dtype=np.bool_))
    took_s = time.perf_counter() - began
    found = {tuple(pair) for pair in pairs.tolist()}
    place = {name: index for index, name in enumerate(names)}
    exact = {
        tuple(sorted((place[name], place[other])))
        for name, others in theirs["found"].items()
        for other in others
    }
    searched = {
        method: s / theirs["queries"] * len(names) for method, s in theirs["search_s"].items()
    }
    all_pairs = len(names) * (len(names) - 1) / 2
    print("\nimagededup on the same pictures (perceptual hash of the frame, radius 10):")
    rows = _by_alteration(pictures, place, hashes)
    for alteration, row in rows.items():
        print(f"{alteration:14}{row['recall']:8.4f}{row['precision']:11.4f}")
    figures = {
        "hashes": len(names),
        "seconds": round(took_s, 2),
        "pairs_s": all_pairs / took_s,
        "recall_against_imagededup": round(len(exact & found) / max(len(exact), 1), 5),
        "imagededup_seconds": {method: round(s, 1) for method, s in searched.items()},
        "imagededup_pairs_s": all_pairs / searched["brute_force_cython"],
        "imagededup_hashed_s": round(theirs["hashed_s"], 1),
        "imagededup_alterations": rows,
    }
    print(
        f"search: {took_s:.2f} s, imagededup {figures['imagededup_seconds']} s; recall against it "
        f"{figures['recall_against_imagededup']}"
    )
    return figures


def _by_alteration(
    pictures: Sequence[Picture], place: dict[str, int], hashes: Words
) -> dict[str, dict[str, float]]:
    """Recall and precision of imagededup's answer for each copy: what lies within its radius."""
    at = {place[picture.path.name]: picture for picture in pictures}
    originals = {picture.original: row for row, picture in at.items() if not picture.alteration}
    copies = [row for row, picture in at.items() if picture.alteration]
    near = defaultdict(set)
    for i, j in by_brute_force(hashes, np.array(copies), _PEER_RADIUS):
        near[i].add(j)
        near[j].add(i)
    rows = {}
    for alteration in ALTERATIONS:
        own = [
            row
            for row in copies
            if at[row].alteration == alteration and at[row].original in originals
        ]
        hits = sum(originals[at[row].original] in near[row] for row in own)
        true = sum(at[other].original == at[row].original for row in own for other in near[row])
        rows[alteration] = {
            "recall": round(hits / max(len(own), 1), 4),
            "precision": round(true / max(sum(len(near[row]) for row in own), 1), 4),
        }
    return rows


def _search(donors: Path, count: int) -> dict[str, Any]:
    program = Path(__file__).with_name("duplicates_search.py")
    done = subprocess.run(
        [sys.executable, str(program), str(donors), str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"The search among {count} hashes failed: {done.stderr[-200:]}")
    figures: dict[str, Any] = json.loads(done.stdout)
    print(
        f"{count:>10} face hashes: {figures['seconds']} s ({figures['cpu_seconds']} of "
        f"a core), {figures['pairs_s']:.3g} pairs/s, "
        f"{figures['peak_rss_mb']} MB, recall {figures['recall_planted']} of planted, "
        f"{figures['recall_brute_force']} of brute force, which takes "
        f"{figures['brute_force_seconds']} s"
    )
    return figures


def _faiss(donors: Words, cache: Path, scratch: Path) -> list[dict[str, Any]]:
    """Its multi-index hashing, its inverted files and our search on the same hashes."""
    python = duplicates_peers.environment(cache, duplicates_peers.FAISS)
    rows = []
    # Tables and bits as narrow as 10⁵ to 10⁶ hashes allow, as wide as the radius does.
    for count, width, radius, *search in (
        (100_000, 1, 4, "multihash", "3", "21"),
        (1_000_000, 1, 4, "multihash", "3", "21"),
        (100_000, 8, RADIUS, "multihash", "17", "30"),
        (100_000, 1, 4, "files", "64", "16"),
        (100_000, 8, RADIUS, "files", "64", "16"),
    ):
        random = np.random.default_rng(1)
        hashes = hashes_like(donors, count, random)
        plant(hashes, random)
        if width == 1:
            hashes = random.integers(0, 2**64, (count, 1), dtype=np.uint64)
            hashes[-count // 100 :] = hashes[: count // 100] ^ np.uint64(0b1111)
        np.save(scratch / "hashes.npy", hashes)
        began = time.perf_counter()
        pairs = close_pairs(hashes, radius, lambda i, _: np.ones(len(i), dtype=np.bool_))
        took_s = time.perf_counter() - began
        theirs = duplicates_peers.faiss(python, scratch / "hashes.npy", radius, *search)
        row = {
            "hashes": count,
            "bits": 64 * width,
            "radius": radius,
            "seconds": round(took_s, 2),
            "pairs_found": len(pairs),
            "faiss": theirs,
        }
        rows.append(row)
        print(
            f"{count:>10} hashes of {64 * width} bits: {took_s:.2f} s, {len(pairs)} pairs; faiss, "
            f"{search[0]}: {theirs['seconds']} s, {theirs['pairs_found']} pairs, recall "
            f"{theirs['recall_planted']}, {theirs['peak_rss_mb']} MB"
        )
    return rows


if __name__ == "__main__":
    main()
