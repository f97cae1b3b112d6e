"""The input is what the chain's data say, where the transform says, and the way back is exact."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mirrorset.geometry import invert, transform
from parity.chain import NetInput
from parity.preprocess import crop_transform, pixels, place, tensor, value_table


def net_input(side_px: int, **more: Any) -> NetInput:
    return NetInput.model_validate(
        {"region": "labels", "width_px": side_px, "height_px": side_px} | more
    )


def cut(rgb: NDArray[np.uint8], matrix: NDArray[np.float64], side_px: int) -> NDArray[np.uint8]:
    return pixels(rgb, matrix, net_input(side_px))


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


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
    rgb = noise(64, 64, 3)
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


# --- whole pictures -------------------------------------------------------------------------------


def test_a_whole_picture_is_stretched_or_letterboxed() -> None:
    stretched = place(net_input(100, region="whole"), 400, 200, None)
    np.testing.assert_allclose(transform([[0, 0], [400, 200]], stretched), [[0, 0], [100, 100]])
    boxed = place(net_input(100, region="whole", fit="letterbox"), 400, 200, None)
    np.testing.assert_allclose(transform([[0, 0], [400, 200]], boxed), [[0, 25], [100, 75]])


def test_a_letterbox_is_black_where_asked() -> None:
    rgb = np.full((50, 100, 3), 200, np.uint8)
    given_ = net_input(40, region="whole", fit="letterbox", border="black")
    cut_ = pixels(rgb, place(given_, 100, 50, None), given_)
    assert (cut_[12:28] == 200).all()
    assert (cut_[:9] == 0).all()
    assert (cut_[31:] == 0).all()


# --- faces ----------------------------------------------------------------------------------------

FACE = np.array([10, 20, 50, 60, 1, 20, 35, 40, 45.0])


def test_a_face_is_turned_by_its_eyes_where_asked() -> None:
    upright = place(net_input(64, align="eyes"), 100, 100, FACE)
    np.testing.assert_array_equal(
        upright, crop_transform(FACE[:4], FACE[5:9].reshape(2, 2), 1.0, 64)
    )
    straight = place(net_input(64), 100, 100, FACE)
    np.testing.assert_allclose(straight, [[1.6, 0, -16], [0, 1.6, -32]], atol=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {0: np.nan},
        {5: np.nan},
        {2: 10.0},  # a box without width
        {7: 20.0, 8: 35.0},  # both eyes in one place
        {3: np.inf},
    ],
)
def test_without_a_face_there_is_no_place(change: dict[int, float]) -> None:
    face = FACE.copy()
    for index, value in change.items():
        face[index] = value
    where = place(net_input(64, align="eyes"), 100, 100, face)
    assert np.isnan(where).all()
    assert (pixels(noise(10, 10, 3), where, net_input(64)) == 0).all()


# --- pixels and values ----------------------------------------------------------------------------

SAME = np.array([[1.0, 0, 0], [0, 1, 0]])


def test_colour_and_layout_order_the_channels() -> None:
    rgb = noise(8, 8, 3)
    np.testing.assert_array_equal(pixels(rgb, SAME, net_input(8, colour="bgr")), rgb[:, :, ::-1])
    planes = pixels(rgb, SAME, net_input(8, layout="nchw"))
    np.testing.assert_array_equal(planes, rgb.transpose(2, 0, 1))


def test_linear_looks_beside_and_area_at_all_that_a_pixel_covers() -> None:
    # One column in four is white: a quarter of the light, whichever columns are looked at.
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:, ::4] = 255
    quarter = np.array([[0.25, 0, 0], [0, 0.25, 0]])
    area = pixels(rgb, quarter, net_input(16, resize="area"))
    np.testing.assert_allclose(area, 255 / 4, atol=1)
    np.testing.assert_array_equal(area, cv2.resize(rgb, (16, 16), interpolation=cv2.INTER_AREA))
    assert (pixels(rgb, quarter, net_input(16)) == 0).all()


def test_an_asymmetric_grid_lies_half_a_pixel_aside() -> None:
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8)[:, None], (64, 1, 3)).reshape(64, 64, 3)
    half = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    centres = pixels(ramp, half, net_input(32)).astype(float)
    corners = pixels(ramp, half, net_input(32, grid="asymmetric")).astype(float)
    # Half of the two picture pixels that one pixel covers, 4 grey values each.
    np.testing.assert_allclose((centres - corners)[:, 1:-1], 2)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_tensors_are_what_the_table_says(layout: str, dtype: str) -> None:
    given_ = net_input(8, layout=layout, dtype=dtype, mean=[0, 100, 128], scale=[0.5, 1, 1])
    seen, table = pixels(noise(8, 8, 3), SAME, given_), value_table(given_)
    assert (table.shape, table.dtype) == ((256, 3), np.dtype(dtype))
    result = tensor(seen, table, layout)
    assert (result.shape, result.dtype) == ((1, *given_.shape), np.dtype(dtype))
    last = np.moveaxis(seen, 0, -1) if layout == "nchw" else seen
    wanted = np.stack([table[last[..., c], c] for c in range(3)], axis=0 if layout == "nchw" else 2)
    np.testing.assert_array_equal(result[0], wanted)


def test_values_are_mean_and_scale_in_single_precision() -> None:
    table = value_table(net_input(8, mean=127.5, scale=1 / 127.5))
    assert (table[0, 0], table[255, 2]) == (-1, 1)
    np.testing.assert_array_equal(
        table[:, 1], (np.arange(256, dtype=np.float32) - np.float32(127.5)) * np.float32(1 / 127.5)
    )
    whole = value_table(net_input(8, mean=128, scale=1, dtype="int8"))
    np.testing.assert_array_equal(whole[:, 0], np.arange(-128, 128))
    assert value_table(net_input(8, mean=0, scale=2, dtype="uint8"))[200, 0] == 255
