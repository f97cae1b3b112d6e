"""Which landmark model runs, and how its input and output are read."""

from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from faces.carriers import member
from faces.registry import fetch, load_registry, model_ref
from mirrorset.errors import SettingsError, first_fault
from mirrorset.files import write_bytes
from mirrorset.records import ModelRef
from parity.records import ModelSpec

DEFAULT_SPEC = Path(__file__).with_name("face_landmarks_detector.yaml")
_ARCHIVE = "face_landmarker"
_MEMBER = "face_landmarks_detector.tflite"


def load_spec(path: Path = DEFAULT_SPEC) -> ModelSpec:
    """The model description at `path` (YAML).

    Raises SettingsError naming file and field where it is none.
    """
    try:
        return ModelSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise SettingsError(f"{path} does not exist: give the model's spec file.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    except ValidationError as error:
        where, fault = first_fault(error)
        raise SettingsError(f"{path}: {where or 'the file'}: {fault}.") from None


def default_model(cache: Path) -> Path:
    """The .tflite file that `DEFAULT_SPEC` describes, taken out of the registered archive.

    Raises what `faces.registry.fetch` raises where the archive cannot be had.
    """
    archive = fetch(load_registry()[_ARCHIVE], cache)
    content = member(archive, _MEMBER)
    path = cache / _MEMBER
    if not path.is_file() or path.read_bytes() != content:
        write_bytes(path, content)
    return path


def default_model_ref(model_sha256: str) -> ModelRef:
    """Name and licence of the default model's archive, with the sha256 of the file that runs."""
    archive = model_ref(load_registry()[_ARCHIVE])
    return archive.model_copy(
        update={"name": f"{_ARCHIVE}/{Path(_MEMBER).stem}", "sha256": model_sha256}
    )


def tensor(crop: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.float32]:
    """The input (1, S, S, 3) float32 that one RGB crop (S, S, 3) uint8 becomes."""
    low, high = spec.input_range
    scaled = crop.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)
    return scaled[None]


def points_px(output: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    """Landmarks (N, K, 2), xy px of the crop, from the points output of N images."""
    values = output.reshape(len(output), spec.point_count, spec.point_values)
    scale = 1 if spec.points_unit == "px" else spec.input_px
    return values[:, :, :2].astype(np.float64) * scale
