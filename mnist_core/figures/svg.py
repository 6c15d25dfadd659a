"""Charts of training curves as SVG: for reports and notebooks, which show them without a script or a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from mnist_core.figures.curves import Curve
from mnist_core.figures.smoothing import downsample, smoothed
from mnist_core.figures.style import COLOURS, TRAIN, VALIDATION

WIDTH, HEIGHT = 620, 300  # px
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 34, 40  # margins
POINTS = 200  # of a line, at most
TICKS = 5


def curves_svg(curves: Sequence[Curve], title: str, x_title: str = "epoch", percent: bool = False) -> str:
    """Curves as an `<svg>` element that takes the text colour around it. `percent` shows shares in [0, 1].

    Of one run, training and validation have a colour each; of several, each run has one, and validation is dotted.
    """
    lines = []
    for curve in curves:
        validation = curve.kind == "validation"
        x, y = downsample(curve.x, curve.y, POINTS) if validation else smoothed(curve.x, curve.y, curve.window, POINTS)
        known = np.isfinite(x) & np.isfinite(y)
        lines.append((curve, x[known], y[known]))
    drawn = [(x, y) for _, x, y in lines if len(x)]
    right = max((float(x.max()) for x, _ in drawn), default=1.0) or 1.0
    high = max((float(y.max()) for _, y in drawn), default=1.0)
    low = min((float(np.quantile(y, 0.05)) for _, y in drawn), default=0.0) if percent else 0.0
    top, bottom = (1.0, min(low, 0.95)) if percent else (high or 1.0, 0.0)
    several = len({curve.place for curve in curves}) > 1

    def at(x: float, y: float) -> tuple[float, float]:
        inner = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        share = min(max((y - bottom) / (top - bottom), 0.0), 1.0)
        return round(LEFT + inner[0] * x / right, 1), round(TOP + inner[1] * (1 - share), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" '
        f'aria-label="{escape(title, quote=True)}" font-family="sans-serif" font-size="12" fill="currentColor">',
        f'<text x="{LEFT}" y="16" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for value in _ticks(bottom, top):
        _, down = at(0, value)
        text = f"{value:.1%}" if percent else f"{value:g}"
        parts.append(f'<path d="M{LEFT} {down}H{WIDTH - RIGHT}" stroke="currentColor" opacity=".15"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{down + 4}" text-anchor="end">{text}</text>')
    for value in _ticks(0, right):
        across, _ = at(value, bottom)
        parts.append(f'<text x="{across}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_title)}</text>'
    )
    for number, (curve, xs, ys) in enumerate(lines):
        validation = curve.kind == "validation"
        colour = COLOURS[curve.place % len(COLOURS)] if several else (VALIDATION if validation else TRAIN)
        dash = ' stroke-dasharray="2 4"' if validation else ""
        points = " ".join(f"{x},{y}" for x, y in (at(float(a), float(b)) for a, b in zip(xs, ys, strict=True)))
        if len(xs) > 1:
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if validation or len(xs) == 1:
            marks = (at(float(a), float(b)) for a, b in zip(xs, ys, strict=True))
            parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in marks]
        if not several:  # of several, the table beside names the colours
            place = WIDTH - RIGHT - 100 * (len(lines) - number)
            parts.append(f'<path d="M{place} 12h18" stroke="{colour}" stroke-width="2"{dash}/>')
            parts.append(f'<text x="{place + 22}" y="16">{escape(curve.name)}</text>')
    return "\n".join([*parts, "</svg>"])


def _ticks(low: float, high: float) -> list[float]:
    """About TICKS round numbers from `low` to `high`."""
    step = 10 ** math.floor(math.log10((high - low) / TICKS))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= TICKS)
    first = math.ceil(low / step - 1e-9)
    return [round(step * place, 10) for place in range(first, math.floor(high / step + 1e-9) + 1)]
