"""Face parsing: a checkpoint read and run without PyTorch, and its answers in the picture."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from faces.bisenet import bisenet
from faces.checkpoint import read_checkpoint
from faces.detection import Detection
from faces.masks import decode
from faces.onnx import Network
from faces.parsing import CLASSES, FaceParser, sided
from faces.registry import fetch, load_registry
from mirrorset.errors import InputError
from mirrorset.pixels import decode as decode_pixels


@pytest.fixture(scope="module")
def checkpoint(model_cache: Path) -> Path:
    return fetch(load_registry()["bisenet"], model_cache)


@pytest.fixture(scope="module")
def parser(checkpoint: Path) -> FaceParser:
    return FaceParser(checkpoint)


def test_the_graph_computes_what_pytorch_computes(checkpoint: Path) -> None:
    """Logits recorded from PyTorch 2.13, which read the same file into layers of its own."""
    recorded = {
        (100, 300): [
            *(6.3188, 1.7457, -1.6614, -0.9826, -1.6829, -1.1981, 0.0035, -1.4125, -1.0071),
            *(-0.81, -0.6751, -1.5994, -1.6609, -1.7079, -0.8989, -1.3574, 1.36, 5.2845, 1.9424),
        ],
        (400, 77): [
            *(5.891, 1.8158, -1.8217, -1.4105, -1.7228, -1.4027, -1.2548, -1.7316, -1.3422),
            *(-0.3988, -0.8979, -1.648, -1.4077, -1.3916, -0.2396, -0.7458, 3.3032, 4.4722),
            1.9339,
        ],
    }
    rows, columns = np.mgrid[0:512, 0:512]
    planes = [np.sin((k + 1) * rows / 40) + np.cos((k + 1) * columns / 60) for k in range(3)]
    graph = bisenet(read_checkpoint(checkpoint.read_bytes()))
    (logits,) = Network(graph, most_on_cpu=1)(np.stack(planes)[None].astype(np.float32))
    assert logits.shape == (1, 19, 512, 512)
    for (row, column), expected in recorded.items():
        np.testing.assert_allclose(logits[0, :, row, column], expected, atol=1e-3)


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_classes_lie_where_the_features_are(
    parser: FaceParser, shared_data: Path, is_mirrored: bool
) -> None:
    rgb = decode_pixels((shared_data / "photos/pd_portraits/astronaut.png").read_bytes())
    box = np.array([183.0, 69.0, 271.0, 174.0])
    points = np.array(
        [(204.0, 104.0), (246.0, 103.0), (224.0, 126.0), (207.0, 144.0), (243.0, 142.0)]
    )
    if is_mirrored:
        rgb = np.ascontiguousarray(rgb[:, ::-1])
        box = np.array([512 - box[2], box[1], 512 - box[0], box[3]])
        points = np.column_stack([512 - points[:, 0], points[:, 1]])[[1, 0, 2, 4, 3]]
    masks = parser.parse(rgb, [Detection(box=box, score=1.0, five_points=points)])
    pixels = {mask.label: decode(mask, *rgb.shape[:2]) for mask in masks}
    assert list(pixels) == [name for name in CLASSES if name in pixels]
    left, right, nose, *_ = points.round().astype(int)
    for name, (x, y) in (("r_eye", left), ("l_eye", right), ("nose", nose)):
        assert pixels[name][y - 2 : y + 3, x - 4 : x + 5].any(), name
    assert pixels["hair"][int(box[1]) - 10, int(box[[0, 2]].mean())]
    assert pixels["neck"].nonzero()[0].mean() > box[3]
    assert pixels["skin"].sum() > 0.3 * 88 * 105
    assert "eye_g" not in pixels
    assert not pixels["skin"][:40].any()


def test_no_face_has_no_masks_and_a_face_at_the_edge_has_some(
    parser: FaceParser, shared_data: Path
) -> None:
    rgb = decode_pixels((shared_data / "photos/frl_zoom_cc0/15cm.jpg").read_bytes())
    assert parser.parse(rgb, []) == ()
    height, width = rgb.shape[:2]
    points = np.array([(0.35, 0.45), (0.65, 0.45), (0.5, 0.6), (0.4, 0.75), (0.6, 0.75)])
    whole = Detection(
        box=np.array([0.0, 0.0, width, height]), score=1.0, five_points=points * (width, height)
    )
    labels = {mask.label for mask in parser.parse(rgb, [whole])}
    assert {"skin", "nose", "u_lip", "l_lip", "l_eye", "r_eye"} <= labels


def test_sides_follow_the_axis_of_a_leaning_head() -> None:
    """The head lies on its right ear: its axis runs from the image's left to its right."""
    classes = np.full((9, 9), CLASSES.index("l_eye"), dtype=np.uint8)
    points = np.array([(2.0, 6.0), (2.0, 2.0), (4.0, 4.0), (6.0, 6.0), (6.0, 2.0)])
    mended = sided(classes, points)
    assert (mended[:4] == CLASSES.index("l_eye")).all()
    assert (mended[5:] == CLASSES.index("r_eye")).all()
    assert (sided(np.full_like(classes, CLASSES.index("nose")), points) == 10).all()


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 a later format",
        pickle.dumps(1),
        pickle.dumps(_Evil()),
        b"".join(pickle.dumps(part) for part in (0x1950A86A20F9469CFC6C, 1001, {}, _Evil())),
        b"".join(pickle.dumps(part) for part in (0x1950A86A20F9469CFC6C, 1001, {}, [], ["0"])),
    ],
)
def test_what_is_no_checkpoint_is_refused_and_not_run(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="checkpoint"):
        read_checkpoint(content)
    assert capsys.readouterr().out == ""


def test_a_cut_checkpoint_is_refused(checkpoint: Path) -> None:
    content = checkpoint.read_bytes()
    with pytest.raises(InputError, match="cannot be read"):
        read_checkpoint(content[: len(content) // 2])
