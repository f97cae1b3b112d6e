"""Runs in an environment with faiss-cpu: its search for close hashes, one thread.

    python duplicates_faiss.py HASHES.npy RADIUS multihash TABLES BITS
    python duplicates_faiss.py HASHES.npy RADIUS files PER_FILE LOOKED_AT

prints JSON. HASHES: (N, W) uint64, of which the last hundredth are copies of the first. Of
multi-index hashing all tables are searched with one bit of each key turned too. Files are inverted
ones: one row in PER_FILE is drawn, every row is filed under the nearest of them, and compared with
what lies in the LOOKED_AT nearest files; the drawn rows are found in the same way.
"""

import json
import sys
import time
from pathlib import Path

import faiss
import numpy as np

_QUERIES = 50_000


_ALL = 4096  # so many rows are compared one by one
_NEAREST = 32  # of each row in its files


def main() -> None:
    """Index all hashes, then search for some of them, or for all in files."""
    hashes = np.load(sys.argv[1])
    radius, kind, first, second = int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    faiss.omp_set_num_threads(1)
    rows = hashes.view(np.uint8).reshape(len(hashes), -1)
    asked = rows if kind == "files" else rows[-_QUERIES:]  # the copies lie at the end
    began, began_cpu = time.perf_counter(), time.process_time()
    if kind == "files":
        index = _files(rows, first, second, np.random.RandomState(0))
    else:
        index = faiss.IndexBinaryMultiHash(rows.shape[1] * 8, first, second)
        index.nflip = 1
        index.add(rows)
    added_s, added_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    began, began_cpu = time.perf_counter(), time.process_time()
    pairs = set()
    for start in range(len(rows) - len(asked), len(rows), _QUERIES):
        block = rows[start : start + _QUERIES]
        if kind == "files":
            distances, nearest = index.search(block, _NEAREST)
            here, rank = np.nonzero((distances <= radius) & (nearest >= 0))
            found = nearest[here, rank]
        else:
            limits, _, found = index.range_search(block, radius + 1)
            here = np.repeat(np.arange(len(block)), np.diff(limits.astype(np.int64)))
        close = zip((here + start).tolist(), found.tolist(), strict=True)
        pairs |= {(min(i, j), max(i, j)) for i, j in close if i != j}
    share = len(rows) / len(asked)
    searched_s = (time.perf_counter() - began) * share
    searched_cpu_s = (time.process_time() - began_cpu) * share
    copies = len(rows) // 100
    hit = sum((i, len(rows) - copies + i) in pairs for i in range(copies))
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2]
    print(
        json.dumps(
            {
                "hashes": len(rows),
                "kind": kind,
                "seconds": round(added_s + searched_s, 2),
                "cpu_seconds": round(added_cpu_s + searched_cpu_s, 2),
                "pairs_found": len(pairs),
                "recall_planted": round(hit / copies, 5),
                "peak_rss_mb": round(int(peak.split()[0]) / 1e3),
            }
        )
    )


def _files(
    rows: np.ndarray, per_file: int, looked_at: int, random: np.random.RandomState
) -> faiss.IndexBinary:
    bits = rows.shape[1] * 8
    if len(rows) <= _ALL:
        index = faiss.IndexBinaryFlat(bits)
    else:
        drawn = rows[random.permutation(len(rows))[: len(rows) // per_file]]
        index = faiss.IndexBinaryIVF(_files(drawn, per_file, looked_at, random), bits, len(drawn))
        index.nprobe = min(looked_at, len(drawn))
        index.is_trained = True  # drawn rows need no fitting
    index.add(rows)
    return index


if __name__ == "__main__":
    main()
