"""The search for close hashes alone: one run in a process of its own, and what it must find.

    python benchmarks/duplicates_search.py DONORS.npy COUNT

prints JSON.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from curation.close_pairs import Words, close_pairs

RADIUS = 48
_PLANTED_SHARE = 0.01
_PROBES = 256
_BLOCK = 50_000
_FACTORS = 200  # of 512; the rest is noise


def hashes_like(donors: Words, count: int, random: np.random.Generator) -> Words:
    """`count` hashes (count, 8) of faces that nobody has, whose bits go together as the donors' do.

    Signs of normal variables: two of correlation r agree in sign as often as two bits of
    correlation 2/π · arcsin r.
    """
    bits = np.unpackbits(donors.astype(">u8").view(np.uint8), axis=1).astype(np.float32)
    share = bits.mean(axis=0).clip(0.01, 0.99)
    correlation = np.sin(np.pi / 2 * np.corrcoef(bits, rowvar=False))
    strengths, directions = np.linalg.eigh(correlation)
    factors = (directions * np.sqrt(strengths.clip(0)))[:, -_FACTORS:].T.astype(np.float32)
    factors /= np.linalg.norm(factors, axis=0)
    levels = np.array([NormalDist().inv_cdf(one) for one in share.tolist()], dtype=np.float32)
    made = np.empty((count, 8), dtype=np.uint64)
    for start in range(0, count, _BLOCK):
        block = made[start : start + _BLOCK]
        normal = random.standard_normal((len(block), _FACTORS), dtype=np.float32) @ factors
        block[:] = np.packbits(normal < levels, axis=1).view(">u8")
    return made


def plant(hashes: Words, random: np.random.Generator) -> np.ndarray:
    """Makes the last hundredth copies of the first, 0 to 48 bits off; their distances."""
    planted = int(len(hashes) * _PLANTED_SHARE)
    distances = np.arange(planted) % (RADIUS + 1)
    hashes[-planted:] = hashes[:planted]
    for copy, distance in zip(range(len(hashes) - planted, len(hashes)), distances, strict=True):
        for bit in random.choice(512, distance, replace=False).tolist():
            hashes[copy, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    return distances


def by_brute_force(hashes: Words, probes: np.ndarray, radius: int) -> Iterator[tuple[int, int]]:
    """All pairs within the radius of which one is of the rows `probes`."""
    for probe in probes.tolist():
        for start in range(0, len(hashes), _BLOCK):
            block = hashes[start : start + _BLOCK]
            near = (
                np.bitwise_count(block ^ hashes[probe]) @ np.ones(block.shape[1], dtype=np.float32)
                <= radius
            )
            yield from (
                (min(probe, other), max(probe, other))
                for other in (np.flatnonzero(near) + start).tolist()
                if other != probe
            )


def peak_rss_mb() -> int:
    """Of this process alone: what getrusage says begins with its parent's."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1e3)


def measured(donors: Words, count: int) -> dict[str, Any]:
    """One search among `count` hashes, against what is planted and against brute force."""
    random = np.random.default_rng(0)
    hashes = hashes_like(donors, count, random)
    distances = plant(hashes, random)
    began, began_cpu = time.perf_counter(), time.process_time()
    pairs = close_pairs(hashes, RADIUS, lambda i, _: np.ones(len(i), dtype=np.bool_))
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    found = set(zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), strict=True))
    hit = np.array([(i, count - len(distances) + i) in found for i in range(len(distances))])
    probes = random.choice(count, max(8, _PROBES * 100_000 // count), replace=False)
    probes = np.concatenate([probes, np.arange(len(probes)) % len(distances)])
    began = time.perf_counter()
    true = set(by_brute_force(hashes, probes, RADIUS))
    brute_s = (time.perf_counter() - began) / len(probes) * count / 2
    return {
        "hashes": count,
        "seconds": round(took_s, 2),
        "cpu_seconds": round(cpu_s, 2),
        "pairs_s": count * (count - 1) / 2 / took_s,
        "pairs_found": len(pairs),
        "recall_planted": round(float(hit.mean()), 5),
        "recall_planted_up_to_32": round(float(hit[distances <= 32].mean()), 5),
        "recall_planted_at_48": round(float(hit[distances == RADIUS].mean()), 5),
        "recall_brute_force": round(len(true & found) / max(len(true), 1), 5),
        "pairs_brute_force": len(true),
        "brute_force_seconds": round(brute_s, 1),
        "peak_rss_mb": peak_rss_mb(),
    }


if __name__ == "__main__":
    print(json.dumps(measured(np.load(Path(sys.argv[1])), int(sys.argv[2]))))
