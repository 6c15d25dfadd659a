"""The accuracy of models against the strength of a corruption."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnist_core.figures.style import HIGHLIGHT, LEGEND, MARGIN, QUIET, TRAIN, VALIDATION
from mnist_core.inference.corruptions import get_corruption
from mnist_core.inference.interval import interval_text
from mnist_core.inference.robustness import Robustness

LINES = ((TRAIN, "circle"), (VALIDATION, "square"), (HIGHLIGHT, "diamond"), ("#CC79A7", "triangle-up"))
MOST_LINES = len(LINES)


def robustness_figure(curves: Mapping[str, Robustness]) -> dict[str, Any]:
    """Name of a model → its curve, at most MOST_LINES of one corruption → Plotly's `{"data": …, "layout": …}`.

    A vertical line on each point is the 95 % interval (Wilson). A cross marks where a model fails; the dashed line is
    the limit of the first model.
    """
    first = next(iter(curves.values()))
    kind = get_corruption(first.corruption)
    ticks = [kind.text(level) if level else "none" for level in first.levels]
    traces: list[dict[str, Any]] = []
    if first.measurable:
        limit = round(first.limit, 4)
        traces.append(
            {
                "type": "scatter",
                "x": ticks,
                "y": [limit] * len(ticks),
                "name": f"nine tenths of {next(iter(curves)) if len(curves) > 1 else 'it'}",
                "mode": "lines",
                "line": {"color": QUIET, "width": 1.5, "dash": "dash"},
                "hoverinfo": "skip",
            }
        )
    for (name, found), (colour, symbol) in zip(curves.items(), LINES, strict=False):
        bounds = found.intervals
        fails = found.fails_at
        traces.append(
            {
                "type": "scatter",
                "x": ticks,
                "y": [round(accuracy, 4) for accuracy in found.accuracy],
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [round(high - a, 4) for a, (_, high) in zip(found.accuracy, bounds, strict=True)],
                    "arrayminus": [round(a - low, 4) for a, (low, _) in zip(found.accuracy, bounds, strict=True)],
                    "color": colour,
                    "thickness": 1,
                    "width": 3,
                },
                "customdata": [interval_text(interval) for interval in bounds],
                "name": name,
                "mode": "lines+markers",
                "cliponaxis": False,
                "line": {"color": colour, "width": 2.5},
                "marker": {
                    "size": [14 if place == fails else 8 for place in range(len(ticks))],
                    "symbol": ["x" if place == fails else symbol for place in range(len(ticks))],
                    "color": colour,
                },
                "hovertemplate": "%{y:.1%} (95 %: %{customdata})",
            }
        )
    layout = {
        "margin": MARGIN,
        "hovermode": "x unified",
        "showlegend": True,
        "legend": LEGEND,
        "xaxis": {"type": "category", "title": {"text": f"{kind.title}: {kind.measure}"}, "fixedrange": True},
        "yaxis": {"range": [0, 1.03], "tickformat": ".0%", "title": {"text": "read right"}, "fixedrange": True},
        "dragmode": False,
    }
    return {"data": traces, "layout": layout}
