"""Inference: a model's predictions, their metrics, the calibration of their confidence, and rejection."""
