"""Drawings: pictures and pen strokes → the image that a model reads. This wing does not import torch."""
