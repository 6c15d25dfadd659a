"""Snapshots of a network as frames that a browser draws (ui/live/frames.js): small packed arrays, and curves."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_core.data.dataset import Dataset
from mnist_core.explain.projection import PCA
from mnist_core.figures.images import as_picture, data_url, enlarge
from mnist_core.figures.packed import packed, scale_of, signed, unpacked
from mnist_core.figures.smoothing import smooth
from mnist_core.figures.style import TRAIN, VALIDATION
from mnist_core.inference.first_layer import filters, maps
from mnist_core.inference.interval import accuracy_text
from mnist_core.inference.learning import Answers, fixed_digits
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import Checkpoint
from mnist_core.runs.history import Series, shared_reader
from mnist_core.runs.run import Run
from mnist_core.training.optim import learning_rate_at

CURVE_POINTS = 200
# of Okabe and Ito (2008), and three more; of more classes hues around the circle
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#D55E00", "#8C6BB1", "#7A8B00", "#B8860B", "#8A94A6"),
)


@dataclass(frozen=True, eq=False)
class Picture:
    """(C, H, W) uint8, as the network reads it; whether a person has drawn it."""

    image: np.ndarray
    drawn: bool


def frames(
    run: Run, kept: Sequence[Checkpoint], found: Sequence[Answers], data: Dataset, picture: Picture
) -> dict[str, Any]:
    """The snapshots `kept`, which gave the answers `found` to `sample` of the test images of `data`."""
    classes, labels = list(data.classes), found[-1].labels
    digits = fixed_digits(data.test_labels)
    places = in_fixed_directions([each.features for each in found])
    kernels, seen = (
        tiles([filters(each) for each in kept]),
        tiles([maps(each, picture.image, learning=True) for each in kept]),
    )
    start = shared_reader(run).start()
    per_epoch = start["steps_per_epoch"] if start else 0
    shown = []
    for number, (checkpoint, result) in enumerate(zip(kept, found, strict=True)):
        said = answered(checkpoint, np.stack([*data.test_images[digits], picture.image]))
        shown.append(
            {
                "step": checkpoint.card.step,
                "words": _words(checkpoint.card.step, per_epoch, result),
                "confusion": packed(result.confusion, "u2"),
                "worst": _worst(result, classes),
                "points": packed(places[number] * 65535, "u2"),
                "filters": kernels[number],
                "maps": seen[number],
                "digits": said[:-1],
                "drawn": said[-1],
            }
        )
    return {
        "classes": classes,
        "colours": _colours(len(classes)),
        "rows": np.bincount(labels, minlength=len(classes)).tolist(),
        "points": packed(labels[: len(places[0])]),
        "digits": pictured(data.test_images[digits], data.test_labels[digits], classes),
        "picture": picture_url(picture.image),
        "charts": _curves(run, kept[-1].card.step),
        "frames": shown,
        "words": {
            "chartsTitle": "The run's curves",
            "charts": "Blue: training, orange: validation. The steps are spaced by doubling, as the snapshots are.",
            "digitsTitle": "The same images again and again",
            "digits": "Test images: the network did not learn from these.",
            "confusion": f"A row per true class, a column per answer, of {len(labels):,} test images. "
            "Orange: mistakes.",
            "map": f"{len(places[0]):,} test images by the network's last features, in the two directions in which "
            "those of the last snapshot differ most (PCA). The directions stay the same.",
            "filters": "Blue: positive weights, orange: negative ones, all on one scale."
            if data.shape.channels == 1
            else "Each in its colours; grey is zero.",
            "drawnTitle": "Your drawing" if picture.drawn else "One test image",
            "drawn": "Below it, what the first layer makes of it."
            if picture.drawn or data.shape.channels > 1
            else "Below it, what the first layer makes of it. Draw a digit on Draw, and yours is here.",
        },
    }


def in_fixed_directions(features: Sequence[np.ndarray]) -> list[np.ndarray]:
    """T arrays (M, F), of the same images → T arrays (M, 2) float32 in [0, 1]: places on a map that stays the same.

    The two directions are those in which the last of them differ most, and what 996 in 1,000 points of all T need
    fills the map; what lies outside is moved to its edge.
    """
    fitted = PCA(features[-1].astype(np.float32))
    places = [fitted.project(each.astype(np.float32)) for each in features]
    low, high = np.quantile(np.concatenate(places), [0.002, 0.998], axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2, 1e-9) * 1.05
    return [np.clip((each - middle) / (2 * half) + 0.5, 0, 1).astype(np.float32) for each in places]


def answered(checkpoint: Checkpoint, images: np.ndarray) -> list[tuple[int, float]]:
    """The class that the network reads in each of (N, C, H, W) uint8 images, and its probability."""
    read = Predictor(checkpoint, learning=True).probabilities(images)
    return [(int(each.argmax()), round(float(each.max()), 4)) for each in read]


def pictured(images: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Images with their labels, for the component."""
    return [
        {"picture": picture_url(image), "label": classes[label], "row": int(label)}
        for image, label in zip(images, labels.tolist(), strict=True)
    ]


def picture_url(image: np.ndarray) -> str:
    """(C, H, W) uint8 → a `data:` URL, twice as large."""
    return _picture_url(image.tobytes(), image.shape)


@functools.lru_cache(64)
def _picture_url(pixels: bytes, shape: tuple[int, ...]) -> str:
    """The images of a look are the same every second: each is compressed once."""
    return data_url(enlarge(as_picture(np.frombuffer(pixels, np.uint8).reshape(shape)), 2))


def tiles(all_maps: Sequence[np.ndarray | None]) -> list[dict[str, Any] | None]:
    """(n, C, H, W) or (n, H, W) of each snapshot → as the component draws them, all on one scale."""
    known = [each for each in all_maps if each is not None]
    scale = scale_of(known)
    return [None if each is None else signed(_as_pictures(each), scale) for each in all_maps]


def _as_pictures(tiles: np.ndarray) -> np.ndarray:
    """Filters of grey images lose their only channel; those of colour images become (n, H, W, 3)."""
    if tiles.ndim == 3:
        return tiles
    return tiles[:, 0] if tiles.shape[1] == 1 else np.moveaxis(tiles, 1, -1)


def _words(step: int, per_epoch: int, result: Answers) -> str:
    epoch = f" · epoch {step / per_epoch:.3g}" if per_epoch else ""
    return f"step {step:,}{epoch} · {accuracy_text(result.accuracy, len(result.labels))} right · loss {result.loss:.2f}"


def _worst(result: Answers, classes: Sequence[str]) -> str:
    wrong = result.confusion - np.diag(np.diag(result.confusion))
    true, said = np.unravel_index(wrong.argmax(), wrong.shape)
    return f"{classes[true]} read as {classes[said]}, {wrong[true, said]} times" if wrong.any() else "no mistake"


def _colours(count: int) -> list[str]:
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    return [f"hsl({round(360 * n / count)} 70% {45 + 12 * (n % 2)}%)" for n in range(count)]


def _curves(run: Run, last: int) -> list[dict[str, Any]]:
    """Loss and accuracy over steps: points that lie evenly where steps are spaced by doubling."""
    measured = shared_reader(run).history()
    drawn = []
    for what in ("loss", "accuracy"):
        train = _line(measured.train, smooth(getattr(measured.train, what)))
        lines = [
            {**train, "colour": TRAIN},
            {**_line(measured.validation, getattr(measured.validation, what)), "colour": VALIDATION, "dots": True},
        ]
        limits = {"low": 0} if what == "loss" else {"high": 1}
        percent = what == "accuracy"
        drawn.append(
            {"title": what.capitalize(), "percent": percent, "double": True, "last": last, "lines": lines, **limits}
        )
    return drawn


def _line(series: Series, values: np.ndarray) -> dict[str, Any]:
    rows = np.unique(np.geomspace(1, max(1, len(values)), CURVE_POINTS).astype(int)) - 1
    rows = rows[: len(values)]
    return {"x": series.step[rows].tolist(), "y": np.round(values[rows], 4).tolist()}


def live_frame(run: Run, checkpoint: Checkpoint, notes: dict[str, Any], drawing: np.ndarray | None) -> dict[str, Any]:
    """The network of a look at a run that trains (looks.py), as `frames` shows a snapshot: one frame alone.

    `drawing` is (C, H, W) uint8, as the network reads it. Raises KeyError, TypeError or ValueError where the notes are
    damaged.
    """
    shape, classes, step = checkpoint.card.shape, checkpoint.card.classes, checkpoint.card.step
    images, labels = unpacked(notes["digits"]["images"]), np.array(notes["digits"]["labels"], int)
    image = images[0] if drawing is None else drawing
    kernel, seen = filters(checkpoint), maps(checkpoint, image, learning=True)
    said = answered(checkpoint, np.stack([*images, image]))
    per_epoch = int(notes["per_epoch"])
    frame = {
        "step": step,
        "words": f"step {step:,} · epoch {step / per_epoch:.3g}",
        "filters": tiles([kernel])[0],
        "maps": tiles([seen])[0],
        "digits": said[:-1],
        "drawn": said[-1],
    }
    return {
        "classes": classes,
        "digits": pictured(images, labels, classes),
        "picture": picture_url(image),
        "charts": _inner_charts(run, checkpoint, notes["norms"], per_epoch),
        "frames": [frame],
        "words": {
            "chartsTitle": "Step size, weights and gradients",
            "charts": "The learning rate of the whole training, with a line at this step; and the Euclidean norms of "
            "each layer's weights, and of their gradients in one batch, since somebody watches. From the first layer "
            "(blue) to the last (orange).",
            "digitsTitle": "Validation images, read again and again",
            "digits": "The same ones all the time; the network does not learn from them.",
            "filters": "Blue: positive weights, orange: negative ones."
            if shape.channels == 1
            else "Each in its colours; grey is zero.",
            "drawnTitle": "Your drawing" if drawing is not None else "One validation image",
            "drawn": "The answer changes as the network learns. Below it, what the first layer makes of the picture.",
        },
    }


def _inner_charts(run: Run, checkpoint: Checkpoint, norms: dict[str, Any], per_epoch: int) -> list[dict[str, Any]]:
    config, rows = checkpoint.card.config, norms["rows"]
    total = config.epochs * per_epoch
    configs, since = [run.config()], [0]  # the settings from these steps on
    for change in sorted(checkpoint.card.changes, key=lambda change: change.step):
        configs.append(configs[-1].replace(**{change.field: change.to}))
        since.append(change.step)
    jumps = {at for step in since for at in (step - 1, step) if 0 <= at < total}
    places = sorted(jumps.union(np.linspace(0, max(total - 1, 0), CURVE_POINTS).astype(int).tolist()))
    rates = [learning_rate_at(configs[bisect.bisect_right(since, step) - 1], step, per_epoch) for step in places]
    charts = [
        {
            "title": "Learning rate",
            "low": 0,
            "last": total,
            "line": True,
            "lines": [{"x": places, "y": rates, "colour": TRAIN}],
        }
    ]
    steps = [row[0] for row in rows]
    for number, title in ((1, "Norm of the weights"), (2, "Norm of the gradients")):
        lines = [
            {"x": steps, "y": [row[number][layer] for row in rows], "colour": _between(layer, len(norms["layers"]))}
            for layer in range(len(norms["layers"]))
        ]
        charts.append({"title": title, "log": True, "first": min(steps, default=0), "last": max(steps, default=1)})
        charts[-1]["lines"] = lines
    return charts


def _between(layer: int, layers: int) -> str:
    """A colour from that of training for the first layer to that of validation for the last."""
    share = layer / max(layers - 1, 1)
    ends = [[int(colour[place : place + 2], 16) for place in (1, 3, 5)] for colour in (TRAIN, VALIDATION)]
    red, green, blue = (round(one + share * (other - one)) for one, other in zip(*ends, strict=True))
    return f"rgb({red}, {green}, {blue})"
