"""Charts: Vega-Lite drawn to SVG when a page is made, once for a light and once for a dark screen.

So a page needs no program to show them, and its content security policy can stay strict.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import vl_convert

_VEGA_LITE = "6.4"
# Where the reader's machine lacks these, letters are up to a sixth wider than they were laid out:
# so there is room at the left for names, and between these and an axis's title.
_FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
_INKS = {"light": "#1d1f22", "dark": "#e9e9e6"}
_SOFT = {"light": "#595d64", "dark": "#a7abb2"}
_ACCENTS = {"light": "#0b5c8a", "dark": "#7cc4ee"}
_LINES = {"light": "#d9d8d2", "dark": "#363a40"}


@dataclass(frozen=True)
class Chart:
    """A chart as addresses of pictures. alt: what it shows, for those who cannot see it."""

    light: str
    dark: str
    alt: str
    width_px: int
    height_px: int


def drawn(spec: Mapping[str, Any], alt: str) -> Chart:
    """Draw a Vega-Lite `spec`; "$ink", "$line", "$accent" in it are colours of the screen's mode.

    Raises ValueError where it is no valid one.
    """
    light, dark = (_svg(spec, mode) for mode in ("light", "dark"))
    found = re.search(r'width="([\d.]+)" height="([\d.]+)"', light)
    if found is None:
        raise ValueError("the chart has no size")
    width_px, height_px = (ceil(float(size)) for size in found.groups())
    return Chart(_address(light), _address(dark), alt, width_px, height_px)


def _svg(spec: Mapping[str, Any], mode: str) -> str:
    ink, soft, line = _INKS[mode], _SOFT[mode], _LINES[mode]
    inks = {"$ink": ink, "$line": line, "$accent": _ACCENTS[mode]}
    config = {
        "background": None,
        "font": _FONT,
        "padding": {"left": 32, "right": 10, "top": 5, "bottom": 5},
        "view": {"stroke": None},
        "point": {"opacity": 1},
        "axis": {
            "labelColor": ink,
            "titleColor": soft,
            "titleFontWeight": "normal",
            "labelFontSize": 13,
            "titleFontSize": 13,
            "titlePadding": 14,
            "labelLimit": 260,
            "domainColor": line,
            "tickColor": line,
            "gridColor": line,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": soft,
            "titleFontWeight": "normal",
            "labelFontSize": 13,
            "titleFontSize": 13,
            "columnPadding": 24,
            "symbolBaseFillColor": soft,
            "symbolBaseStrokeColor": soft,
        },
        "header": {"labelColor": ink, "titleColor": soft},
    }
    svg = str(
        vl_convert.vegalite_to_svg(
            {"config": config, **_inked(spec, inks)},
            vl_version=_VEGA_LITE,
        )
    )
    # Ids are counted from the process's first chart on: the same chart has the same bytes.
    numbers: dict[str, str] = {}
    return re.sub(
        r"\b(clip|gradient_)(\d+)\b",
        lambda found: found[1] + numbers.setdefault(found[0], str(len(numbers))),
        svg,
    )


def _inked(value: Any, inks: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _inked(one, inks) for key, one in value.items()}
    if isinstance(value, list):
        return [_inked(one, inks) for one in value]
    return inks.get(value, value) if isinstance(value, str) else value


def _address(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")
