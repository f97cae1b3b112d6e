"""Parity in charts: slices by measures, and latency against accuracy."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from reports.charts import Chart, drawn
from reports.comparisons import Comparison

_STEP_PX, _ROW_PX = 124, 26
# Dark ink can be read on either end.
_SHADES = ("#fdf3e8", "#f0913f")
# Letters of a column's name on one line.
_LINE, _LINE_PX = 16, 15


def slices_chart(comparison: Comparison) -> Chart | None:
    """Each slice's measures as a heat map: the darker, the worse than over all images.

    A measure's own slices are laid between its best and worst one. None without a slice that has
    enough images.
    """
    enough = [row for row in comparison.slices if row.is_enough]
    cells: list[dict[str, Any]] = []
    for metric, output in comparison.headlines:
        measure = comparison.by_name[metric]
        told = {
            row.slice: estimate.value
            for row in enough
            if (estimate := comparison.estimates.get((metric, output, row.slice)))
        }
        low, high = min(told.values(), default=0.0), max(told.values(), default=0.0)
        for row in enough:
            if row.slice in told:
                place = (told[row.slice] - low) / (high - low) if high > low else 0.0
                cells.append(
                    {
                        "slice": row.words,
                        "measure": "\n".join(wrap(comparison.words(metric, output), _LINE)),
                        "badness": 1 - place if measure.is_high_good and high > low else place,
                        "words": measure.measure(told[row.slice]),
                    }
                )
    if len(enough) < 2 or not cells:
        return None
    lines = max(cell["measure"].count("\n") for cell in cells)
    columns_axis = {
        "domain": False,
        "ticks": False,
        "orient": "top",
        "labelAngle": 0,
        "labelExpr": "split(datum.label, '\\n')",
        "labelLineHeight": _LINE_PX,
        "labelPadding": 6 + _LINE_PX * lines,
    }
    spec = {
        "data": {"values": cells},
        "width": {"step": _STEP_PX},
        "height": {"step": _ROW_PX},
        "encoding": {
            "x": {
                "field": "measure",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": columns_axis,
            },
            "y": {
                "field": "slice",
                "type": "nominal",
                "sort": None,
                "title": None,
                "axis": {"domain": False, "ticks": False, "labelPadding": 6},
            },
        },
        "layer": [
            {
                "mark": {"type": "rect", "stroke": "$line"},
                "encoding": {
                    "color": {
                        "field": "badness",
                        "type": "quantitative",
                        "scale": {"range": list(_SHADES), "domain": [0, 1]},
                        "legend": None,
                    }
                },
            },
            {
                "mark": {"type": "text", "fontSize": 13},
                "encoding": {"text": {"field": "words"}, "color": {"value": "#1d1f22"}},
            },
        ],
    }
    worst = [cell for cell in cells if cell["badness"] == 1]
    told_worst = ", ".join(
        f"{it['measure']} {it['words']} at {it['slice']}".replace("\n", " ") for it in worst
    )
    return drawn(spec, f"Measures by slice. The worst: {told_worst or 'all slices are alike'}.")


def latency_chart(comparisons: Sequence[Comparison]) -> Chart | None:
    """Time of all nets of each run against its accuracy, by device and delegate.

    Accuracy is the first headline measure that the runs share. None where fewer than two were
    timed.
    """
    timed = [one for one in comparisons if _latency_ms(one) is not None and one.headlines]
    shared = [
        name
        for name in (timed[0].headlines if timed else ())
        if all(name in it.headlines for it in timed)
    ]
    if len(timed) < 2 or not shared:
        return None
    metric, output = shared[0]
    points: list[dict[str, Any]] = []
    for one in timed:
        estimate = one.estimates.get((metric, output, "all"))
        if estimate is None:
            continue
        keys = [net.candidate for net in one.nets]
        points.append(
            {
                "run": one.run,
                "device": ", ".join(dict.fromkeys(key.device for key in keys)),
                "delegate": ", ".join(dict.fromkeys(key.delegate for key in keys)),
                "ms": _latency_ms(one),
                "value": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
            }
        )
    words = timed[0].words(metric, output)
    times = [point["ms"] for point in points]
    legend = {"orient": "bottom", "columns": 1, "labelLimit": 300}
    x = {
        "field": "ms",
        "type": "quantitative",
        "title": "median ms of all nets",
        "axis": {"tickCount": 5, "format": "~s"},
        # Names of runs stand to the right of their points.
        "scale": {"type": "log", "nice": False, "domain": [min(times) / 1.4, max(times) * 4]},
    }
    is_share = timed[0].by_name[metric].unit == "share"
    y_axis = {"format": ".2~%"} if is_share else {}
    spec = {
        "data": {"values": points},
        "width": 360,
        "height": 260,
        "encoding": {
            "x": x,
            "y": {"field": "value", "type": "quantitative", "title": words, "axis": y_axis},
            "color": {"field": "delegate", "type": "nominal", "legend": legend},
        },
        "layer": [
            {
                "mark": "rule",
                "encoding": {
                    "y": {"field": "low", "type": "quantitative"},
                    "y2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 90},
                "encoding": {"shape": {"field": "device", "type": "nominal", "legend": legend}},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 9, "dy": -7, "fontSize": 12},
                "encoding": {"text": {"field": "run"}, "color": {"value": "$ink"}},
            },
        ],
    }
    told = "; ".join(f"{it['run']}: {it['ms']:.3g} ms, {it['value']:.3g}" for it in points)
    return drawn(spec, f"Latency against {words}. {told}.")


def _latency_ms(comparison: Comparison) -> float | None:
    times = [net.candidate_latency for net in comparison.nets]
    told = [one.median_ms for one in times if one is not None]
    return sum(told) if told and len(told) == len(times) else None
