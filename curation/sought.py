"""A picture somebody holds, and which of the stored ones show it: by hash, verified on pixels."""

import numpy as np
from numpy.typing import NDArray

from curation.hashes import words
from curation.likeness import grey, likeness
from mirrorset.pixels import phash

# Portraits (FRL London) less 10 % at one side are up to 28 bits away, three in four up to 18; of
# strangers before one backdrop a quarter is so near, of pictures at large next to none.
_RADIUS_BITS = 18
# Copies of the same portraits (JPEG of quality 30, half and double size, mirrored, less 10 % at
# a border) reach 0.94 and more, two people before one backdrop 0.73.
_MIN_LIKENESS = 0.85


class SoughtPicture:
    """One picture as it is looked for. rgb: (H, W, 3) uint8, upright."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        mirrored = np.ascontiguousarray(rgb[:, ::-1])
        self._hashes = [words(phash(view)) for view in (rgb, mirrored)]
        self._views = [grey(view) for view in (rgb, mirrored)]

    def may_be(self, frame_phash: str) -> bool:
        """Whether a picture with this perceptual hash is worth looking at."""
        own = words(frame_phash)
        return any(int(np.bitwise_count(own ^ one).sum()) <= _RADIUS_BITS for one in self._hashes)

    def is_shown_by(self, rgb: NDArray[np.uint8]) -> bool:
        """Whether upright pixels, (H, W, 3) uint8, show this photograph or its mirror."""
        other = grey(rgb)
        return any(likeness(view, other) >= _MIN_LIKENESS for view in self._views)
