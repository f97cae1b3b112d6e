"""What people do to a picture before they put it up again: copies that are to be found."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

Alter = Callable[[Image.Image, np.random.Generator], Image.Image]


def _resized(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    share = random.uniform(0.5, 0.8)
    size = round(picture.width * share), round(picture.height * share)
    return picture.resize(size, Image.Resampling.LANCZOS)


def _cropped(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Without up to 10 % of width and of height, divided at random between the sides."""
    left, top, across, along = random.uniform(0, 1, 4) * (1, 1, 0.05, 0.05) + (0, 0, 0.05, 0.05)
    width, height = picture.size
    x, y = round(left * across * width), round(top * along * height)
    box = (x, y, x + round(width * (1 - across)), y + round(height * (1 - along)))
    return picture.crop(box)


def _brightened(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A third darker, or up to a third brighter and so clipped."""
    factor = random.choice([random.uniform(0.67, 0.85), random.uniform(1.15, 1.33)])
    return ImageEnhance.Brightness(picture).enhance(factor)


def _watermarked(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """A line of large letters across the middle, two fifths opaque, as agencies do."""
    layer = Image.new("L", picture.size)
    font = ImageFont.load_default(size=picture.width / 6)
    place = picture.width / 2, picture.height * random.uniform(0.3, 0.7)
    ImageDraw.Draw(layer).text(place, "SPECIMEN", fill=102, font=font, anchor="mm")
    turned = layer.rotate(random.uniform(-30, 30), Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", picture.size, "white"), picture, turned)


ALTERATIONS: dict[str, Alter] = {
    "re-encoded": lambda picture, _: picture,
    "resized": _resized,
    "cropped": _cropped,
    "mirrored": lambda picture, _: ImageOps.mirror(picture),
    "brightness": _brightened,
    "watermarked": _watermarked,
}


def altered(picture: Image.Image, alteration: str, random: np.random.Generator) -> bytes:
    """A copy as JPEG, of a quality between 40 and 80 whatever else is done to it."""
    copy = ALTERATIONS[alteration](picture, random)
    out = io.BytesIO()
    copy.save(out, "JPEG", quality=int(random.integers(40, 81)))
    return out.getvalue()
