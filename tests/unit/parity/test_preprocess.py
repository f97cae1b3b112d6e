"""The crop is where the transform says, and the way back is exact."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.geometry import invert, transform
from parity.preprocess import crop_transform, cut

coordinates = st.floats(10, 500)
sizes = st.floats(20, 400)


@st.composite
def boxes(draw: st.DrawFn) -> np.ndarray:
    left, top = draw(coordinates), draw(coordinates)
    return np.array([left, top, left + draw(sizes), top + draw(sizes)])


@given(box=boxes(), roll_deg=st.floats(-179, 179), factor=st.floats(0.5, 3))
def test_the_face_is_centred_upright_and_scaled(
    box: np.ndarray, roll_deg: float, factor: float
) -> None:
    width, height = box[2:] - box[:2]
    centre = (box[:2] + box[2:]) / 2
    roll = np.deg2rad(roll_deg)
    across = np.array([np.cos(roll), np.sin(roll)]) * width / 4
    corners = np.stack([centre - across, centre + across])
    matrix = crop_transform(box, corners, factor, 256)
    eyes = transform(corners, matrix)
    np.testing.assert_allclose(eyes.mean(axis=0), [128, 128], atol=1e-6)
    np.testing.assert_allclose(eyes[0, 1], eyes[1, 1], atol=1e-6)
    assert eyes[0, 0] < eyes[1, 0]
    scale = np.linalg.norm(matrix[:, 0])
    np.testing.assert_allclose(scale, 256 / (max(width, height) * factor), rtol=1e-9)
    np.testing.assert_allclose(transform(eyes, invert(matrix)), corners, atol=1e-6)


def test_an_unturned_unscaled_crop_is_the_image_itself() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    matrix = crop_transform([16, 16, 48, 48], [[20, 32], [44, 32]], 1.0, 32)
    np.testing.assert_array_equal(cut(rgb, matrix, 32), rgb[16:48, 16:48])


def test_a_dot_lands_where_the_transform_says() -> None:
    rgb = np.zeros((200, 300, 3), dtype=np.uint8)
    rgb[80:84, 120:124] = 255
    matrix = crop_transform([100, 60, 160, 120], [[115, 85], [145, 95]], 1.5, 256)
    rows, columns = np.nonzero(cut(rgb, matrix, 256)[:, :, 0] > 127)
    found = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    np.testing.assert_allclose(found, transform([[122, 82]], matrix)[0], atol=0.3)


def test_beyond_the_image_its_edge_is_repeated() -> None:
    rgb = np.full((50, 50, 3), 200, dtype=np.uint8)
    matrix = crop_transform([0, 0, 50, 50], [[10, 20], [40, 20]], 3.0, 64)
    assert (cut(rgb, matrix, 64) == 200).all()
