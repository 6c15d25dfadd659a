"""Figures: arrays → Plotly figures, the same for still and for live charts."""
