"""Charts are pictures: the same for the same figures, one for each mode of a screen."""

import base64

from reports.charts import Chart, drawn

SPEC = {
    "data": {"values": [{"name": "a", "count": 3}, {"name": "b", "count": 5}]},
    "mark": "bar",
    "encoding": {
        "x": {"field": "count", "type": "quantitative"},
        "y": {"field": "name", "type": "nominal"},
        "color": {"value": "$ink"},
    },
}


def svg(address: str) -> str:
    return base64.b64decode(address.removeprefix("data:image/svg+xml;base64,")).decode()


def test_the_same_figures_give_the_same_bytes_whatever_was_drawn_before() -> None:
    gradient = SPEC | {
        "encoding": SPEC["encoding"] | {"color": {"field": "count", "type": "quantitative"}}
    }
    first = drawn(gradient, "Bars.")
    drawn(gradient, "Others.")
    assert drawn(gradient, "Bars.") == first


def test_each_mode_has_its_ink() -> None:
    chart = drawn(SPEC, "Bars.")
    assert isinstance(chart, Chart)
    assert "#1d1f22" in svg(chart.light)
    assert "#e9e9e6" in svg(chart.dark)
    assert (chart.width_px, chart.height_px) > (100, 20)


def test_a_size_may_be_no_whole_number() -> None:
    """As Vega gives it where bars stand beside each other."""
    steps = {"step": 22.25}
    chart = drawn(SPEC | {"width": {"step": 20}, "height": steps}, "Bars.")
    assert "." in svg(chart.light).partition('height="')[2].partition('"')[0]
    assert chart.height_px > 44
