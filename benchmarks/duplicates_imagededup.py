"""Runs in imagededup's own environment: its perceptual hash, and its search.

    python duplicates_imagededup.py FOLDER QUERIES OUT.json

QUERIES pictures, evenly chosen, are searched among all; OUT.json gets hashes and what was found.
"""

import importlib.util
import json
import sys
import time
import types
from pathlib import Path

RADIUS = 10  # its default


def main() -> None:
    """Hash the folder, then search with each of imagededup's exact methods that is there."""
    # These two packages import PyTorch, which neither hashing nor its search uses.
    home = Path(importlib.util.find_spec("imagededup").origin).parent
    for name in ("methods", "utils"):
        bare = types.ModuleType(f"imagededup.{name}")
        bare.__path__ = [str(home / name)]
        sys.modules[bare.__name__] = bare
    from imagededup.handlers.search.retrieval import HashEval
    from imagededup.methods.hashing import PHash

    folder, queries, out = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    hasher = PHash(verbose=False)
    began = time.perf_counter()
    hashes = hasher.encode_images(image_dir=folder, num_enc_workers=1)
    hashed_s = time.perf_counter() - began
    names = sorted(hashes)
    asked = {name: hashes[name] for name in names[:: max(1, len(names) // queries)]}
    searches = {}
    for method in ("bktree", "brute_force_cython"):
        began = time.perf_counter()
        search = HashEval(
            hashes, asked, hasher.hamming_distance, False, RADIUS, method, num_dist_workers=1
        )
        searches[method] = time.perf_counter() - began
    # Of the last method, which is its default: all its methods are exact.
    results = search.retrieve_results(scores=False)
    out.write_text(
        json.dumps(
            {
                "hashes": hashes,
                "hashed_s": hashed_s,
                "queries": len(asked),
                "search_s": searches,
                "found": results,
            }
        )
    )


if __name__ == "__main__":
    main()
