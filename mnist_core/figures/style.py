"""Colours and margins that all figures share."""

from __future__ import annotations

# Okabe and Ito's colours, told apart with any colour vision; readable on white and on black
TRAIN, VALIDATION, HIGHLIGHT, QUIET = "#0072B2", "#D55E00", "#009E73", "#8A94A6"
MARGIN = {"l": 56, "r": 12, "t": 36, "b": 44}
# above the picture; "paper" must be said, or on a phone the live chart's template puts it out of sight
LEGEND = {"orientation": "h", "yref": "paper", "y": 1.0, "yanchor": "bottom", "x": 1, "xanchor": "right"}
