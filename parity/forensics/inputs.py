"""Guesses at how a net's input went wrong: the chain's preprocessing with one thing changed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parity.chain import WHOLE, NetInput
from parity.engine import Picture
from parity.forensics.records import Cause
from parity.forensics.spread import Floats, explained
from parity.preprocess import pixels, place, tensor, value_table

Tensor = NDArray[np.generic]

# What other frameworks do with bytes: mean and scale, as words and values.
_CONVENTIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "0 to 255": ((0.0,) * 3, (1.0,) * 3),
    "0 to 1": ((0.0,) * 3, (1 / 255,) * 3),
    "-1 to 1": ((127.5,) * 3, (1 / 127.5,) * 3),
    "-1 to 1 about 128": ((128.0,) * 3, (1 / 128,) * 3),
    "-0.5 to 0.5": ((127.5,) * 3, (1 / 255,) * 3),
    "ImageNet's": ((123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)),
}
# Half a pixel of the input, to each side.
_SHIFTS_PX = [(x, y) for x in (-0.5, 0.0, 0.5) for y in (-0.5, 0.0, 0.5) if x or y]


@dataclass(frozen=True)
class Guess:
    """What may have been done instead. detail: a clause. is_misread: bytes in the other layout's
    order. shift_px: of the input, how far right and down the picture lies."""

    cause: Cause
    detail: str
    given: NetInput
    shift_px: tuple[float, float] = (0.0, 0.0)
    is_misread: bool = False

    def tensor(self, picture: Picture, where: Floats, face: Floats | None) -> Tensor:
        """What the net gets of `picture` (the input's shape).

        where: the transform (2, 3) that the chain lays; face: where its region is one. A guess
        about the place lays its own, where it can.
        """
        item, cut = picture.item, where.copy()
        if self.cause == "crop" and (face is not None or self.given.region == WHOLE):
            cut = place(self.given, item.width_px, item.height_px, face)
        cut[:, 2] += self.shift_px
        seen = pixels(picture.rgb, cut, self.given)
        made: Tensor = tensor(seen, value_table(self.given), self.given.layout)[0]
        if not self.is_misread:
            return made
        axes = (2, 0, 1) if self.given.layout == "nhwc" else (1, 2, 0)
        misread: Tensor = np.ascontiguousarray(made.transpose(axes)).reshape(made.shape)
        return misread


def swapped_channels(given: NetInput) -> Guess:
    """Red and blue in each other's place."""
    other = "bgr" if given.colour == "rgb" else "rgb"
    detail = f"channels come as {other}, not {given.colour}"
    return Guess("swapped_channels", detail, given.model_copy(update={"colour": other}))


def guesses(given: NetInput) -> Iterator[Guess]:
    """All that is tried of a net's preprocessing, what is likeliest first."""

    def changed(cause: Cause, detail: str, **update: object) -> Guess:
        return Guess(cause, detail, given.model_copy(update=update))

    yield swapped_channels(given)
    other_grid = "asymmetric" if given.grid == "half_pixel" else "half_pixel"
    yield changed(
        "half_pixel_shift",
        f"resized on the {other_grid} grid, not the {given.grid} one",
        grid=other_grid,
    )
    for shift in _SHIFTS_PX:
        detail = f"the picture lies {shift[0]:+g} px right and {shift[1]:+g} px down in the input"
        yield Guess("half_pixel_shift", detail, given, shift_px=shift)
    for resize in ("nearest", "linear", "cubic", "area"):
        if resize != given.resize:
            yield changed("resize", f"resized by {resize}, not {given.resize}", resize=resize)
    other_border = "black" if given.border == "edge" else "edge"
    yield changed(
        "border", f"beyond the picture lies {other_border}, not {given.border}", border=other_border
    )
    if given.region == WHOLE:
        other_fit = "stretch" if given.fit == "letterbox" else "letterbox"
        yield changed(
            "crop", f"the picture is fitted by {other_fit}, not {given.fit}", fit=other_fit
        )
    else:
        other_align = "none" if given.align == "eyes" else "eyes"
        yield changed("crop", f"aligned by {other_align}, not {given.align}", align=other_align)
        for factor in (1.0, 1.25, 1.5, 2.0):
            if factor != given.factor:
                detail = f"cut at {factor:g} times the box, not {given.factor:g}"
                yield changed("crop", detail, factor=factor)
    yield Guess("layout", f"bytes were laid out as if not {given.layout}", given, is_misread=True)
    if given.dtype == "float32":
        for words, (mean, scale) in _CONVENTIONS.items():
            if (mean, scale) != (given.mean, given.scale):
                detail = f"values are {words}, which is another mean or scale"
                yield changed("mean_or_scale", detail, mean=mean, scale=scale)


def fitted(given: NetInput, found: Floats, expected: Floats) -> tuple[str, float]:
    """Mean and scale as they follow from tensors (n, …), in words, and how much that explains.

    A line is laid through what came and what should have, channel by channel.
    """
    axis = 3 if given.layout == "nhwc" else 1
    fit, words = np.empty_like(expected), []
    for channel in range(3):
        place_ = tuple(channel if each == axis else slice(None) for each in range(4))
        came, should = found[place_].ravel(), expected[place_].ravel()
        slope, offset = _line(should, came)
        fit[place_] = slope * expected[place_] + offset
        scale = slope * given.scale[channel]
        mean = given.mean[channel] - offset / scale if scale else 0.0
        words.append((round(mean, 2), float(f"{scale:.4g}")))
    if len(set(words)) == 1:
        words = words[:1]
    told = ", ".join(f"mean {mean:g} and scale {scale:g}" for mean, scale in words)
    return f"values are as with {told}", explained(found, expected, fit)


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope and offset of the least squares line."""
    variance = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / variance) if variance else 1.0
    return slope, float(y.mean() - slope * x.mean())
