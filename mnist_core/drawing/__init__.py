"""From what a person draws or photographs to what a model reads: pixels and strokes, no torch."""
