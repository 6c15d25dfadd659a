"""A model's README.md for the Hugging Face Hub: a header in YAML, and what a reader should know, from the card."""

from __future__ import annotations

import json
from typing import Any

from mnist_core.data.dataset import dataset_title
from mnist_core.inference.interval import accuracy_text
from mnist_core.models.card import Card

HUB_DATASETS = {  # the lab's name → the name on the Hub
    "mnist": "ylecun/mnist",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
}


def hub_card(card: Card) -> bytes:
    """README.md as the Hub reads it: `---`, YAML, `---`, Markdown. Every text of the card is quoted."""
    header = "\n".join(_yaml(_metadata(card)))
    return f"---\n{header}\n---\n\n{_text(card)}\n".encode()


def _metadata(card: Card) -> dict[str, Any]:
    title = dataset_title(card.dataset)
    metadata: dict[str, Any] = {
        "library_name": "mnist-lab",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "safetensors", "pytorch", card.architecture],
    }
    dataset = HUB_DATASETS.get(card.dataset)
    if dataset:
        metadata["datasets"] = [dataset]
    test = card.metrics.get("test_accuracy")
    if test is not None:
        metadata["metrics"] = ["accuracy"]
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"type": dataset or "custom", "name": title, "split": "test"},
            "metrics": [{"type": "accuracy", "value": round(test, 6)}],
        }
        metadata["model-index"] = [{"name": card.name, "results": [result]}]
    return metadata


def _yaml(value: Any, indent: int = 0) -> list[str]:
    """Mappings, lists, texts and numbers as lines of YAML. A text is quoted as in JSON, which YAML reads alike."""
    space, lines = " " * indent, []
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, dict | list):
                lines += [f"{space}{name}:", *_yaml(inner, indent + 2)]
            else:
                lines.append(f"{space}{name}: {json.dumps(inner)}")
        return lines
    for inner in value:
        if isinstance(inner, dict):
            first, *rest = _yaml(inner, indent + 2)
            lines += [f"{space}- {first.lstrip()}", *rest]
        else:
            lines.append(f"{space}- {json.dumps(inner)}")
    return lines


def _text(card: Card) -> str:
    channels, height, width = card.input_shape
    kind, names = "grey" if channels == 1 else "colour", ", ".join(map(_plain, card.classes[:30]))
    lines = [f"# {_plain(card.name)}", ""]
    lines += [_plain(card.summary), ""] if card.summary else []
    lines += [
        f"A network `{card.architecture}` with {card.parameters:,} parameters that tells apart {len(card.classes)} "
        f"classes ({names}{' …' if len(card.classes) > 30 else ''}) in {kind} images of "
        f"{height}×{width} pixels. Trained with MNIST Lab on {_plain(dataset_title(card.dataset))} for {card.epoch} "
        f"{'epoch' if card.epoch == 1 else 'epochs'} by the recipe `{card.config.recipe}`.",
        "",
    ]
    measured = []
    for part, name in (("test", "test"), ("val", "validation")):
        if f"{part}_accuracy" in card.metrics:
            images = int(card.metrics.get(f"{part}_images", 0))
            of = f" of {images:,} images" if images else ""
            measured.append(f"| {name} | {accuracy_text(card.metrics[f'{part}_accuracy'], images)}{of} |")
    if measured:
        lines += ["| part | accuracy, in brackets the 95 % interval (Wilson) |", "|---|---|", *measured, ""]
    lines += [
        "## Use",
        "",
        "`model.safetensors` has the weights; `card.json` says what they are, with the normalisation (`mean`, `std` of "
        "pixels in [0, 1]), the classes in the order of the outputs, and the temperature that divides the logits. In "
        "the lab's folder:",
        "",
        "```bash",
        "python -m mnist_core predict FOLDER PICTURE",
        "```",
        "",
        "## Limits",
        "",
        *[f"- {_plain(limit)}" for limit in card.about.limits],
        "- Measured on images like those it learned from; others may be read worse, and confidently.",
    ]
    if card.about.data:
        lines += ["", "## Data", "", *[f"- {_plain(source)}" for source in card.about.data]]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that is no markup: one line, and nothing that Markdown or HTML would take for its own."""
    escaped = " ".join(text.split()).replace("\\", "\\\\").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "`*_[]|#" else letter for letter in escaped)
