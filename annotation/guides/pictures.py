"""The guides' pictures, drawn on two public-domain portraits that come with Python packages:

    python -m annotation.guides.pictures

E. M. Collins by NASA (scikit-image's `astronaut.png`), G. M. Hopper by the US Navy (matplotlib's
`grace_hopper.jpg`). Points and the person's mask are those of the profile `commercial`, whose
models may be used for any purpose; the light, the flaws and the masks of parsing are painted on.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import skimage
from matplotlib.font_manager import findfont
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFilter, ImageFont

from annotation.schema import LabelSchema, load_label_schema
from faces.masks import decode
from faces.mesh import FaceMesher
from faces.profiles import load_profile, profile_models
from faces.registry import fetch
from mirrorset.files import written_aside
from mirrorset.pixels import decode as decode_picture
from mirrorset.records import Face, Xyxy
from mirrorset.settings import read_settings

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

FOLDER = Path(__file__).parent
ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"
HOPPER = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"

_PANEL_PX = 232
_GAP_PX = 8
_CAPTION_PX = 26
_INK, _PAPER = "#202020", "#ffffff"
_COLOURS = 160

# Points of the face mesh around the face, from the top of the forehead over the image's right.
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
# Of parsing, drawn by hand on the astronaut, px.
_BY_HAND: dict[str, tuple[tuple[int, int], ...]] = {
    "hair": (
        *((172, 118), (160, 109), (155, 97), (153, 80), (153, 67), (158, 56), (172, 44), (190, 36)),
        *((195, 27), (212, 20), (230, 15), (250, 18), (270, 28), (288, 42), (297, 60), (301, 85)),
        *((297, 105), (288, 119), (274, 130), (271, 122), (270, 95), (264, 87), (250, 84)),
        *((225, 81), (200, 80), (193, 76), (186, 68), (185, 80), (181, 95), (180, 112), (176, 112)),
    ),
    "l_ear": ((272, 130), (280, 127), (274, 134), (269, 137), (266, 133)),
    "r_ear": ((170, 118), (176, 113), (181, 120), (182, 131), (177, 131), (172, 125)),
    "neck": (
        *((184, 150), (190, 160), (203, 172), (216, 177), (232, 177), (246, 170), (256, 158)),
        *((254, 178), (251, 187), (235, 190), (215, 188), (198, 185), (190, 180), (186, 170)),
    ),
    "cloth": (
        *((186, 172), (190, 180), (198, 185), (215, 188), (235, 190), (251, 187), (255, 180)),
        *((270, 190), (285, 205), (292, 218), (158, 218), (152, 195), (162, 172)),
    ),
}


class Portrait:
    """A photo with what was found on it. points: (68, 2), mesh: (478, 2), both px."""

    def __init__(self, file: Path, models: Path) -> None:
        self.rgb = decode_picture(file.read_bytes())
        measured = load_profile("commercial", models).measure(self.rgb)
        self.face: Face = measured.faces[0]
        self.points: Floats = np.asarray(self.face.landmarks["ibug68"].points)
        self.person: NDArray[np.bool_] = decode(measured.masks[0], *self.rgb.shape[:2])
        (landmarker,) = [
            one for one in profile_models("commercial") if one.name == "face_landmarker"
        ]
        (mesh,) = FaceMesher(fetch(landmarker, models)).locate([(self.rgb, self.face.box)])
        assert mesh is not None, file  # noqa: S101
        self.mesh = mesh.points


class View:
    """A part of a portrait, enlarged, to draw on. part: xyxy px of the portrait."""

    def __init__(self, pixels: Pixels, part: Xyxy, width_px: int) -> None:
        left, top, right, bottom = (round(one) for one in part)
        self._origin = np.array([left, top])
        self._scale = width_px / (right - left)
        size = (width_px, round((bottom - top) * self._scale))
        self.image = Image.fromarray(pixels).crop((left, top, right, bottom)).resize(size)
        self.draw = ImageDraw.Draw(self.image, "RGBA")

    def at(self, points: ArrayLike) -> Floats:
        """Where `points`, (n, 2) or (2,) px of the portrait, are in the view."""
        return np.asarray((np.asarray(points, dtype=np.float64) - self._origin) * self._scale)

    def point(self, xy: ArrayLike, colour: str, kind: str = "visible", radius: float = 4) -> None:
        """A point as CVAT's visible, occluded or outside ones: filled, hollow, crossed."""
        x, y = self.at(xy)
        circle = (x - radius, y - radius, x + radius, y + radius)
        if kind == "visible":
            self.draw.ellipse(circle, fill=colour, outline=_INK)
        elif kind == "occluded":
            self.draw.ellipse(circle, outline=colour, width=2)
        else:
            for dy in (-radius, radius):
                self.draw.line((x - radius, y - dy, x + radius, y + dy), fill=colour, width=2)

    def text(self, xy: ArrayLike, text: str, size: int = 13) -> None:
        """White with a dark edge, beside that place."""
        x, y = self.at(xy)
        self.draw.text(
            (x + 5, y - size / 2), text, font=_font(size), stroke_width=2, stroke_fill=_INK
        )


def draw_all(folder: Path, models: Path) -> None:
    """Write every picture of the guides into `folder`. models: folder of weights."""
    schema = load_label_schema("selfie-parsing")
    astronaut, hopper = Portrait(ASTRONAUT, models), Portrait(HOPPER, models)
    pictures = {
        "box": box(hopper, schema),
        "points": points(astronaut, schema),
        "eyes_and_mouth": eyes_and_mouth(astronaut, schema),
        "visibility": visibility(astronaut, schema),
        "lighting": lighting(astronaut),
        "flaws": flaws(astronaut),
        "parsing": parsing(astronaut, schema),
    }
    for name, picture in pictures.items():
        with written_aside(folder / f"{name}.png") as aside:
            _indexed(picture, schema).save(aside, "PNG", optimize=True)


def box(portrait: Portrait, schema: LabelSchema) -> Image.Image:
    """The whole portrait with the face's box, its skeleton and the edge of the person's mask."""
    height, width = portrait.rgb.shape[:2]
    tinted = portrait.rgb.copy()
    tinted[~portrait.person] = tinted[~portrait.person] // 3 + 40
    view = View(tinted, (0, 0, width, height), 480)
    left_top, right_bottom = view.at(portrait.face.box[:2]), view.at(portrait.face.box[2:])
    view.draw.rectangle((*left_top, *right_bottom), outline=schema.face.colour, width=4)
    _skeleton(view, portrait, schema, radius=2.5)
    view.text((portrait.face.box[0], portrait.face.box[1] - 16), "face", 18)
    view.text((24, 560), "person: all that is not darkened", 15)
    return view.image


def points(portrait: Portrait, schema: LabelSchema) -> Image.Image:
    """The face with all points, numbered."""
    view = View(portrait.rgb, _around(portrait, 0.28), 720)
    _skeleton(view, portrait, schema, radius=3.5)
    inner = {*range(36, 48), *range(48, 68)}
    for number, point in enumerate(portrait.points):
        if number not in inner:
            view.text(point, str(number), 15)
    for eye, name in (
        (_group(schema, "eye_left"), "36–41"),
        (_group(schema, "eye_right"), "42–47"),
    ):
        view.text(np.add(portrait.points[list(eye)].mean(axis=0), (-6, 7)), name, 14)
    view.text(np.add(portrait.points[57], (-6, 5)), "48–67", 14)
    view.text((portrait.points[0][0] - 22, portrait.points[8][1] + 14), "← left", 18)
    view.text((portrait.points[16][0] + 2, portrait.points[8][1] + 14), "right →", 18)
    return view.image


def eyes_and_mouth(portrait: Portrait, schema: LabelSchema) -> Image.Image:
    """Both eyes and the mouth, enlarged, with all points numbered."""
    parts = []
    for numbers, margin in ((range(36, 48), 6.0), (range(48, 68), 6.0)):
        found = portrait.points[list(numbers)]
        (left, top), (right, bottom) = found.min(axis=0) - margin, found.max(axis=0) + margin
        view = View(portrait.rgb, (left, top, right, bottom), 720)
        _skeleton(view, portrait, schema, radius=6)
        for number in numbers:
            view.text(portrait.points[number], str(number), 17)
        parts.append(view.image)
    return _stacked(parts)


def visibility(portrait: Portrait, schema: LabelSchema) -> Image.Image:
    """One face with visible, occluded and outside points."""
    part = _around(portrait, 0.28)
    plain = View(portrait.rgb, part, _PANEL_PX)
    _skeleton(plain, portrait, schema, radius=3)

    phone = np.array([[222.0, 148.0], [262.0, 128.0], [290.0, 180.0], [250.0, 200.0]])
    covered = View(portrait.rgb, part, _PANEL_PX)
    covered.draw.polygon([tuple(one) for one in covered.at(phone)], fill="#333a44", outline=_INK)
    hidden = _inside(phone, portrait.points)
    for number, point in enumerate(portrait.points):
        _mark(covered, schema, number, point, "occluded" if hidden[number] else "visible")

    edge = portrait.points[33][1] + 8
    cut = View(portrait.rgb, part, _PANEL_PX)
    top = float(cut.at((0.0, edge))[1])
    cut.draw.rectangle((0, top, _PANEL_PX, cut.image.height), fill="#d8d8d8")
    cut.draw.line((0, top, _PANEL_PX, top), fill=_INK, width=2)
    for number, point in enumerate(portrait.points):
        _mark(cut, schema, number, point, "outside" if point[1] > edge else "visible")
    return _panels(
        {
            "visible ●": plain.image,
            "occluded ○ behind a phone": covered.image,
            "outside × of the image": cut.image,
        }
    )


def lighting(portrait: Portrait) -> Image.Image:
    """The portrait in the light of each side and level."""
    light = (portrait.rgb / 255.0) ** 2.2
    (left, top), (right, bottom) = portrait.points.min(axis=0), portrait.points.max(axis=0)
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    # 0 to 1 over the face, from the image's left to its right and from above to below.
    across = np.clip((columns - left) / (right - left), 0, 1)[..., None]
    down = np.clip((rows - top + 20) / (bottom - top + 20), 0, 1)[..., None]
    person = Image.fromarray((portrait.person * 255).astype(np.uint8))
    soft = np.asarray(person.filter(ImageFilter.GaussianBlur(2)))[..., None] / 255.0
    warm, cold = np.array([1.5, 0.9, 0.35]), np.array([0.45, 0.85, 1.6])
    painted = {
        "front": light,
        "left": light * 1.5 * 0.02**across,
        "right": light * 1.5 * 0.02 ** (1 - across),
        "top": light * 1.6 * 0.02**down,
        "back": light * 0.1 * soft + np.clip(light * 2.2 + 0.25, 0, 1) * (1 - soft),
        "mixed: two lamps": light * (warm * (1 - across) + cold * across),
        "level low": light * 0.035,
        "level normal": light,
        "level high": np.clip(light * 3.2, 0, 1),
    }
    return _panels({name: _portrait(portrait, _encoded(one)) for name, one in painted.items()})


def flaws(portrait: Portrait) -> Image.Image:
    """The portrait with each flaw that has a tag."""
    picture = Image.fromarray(portrait.rgb)
    smooth = cv2.bilateralFilter(portrait.rgb, 15, 70, 6)
    rosy = np.clip(smooth * np.array([1.12, 1.02, 1.06]) + 6, 0, 255)
    grain = np.random.default_rng(0).normal(0, 38, portrait.rgb.shape)
    light = (portrait.rgb / 255.0) ** 2.2
    painted: dict[str, ArrayLike] = {
        "none": portrait.rgb,
        "blurred": np.asarray(picture.filter(ImageFilter.GaussianBlur(4))),
        "noisy": np.clip(portrait.rgb + grain, 0, 255),
        "over_exposed": _encoded(np.clip(light * 6, 0, 1)),
        "under_exposed": _encoded(np.clip(light * 0.06 - 0.012, 0, 1)),
        "filtered": rosy,
    }
    return _panels(
        {name: _portrait(portrait, np.asarray(one, np.uint8)) for name, one in painted.items()}
    )


def parsing(portrait: Portrait, schema: LabelSchema) -> Image.Image:
    """The classes of parsing that the portrait has, named."""
    areas: dict[str, list[Floats]] = {
        name: [np.asarray(points, dtype=np.float64)] for name, points in _BY_HAND.items()
    }
    outlines = {
        name: portrait.points[list(_group(schema, name))]
        for name in ("eye_left", "eye_right", "brow_left", "brow_right")
    }
    areas["skin"] = [portrait.mesh[list(_OVAL)]]
    areas["nose"] = [portrait.points[[27, 31, 32, 33, 34, 35]]]
    # The person's own left is the image's right.
    for part in ("eye", "brow"):
        for side, seen in (("l", "right"), ("r", "left")):
            areas[f"{side}_{part}"] = [_thick(outlines[f"{part}_{seen}"], part)]
    lips = portrait.points[48:68]
    areas["u_lip"] = [np.concatenate([lips[0:7], lips[16:11:-1]])]
    areas["l_lip"] = [np.concatenate([lips[6:12], lips[0:1], lips[12:13], lips[:15:-1]])]
    areas["mouth"] = [lips[12:20]]
    order = ("cloth", "neck", "l_ear", "r_ear", "skin", "hair", "nose", "l_brow", "r_brow")
    view = View(portrait.rgb, (120, 10, 312, 218), 720)
    names = (*order, "l_eye", "r_eye", "u_lip", "l_lip", "mouth")
    for name in names:
        label = schema.label(name, "mask")
        assert label is not None, name  # noqa: S101
        for area in areas[name]:
            corners = [tuple(one) for one in view.at(area)]
            view.draw.polygon(corners, fill=f"{label.colour}b0", outline=label.colour)
    beside = {
        "hair": (222, 45), "skin": (196, 128), "neck": (206, 181), "cloth": (205, 204),
        "l_ear": (278, 135), "r_ear": (145, 127), "nose": (214, 118), "l_brow": (240, 88),
        "r_brow": (186, 86), "l_eye": (246, 110), "r_eye": (186, 110), "u_lip": (250, 136),
        "l_lip": (240, 155), "mouth": (212, 144),
    }  # fmt: skip
    for name, place in beside.items():
        view.text(place, name, 16)
    return view.image


def _skeleton(view: View, portrait: Portrait, schema: LabelSchema, radius: float) -> None:
    for a, b in schema.edges:
        ends = [tuple(view.at(portrait.points[end])) for end in (a, b)]
        view.draw.line(ends, fill=_colour(schema, a) + "b0", width=2)
    for number, point in enumerate(portrait.points):
        view.point(point, _colour(schema, number), radius=radius)


def _mark(view: View, schema: LabelSchema, number: int, point: Floats, kind: str) -> None:
    view.point(point, _colour(schema, number), kind, radius=3.5)


def _colour(schema: LabelSchema, number: int) -> str:
    return schema.skeleton.point_colour(schema.point_names[number])


def _group(schema: LabelSchema, group: str) -> range:
    """The numbers of the points whose names begin with `group`."""
    numbers = [i for i, name in enumerate(schema.point_names) if name.startswith(group)]
    return range(numbers[0], numbers[-1] + 1)


def _thick(outline: Floats, part: str) -> Floats:
    """The area of a part: an eye's outline as it is, a brow's line with its thickness."""
    if part == "eye":
        return outline
    below = np.add(outline[::-1], (0, 0.05 * (outline[-1][0] - outline[0][0]) + 2))
    return np.concatenate([outline, below])


def _around(portrait: Portrait, margin: float) -> Xyxy:
    left, top, right, bottom = portrait.face.box
    dx, dy = margin * (right - left), margin * (bottom - top)
    return (left - dx, top - dy, right + dx, bottom + dy)


def _inside(corners: Floats, places: Floats) -> NDArray[np.bool_]:
    """Which of `places` lie in the convex polygon of `corners`, given clockwise on the screen."""
    sides = np.roll(corners, -1, axis=0) - corners
    to = places[:, None] - corners[None]
    return np.asarray((sides[:, 0] * to[..., 1] - sides[:, 1] * to[..., 0] >= 0).all(axis=1))


def _portrait(portrait: Portrait, pixels: Pixels) -> Image.Image:
    return View(pixels, _around(portrait, 0.45), _PANEL_PX).image


def _encoded(light: Floats) -> Pixels:
    return np.asarray(np.clip(light, 0, 1) ** (1 / 2.2) * 255, np.uint8)


def _panels(panels: dict[str, Image.Image], columns: int = 3) -> Image.Image:
    """Pictures of one size in rows of `columns`, each over its caption."""
    width, height = next(iter(panels.values())).size
    rows = -(-len(panels) // columns)
    cell = (width + _GAP_PX, height + _CAPTION_PX + _GAP_PX)
    sheet = Image.new("RGB", (columns * cell[0] - _GAP_PX, rows * cell[1] - _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for place, (caption, panel) in enumerate(panels.items()):
        x, y = place % columns * cell[0], place // columns * cell[1]
        sheet.paste(panel, (x, y))
        draw.text((x + 2, y + height + 5), caption, fill=_INK, font=_font(15))
    return sheet


def _stacked(parts: Sequence[Image.Image]) -> Image.Image:
    height = sum(part.height for part in parts) + _GAP_PX * (len(parts) - 1)
    sheet = Image.new("RGB", (parts[0].width, height), _PAPER)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height + _GAP_PX
    return sheet


def _indexed(picture: Image.Image, schema: LabelSchema) -> Image.Image:
    """In few colours: the photo's most frequent ones, and all that were drawn with."""
    drawn = [label.colour for label in schema.labels] + [_INK, _PAPER]
    drawn += schema.skeleton.point_colours.values()
    frequent = picture.quantize(_COLOURS).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette(frequent + [part for one in drawn for part in ImageColor.getrgb(one)])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont("DejaVu Sans"), size)


if __name__ == "__main__":
    draw_all(FOLDER, read_settings(Path()).models)
