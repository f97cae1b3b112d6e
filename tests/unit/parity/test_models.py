"""The spec says how crops become tensors and outputs become points."""

from pathlib import Path

import numpy as np
import pytest

from mirrorset.errors import SettingsError
from parity.models import load_spec, points_px, tensor


def test_the_default_spec_is_the_face_meshs() -> None:
    spec = load_spec()
    assert spec.point_count == 478
    assert set(spec.eye_corners) <= set(spec.label_points)
    assert spec.points_output in spec.outputs
    assert max(spec.label_points.values()) < spec.point_count


@pytest.mark.parametrize("values", [(0.0, 1.0), (-1.0, 1.0)])
def test_bytes_span_the_input_range(values: tuple[float, float]) -> None:
    spec = load_spec().model_copy(update={"input_range": values, "input_px": 16})
    crop = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    result = tensor(crop, spec)
    assert result.shape == (1, 16, 16, 3)
    assert result.dtype == np.float32
    assert (result.min(), result.max()) == pytest.approx(values)
    np.testing.assert_allclose(result[0, :, :, 0].ravel(), np.linspace(*values, 256), atol=1e-6)


def test_points_come_in_px_of_the_crop() -> None:
    spec = load_spec().model_copy(update={"point_count": 2, "point_values": 3})
    output = np.array([[[1, 2, 9, 3, 4, 9]]], dtype=np.float32)
    np.testing.assert_array_equal(points_px(output, spec), [[[1, 2], [3, 4]]])
    share = spec.model_copy(update={"points_unit": "share"})
    np.testing.assert_array_equal(points_px(output, share), [[[256, 512], [768, 1024]]])


@pytest.mark.parametrize(
    ("text", "said"), [("name: x", "input_px"), ("[", "YAML"), ("- 1", "the file")]
)
def test_a_wrong_spec_is_said_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said):
        load_spec(path)
    with pytest.raises(SettingsError, match="does not exist"):
        load_spec(tmp_path / "absent.yaml")
