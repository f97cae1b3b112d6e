"""Who is who, by embeddings: vectors that live in memory alone, and are never kept nor told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from faces.align import upright_face
from faces.detection import Image
from faces.onnx import Floats32, Network, planar
from faces.registry import fetch, load_registry
from mirrorset.errors import LicenceError
from mirrorset.records import IntendedUse, Record


class IdentityParams(Record):
    """Whom a dataset's groups take for one person, where they are asked to.

    model: "sface", which commerce may use as well, or "w600k_mbf", which it may not.
    min_similarity: of the faces of one person, on average; None is the model's own.
    max_images: a larger group is doubted; its new images are kept out and looked at.
    """

    model: Literal["sface", "w600k_mbf"] = "sface"
    min_similarity: float | None = Field(default=None, gt=0, lt=1)
    max_images: int = Field(default=1000, ge=1)

    @property
    def threshold(self) -> float:
        """The similarity from which on two faces may be one person's."""
        own = _READINGS[self.model].min_similarity
        return own if self.min_similarity is None else self.min_similarity


class _Reading(NamedTuple):
    """How a network is read: (x − mean) / scale of each channel, R, G, B."""

    mean: float
    scale: float
    min_similarity: float


_READINGS = {
    "sface": _Reading(mean=0, scale=1, min_similarity=0.55),
    "w600k_mbf": _Reading(mean=127.5, scale=127.5, min_similarity=0.45),
}


class FaceEmbedder:
    """SFace or ArcFace's MobileFaceNet. What it gives is for comparing, at once, and forgetting."""

    def __init__(self, cache: Path, params: IdentityParams) -> None:
        """Raises UnavailableError and IntegrityError as `faces.registry.fetch` does."""
        self._reading = _READINGS[params.model]
        self._network = Network(fetch(load_registry()[params.model], cache), most_on_cpu=4)

    def embed(self, rgb: Image, faces: Sequence[NDArray[np.float64]]) -> Floats32:
        """Unit vectors (n, D) of the faces in `rgb` (H, W, 3) uint8, each as `face5` (5, 2) px.

        Of a face and its mirror image together: both of these have the same vector. The cosine of
        two vectors is their similarity. A face whose points give no chip is left out.
        """
        upright = (upright_face(rgb, five) for five in faces)
        chips = [chip for chip in upright if chip is not None]
        if not chips:
            return np.empty((0, 0), dtype=np.float32)
        looks = [look for chip in chips for look in (chip, np.ascontiguousarray(chip[:, ::-1]))]
        mean, scale = (self._reading.mean,) * 3, self._reading.scale
        (of_looks,) = self._network(planar(looks, mean, scale))
        summed = of_looks.reshape(len(chips), 2, -1).sum(axis=1)
        return np.asarray(summed / np.linalg.norm(summed, axis=1, keepdims=True))


def require_licensed(params: IdentityParams | None, use: IntendedUse) -> None:
    """Raise LicenceError naming the model, where the intended use forbids grouping by it."""
    if params is None or use != "commercial":
        return
    model = load_registry()[params.model]
    if not model.is_commercial_use_allowed:
        raise LicenceError(
            f"Groups by identity are asked of {model.name} ({model.licence}), which may not be "
            "used commercially: set group.identity.model to sface, or dataset.intended_use to "
            "research in params.yaml."
        )
