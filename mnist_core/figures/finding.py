"""The figure of a range test: the loss against the learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mnist_core.figures.style import HIGHLIGHT, MARGIN, QUIET, TRAIN

ROOM = 0.1  # of the losses' range, above and below


def range_spec(found: Mapping[str, Any]) -> dict[str, Any]:
    """A `training.range_test.RangeTest` as a mapping → `{"data": …, "layout": …}`.

    The losses of batches are faint, smoothed they are strong; the suggestion and the rate at which the loss was lowest
    are vertical lines. The rate's axis is logarithmic.
    """
    rates, losses, smoothed = (np.asarray(found[name], dtype=float) for name in ("rates", "losses", "smoothed"))
    line = {"type": "scatter", "mode": "lines", "x": rates}
    traces = [
        {
            **line,
            "name": "each batch",
            "y": np.round(losses, 5),
            "line": {"color": QUIET, "width": 1},
            "opacity": 0.5,
            "hoverinfo": "skip",
        },
        {
            **line,
            "name": "smoothed",
            "y": np.round(smoothed, 5),
            "line": {"color": TRAIN, "width": 2.5},
            "hovertemplate": "loss %{y:.3f} at a rate of %{x:.2g}<extra></extra>",
        },
    ]
    marks = [(found["lowest_at"], "lowest", QUIET)]
    if found["suggestion"] is not None:
        marks.append((found["suggestion"], f"suggested: {found['suggestion']:g}", HIGHLIGHT))
    low, high = float(smoothed.min()), float(smoothed[0])
    room = ROOM * (high - low) + 1e-6
    return {
        "data": traces,
        "layout": {
            "title": {"text": "Loss by learning rate", "x": 0, "font": {"size": 15}},
            "margin": MARGIN,
            "showlegend": False,
            "xaxis": {"type": "log", "title": {"text": "learning rate"}, "exponentformat": "power", "dtick": 1},
            # what happens after it breaks is far above, and says no more than that
            "yaxis": {"range": [low - room, high + 3 * room]},
            "shapes": [_line(rate, colour) for rate, _, colour in marks],
            "annotations": [_label(place, rate, label) for place, (rate, label, _) in enumerate(marks)],
        },
    }


def _line(rate: float, colour: str) -> dict[str, Any]:
    look = {"color": colour, "dash": "dot", "width": 2}
    return {"type": "line", "x0": rate, "x1": rate, "yref": "paper", "y0": 0, "y1": 1, "line": look}


def _label(place: int, rate: float, label: str) -> dict[str, Any]:
    """On a logarithmic axis an annotation stands at the power of ten. The two are on different levels."""
    return {
        "x": float(np.log10(rate)),
        "yref": "paper",
        "y": 1 - 0.09 * place,
        "yanchor": "top",
        "xanchor": "right",
        "text": label,
        "showarrow": False,
        "font": {"size": 11},
    }
