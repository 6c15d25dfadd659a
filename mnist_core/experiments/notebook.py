"""A training as a Jupyter notebook: the parts of its script, cell by cell, and its curves beside those made there."""

from __future__ import annotations

import json
from typing import Any

from mnist_core.data.dataset import dataset_title
from mnist_core.experiments.script import parts
from mnist_core.figures.curves import Curve
from mnist_core.figures.svg import curves_svg
from mnist_core.inference.interval import accuracy_text
from mnist_core.models.card import Card
from mnist_core.runs.history import History

DRAW = '''from IPython.display import SVG, display


def chart(title, *lines):
    """Each line is (name, colour, values after each epoch)."""
    low, high = min(min(v) for *_, v in lines), max(max(v) for *_, v in lines)
    most = max(len(v) for *_, v in lines)
    drawn = [f'<text x="10" y="16">{title}: {low:.4g} to {high:.4g}</text>']
    for number, (name, colour, values) in enumerate(lines):
        scale = 150 / ((high - low) or 1)
        places = [(10 + 500 * (i + 1) / most, 180 - scale * (v - low)) for i, v in enumerate(values)]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        drawn.append(f'<text x="{350 + 90 * number}" y="16" fill="{colour}">{name}</text>')
    frame = 'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 530 190" width="530"'
    style = 'font-family="sans-serif" font-size="12"'
    display(SVG(f'<svg {frame} {style}><rect width="530" height="190" fill="white"/>{"".join(drawn)}</svg>'))


'''


def notebook(card: Card, history: History | None = None) -> bytes:
    """A notebook in Jupyter's format 4.5. `history` is what the training measured, where that is known.

    Raises ConfigError where there is no script of the training.
    """
    cells = [_markdown(_introduction(card))]
    for part in parts(card):
        code = part.code
        if part.title.startswith("The training"):  # the notebook draws what it measures
            before = code
            code = code.replace("step, steps = 0", "measured = []\nstep, steps = 0")
            code = code.replace("\n    print(f", "\n    measured.append((val_loss, val_accuracy))\n    print(f", 1)
            assert code.count("measured") == 2 < len(before)
        cells += [_markdown(f"## {part.title}"), _code(code)]
    cells.append(_markdown("## Curves\n\nValidation after each epoch: here, and as the lab measured it."))
    cells.append(_code(*_curves(card, history)))
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1).encode()


def _introduction(card: Card) -> str:
    lines = [f"# {card.name}", ""]
    lines.append(
        f"A training of MNIST Lab as a notebook: {card.parameters:,} parameters on {dataset_title(card.dataset)}, by "
        f"the recipe {card.config.recipe}. It needs torch and torchvision; the lab itself it does not need."
    )
    if "test_accuracy" in card.metrics:
        reached = accuracy_text(card.metrics["test_accuracy"], int(card.metrics.get("test_images", 0)))
        lines += [
            "",
            f"In the lab it had {reached} of the test images right. Random numbers come in another order here.",
        ]
    if card.changes:
        lines += ["", "Settings were changed while it ran; these are those of its end."]
    return "\n".join(lines)


def _curves(card: Card, history: History | None) -> tuple[str, list[dict[str, Any]]]:
    """The last cell: its source, which draws both, and its output, the lab's own curves."""
    lab: dict[str, list[float]] = {"loss": [], "accuracy": []}
    outputs: list[dict[str, Any]] = []
    if history is not None and len(history.validation.step):
        for what in lab:
            lab[what] = [round(value, 5) for value in getattr(history.validation, what).tolist()]
            curves = [
                Curve(kind, 0, series.epoch, getattr(series, what), kind)
                for kind, series in (("train", history.train), ("validation", history.validation))
            ]
            figure = curves_svg(curves, what.capitalize(), percent=what == "accuracy")
            data = {"image/svg+xml": figure, "text/plain": f"{what.capitalize()} of the training in the lab"}
            outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
    source = DRAW + f"lab = {json.dumps(lab)}\nfor place, what in enumerate(lab):\n"
    source += '    lines = [("here", "#D55E00", [values[place] for values in measured])]\n'
    source += '    chart(f"validation {what}", *lines, *([("lab", "#0072B2", lab[what])] if lab[what] else []))\n'
    return source, outputs


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(source: str, outputs: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": outputs or [],
        "source": source.strip("\n"),
    }
