"""The worst images with what reference and candidate said of them, side by side as PNG."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mirrorset.files import write_bytes
from parity.chain import Chain
from parity.forensics.records import Explanation
from parity.pack import Pack
from parity.replay import completed
from parity.rules.rule import Value
from parity.run import RunResult, reference_of

Canvas = NDArray[np.uint8]

# Of one of the three pictures.
_SIDE_PX = 480
_LINE_PX = 22
# BGR, as OpenCV writes: light on dark skin and on light.
_POINT, _BOX, _MASK, _INK, _GROUND = (
    (255, 224, 39), (74, 225, 255), (210, 95, 255), (240, 240, 240), (24, 24, 24),
)  # fmt: skip


def draw_worst(pack: Pack, run: RunResult, explanation: Explanation, folder: Path) -> Explanation:
    """Draw the worst images into `folder`, the worst as 01.png; the explanation that names them.

    On the left the reference, beside it the run: face, landmarks, mask; then their difference:
    where each landmark went, and what only one mask holds. Below labels and what is farthest out.
    """
    sides = [completed(pack, one) for one in (reference_of(pack), run)]
    rows = [{each: row for row, each in enumerate(one.record.image_ids)} for one in sides]
    items = {item.image_id: item for item in pack.items}
    drawn = []
    for number, worst in enumerate(explanation.worst, start=1):
        picture = pack.picture(items[worst.image_id])
        values = [
            {name: rule[places[worst.image_id]] for name, rule in one.rules.items()}
            for one, places in zip(sides, rows, strict=True)
        ]
        panels = [
            _panel(pack.chain, picture.rgb, own, title)
            for own, title in zip(values, ("reference", run.name), strict=True)
        ]
        panels.append(_difference(pack.chain, picture.rgb, panels[0].shape[0], *values))
        out = f"{number:02d}.png"
        said = f"{worst.name}: {worst.times_tolerance:.3g} times what counts as equal"
        write_bytes(folder / out, _png(np.vstack([np.hstack(panels), _caption(panels, said)])))
        drawn.append(worst.model_copy(update={"picture": out}))
    return explanation.model_copy(update={"worst": tuple(drawn)})


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
    chain: Chain,
    rgb: Canvas,
    height_px: int,
    reference: dict[str, Value],
    run: dict[str, Value],
) -> Canvas:
    """The darkened picture with what differs, as high as the panels beside it."""
    canvas, scale = _scaled(rgb)
    canvas //= 3
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
            pairs = zip(_pixels(one[told] * scale), _pixels(other[told] * scale), strict=True)
            for start, end in pairs:
                cv2.line(canvas, start, end, _BOX, 1, cv2.LINE_AA)
                cv2.circle(canvas, end, 1, _POINT, -1, cv2.LINE_AA)
    rest = height_px - canvas.shape[0]
    below = np.full((rest, canvas.shape[1], 3), _GROUND, np.uint8)
    title = _text(["difference"], canvas.shape[1])
    below[: title.shape[0]] = title[:rest]
    return np.vstack([canvas, below])


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


def _caption(panels: list[Canvas], said: str) -> Canvas:
    return _text([said], sum(panel.shape[1] for panel in panels))


def _text(lines: list[str], width_px: int) -> Canvas:
    block = np.full((_LINE_PX * len(lines) + 8, width_px, 3), _GROUND, np.uint8)
    for number, line in enumerate(lines, start=1):
        place = (8, _LINE_PX * number - 2)
        cv2.putText(block, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return block


def _png(canvas: Canvas) -> bytes:
    _, content = cv2.imencode(".png", canvas)
    return bytes(content.tobytes())
