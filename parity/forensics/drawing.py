"""The worst images with what reference and candidate said of them, side by side as PNG."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mirrorset.files import write_bytes
from parity.both import Both
from parity.chain import Chain
from parity.forensics.records import WorstImage
from parity.rules.rule import Value

Canvas = NDArray[np.uint8]

# Of one of the three pictures.
_SIDE_PX = 480
_LINE_PX = 30
_LETTERS = 0.75
# Differences are drawn so many times as long, the largest that keeps them this short.
_TIMES, _LONGEST_PX = (100, 50, 20, 10, 5, 2), 30
# BGR, as OpenCV writes: light on dark skin and on light.
_POINT, _BOX, _MASK, _INK, _GROUND = (
    (255, 224, 39), (74, 225, 255), (210, 95, 255), (240, 240, 240), (24, 24, 24),
)  # fmt: skip


def draw_worst(both: Both, worst: Sequence[WorstImage], folder: Path) -> tuple[WorstImage, ...]:
    """Draw the worst images of two runs into `folder`, the first as 01.png; the same, with these.

    On the left the reference, beside it the run: face, landmarks, mask; then their difference:
    where each landmark went, many times as long where that is little, and what only one mask holds.
    """
    chain = both.pack.chain
    rows = [{each: row for row, each in enumerate(run.record.image_ids)} for run in both.runs]
    items = {item.image_id: item for item in both.items}
    drawn = []
    for number, one in enumerate(worst, start=1):
        rgb = both.pack.picture(items[one.image_id]).rgb
        reference, candidate = (
            {name: values[places[one.image_id]] for name, values in run.rules.items()}
            for run, places in zip(both.runs, rows, strict=True)
        )
        panels = [
            _panel(chain, rgb, reference, "reference"),
            _panel(chain, rgb, candidate, both.runs[1].name),
            _difference(chain, rgb, reference, candidate),
        ]
        out = f"{number:02d}.png"
        write_bytes(folder / out, _png(_beside(panels)))
        drawn.append(one.model_copy(update={"picture": out}))
    return tuple(drawn)


def _panel(chain: Chain, rgb: Canvas, values: dict[str, Value], title: str) -> Canvas:
    """The picture with its values, and a line of text for the title and each label."""
    canvas, scale = _scaled(rgb)
    lines = [title]
    for name, rule in chain.rules.items():
        value = values.get(name)
        if value is None:
            if rule.labels:
                lines.append(f"{name}: not told")
        elif rule.gives == "mask":
            _draw_mask(canvas, value.astype(np.uint8))
        elif rule.gives == "face" and np.isfinite(value).all():
            corners = _pixels(value[:4].reshape(2, 2) * scale)
            cv2.rectangle(canvas, corners[0], corners[1], _BOX, 2)
        elif rule.gives in ("points", "ibug68"):
            for point in _pixels(value[np.isfinite(value).all(axis=1)] * scale):
                cv2.circle(canvas, point, 1, _POINT, -1, cv2.LINE_AA)
        elif rule.labels:
            lines.append(f"{name}: {rule.labels[int(value)] if value >= 0 else 'none'}")
    return np.vstack([canvas, _text(lines, canvas.shape[1])])


def _difference(
    chain: Chain, rgb: Canvas, reference: dict[str, Value], run: dict[str, Value]
) -> Canvas:
    """The darkened picture with what differs."""
    canvas, scale = _scaled(rgb)
    canvas //= 3
    pairs = []
    for name, rule in chain.rules.items():
        one, other = reference.get(name), run.get(name)
        if one is None or other is None:
            continue
        if rule.gives == "mask":
            size = (canvas.shape[1], canvas.shape[0])
            differs = (one.astype(np.uint8) != other.astype(np.uint8)).astype(np.uint8)
            canvas[cv2.resize(differs, size, interpolation=cv2.INTER_NEAREST) > 0] = _MASK
        elif rule.gives in ("points", "ibug68"):
            told = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
            pairs.append((one[told] * scale, other[told] * scale))
    longest = max((float(np.abs(b - a).max(initial=0.0)) for a, b in pairs), default=0.0)
    times = next((each for each in _TIMES if 0 < each * longest <= _LONGEST_PX), 1)
    for before, after in pairs:
        ends = _pixels(before + times * (after - before))
        for start, end in zip(_pixels(before), ends, strict=True):
            cv2.line(canvas, start, end, _BOX, 1, cv2.LINE_AA)
            cv2.circle(canvas, end, 1, _POINT, -1, cv2.LINE_AA)
    title = f"difference, {times} times as long" if times > 1 else "difference"
    return np.vstack([canvas, _text([title], canvas.shape[1])])


def _scaled(rgb: Canvas) -> tuple[Canvas, float]:
    """The picture in BGR at the size of a panel, and by how much it is larger than it was."""
    scale = _SIDE_PX / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.ascontiguousarray(small[:, :, ::-1], dtype=np.uint8), scale


def _draw_mask(canvas: Canvas, mask: NDArray[np.uint8]) -> None:
    whole = cv2.resize(mask, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(canvas, outlines, -1, _MASK, 2)


def _pixels(points: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Whole px, kept near the picture: a broken model may put them anywhere."""
    near = np.clip(points, -_SIDE_PX, 2 * _SIDE_PX)
    return [(round(float(x)), round(float(y))) for x, y in near]


def _beside(panels: list[Canvas]) -> Canvas:
    """In a row, as high as the highest."""
    height_px = max(panel.shape[0] for panel in panels)
    filled = []
    for panel in panels:
        rest = np.full((height_px - panel.shape[0], panel.shape[1], 3), _GROUND, np.uint8)
        filled.append(np.vstack([panel, rest]))
    return np.hstack(filled)


def _text(lines: list[str], width_px: int) -> Canvas:
    block = np.full((_LINE_PX * len(lines) + 8, width_px, 3), _GROUND, np.uint8)
    for number, line in enumerate(lines, start=1):
        place = (8, _LINE_PX * number - 4)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(block, line, place, font, _LETTERS, _INK, 1, cv2.LINE_AA)
    return block


def _png(canvas: Canvas) -> bytes:
    _, content = cv2.imencode(".png", canvas)
    return bytes(content.tobytes())
