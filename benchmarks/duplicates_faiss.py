"""Runs in an environment with faiss-cpu: its multi-index hashing, one thread.

    python duplicates_faiss.py HASHES.npy RADIUS TABLES BITS

prints JSON. HASHES: (N, W) uint64. All tables are searched with one bit of each key turned too.
"""

import json
import sys
import time
from pathlib import Path

import faiss
import numpy as np

_QUERIES = 50_000


def main() -> None:
    """Index all hashes, then search for some of them."""
    hashes = np.load(sys.argv[1])
    radius, tables, bits = (int(one) for one in sys.argv[2:5])
    faiss.omp_set_num_threads(1)
    rows = hashes.view(np.uint8).reshape(len(hashes), -1)
    began = time.perf_counter()
    index = faiss.IndexBinaryMultiHash(rows.shape[1] * 8, tables, bits)
    index.nflip = 1
    index.add(rows)
    added_s = time.perf_counter() - began
    # Its copies lie at the end.
    asked = rows[-_QUERIES:]
    began = time.perf_counter()
    limits, _, found = index.range_search(asked, radius + 1)
    searched_s = (time.perf_counter() - began) * len(rows) / len(asked)
    first = len(rows) - len(asked)
    queries = np.repeat(np.arange(len(asked)) + first, np.diff(limits.astype(np.int64)))
    close = zip(queries.tolist(), found.tolist(), strict=True)
    pairs = {(min(i, j), max(i, j)) for i, j in close if i != j}
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2]
    print(
        json.dumps(
            {
                "hashes": len(rows),
                "seconds": round(added_s + searched_s, 2),
                "pairs_found": len(pairs),
                "peak_rss_mb": round(int(peak.split()[0]) / 1e3),
            }
        )
    )


if __name__ == "__main__":
    main()
