"""Colours, margins and legend that all figures share."""

from __future__ import annotations

# colours of Okabe and Ito (2008), distinguishable with any colour vision, readable on white and on black
TRAIN, VALIDATION, HIGHLIGHT, QUIET = "#0072B2", "#D55E00", "#009E73", "#8A94A6"
MARGIN = {"l": 56, "r": 12, "t": 36, "b": 44}
# above the figure; without "paper" the live chart's template hides it on a phone
LEGEND = {"orientation": "h", "yref": "paper", "y": 1.0, "yanchor": "bottom", "x": 1, "xanchor": "right"}


def short_name(name: str) -> str:
    """The name of a class for a narrow place: a long one is cut in the middle."""
    return name if len(name) <= 12 else f"{name[:6]}…{name[-5:]}"


# Okabe and Ito (2008): told apart with any colour vision, which tests/figures/test_curves.py measures
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
# Plotly's names → text for a legend outside the figure
SYMBOLS = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "x": "✖", "star": "★"}
DASHES = {"solid": "━", "dash": "╍", "dot": "┉"}


def key(place: int) -> tuple[str, str]:
    """(colour, line and marker as text) of the line at `place`, for a legend."""
    colour, symbol, dash = look(place)
    return colour, f"{DASHES[dash]}{SYMBOLS[symbol]}{DASHES[dash]}"


def look(place: int) -> tuple[str, str, str]:
    """Colour, marker and dash."""
    row, column = divmod(place, len(COLOURS))
    return COLOURS[column], list(SYMBOLS)[column], list(DASHES)[row % len(DASHES)]
