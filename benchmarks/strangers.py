"""What helps `pen` to read writers whom it has not seen: each idea alone, by cross-validation over writers.

    python -m benchmarks.strangers --strokes DATA/pendigits-train.json.gz --cache FOLDER [IDEA ...]

The 30 writers of the file fall into five fixed folds of six. Of each fold's 24 others, and of MNIST, a short training
from `residual`'s weights learns (the recipe `pen` with SHORT; about a minute on one core), and is judged on the six
writers in all cells of benchmarks.drawn, and on MNIST's validation images. All ideas have the same number of steps and
the same seed, so that folds can be compared one by one. Ideas:

    plain              the recipe as it is, one copy of each drawing
    ones and sevens, forms, wide, hands
                       half of the copies in an invented hand (mnist_core/drawing/hands.py); `hands` is all three
    re-inked           half of MNIST's images with strokes 1 px thicker or thinner, as of another pen
    flagged            generated ones with flags (benchmarks.european_one) in place of a tenth of the drawings
    taught             what `plain` and `hands` answer together is nine tenths of the target (needs these two first)
    6, 12, 18 writers  `plain` with fewer writers, and as many images of them

Renderings, weights and answers stay in FOLDER, and the next call goes on with them. From what is there the table also
tells, without a training: the last weights instead of their average over steps (`last`), weights halfway to those of
`residual` (`between`), and the models of several ideas together; with `--views` the mean over three views of each
image, as it is and leaning to either side (`three leanings`), or with thicker and thinner strokes (`three inkings`).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax
from tqdm import tqdm

from benchmarks.european_one import some_ones
from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.loading import load_dataset
from mnist_core.data.pen_digits import GRID, load_copies, load_grid
from mnist_core.data.splits import train_and_validation
from mnist_core.data.stroke_files import read_strokes
from mnist_core.drawing.hands import IDEAS
from mnist_core.drawing.preprocess import to_model_input
from mnist_core.drawing.strokes import jitter_strokes, render_strokes
from mnist_core.inference.corruptions import corrupted
from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint
from mnist_core.models.classifier import Classifier, infer
from mnist_core.recipes import get_recipe
from mnist_core.system.settings import data_folder
from mnist_core.training.loop import train
from mnist_core.training.state import TrainState

FOLDS = 5
# 375 steps of 128 images, of which 3 in 8 are drawings
SHORT = {"epochs": 3, "non_digits": 0, "ema_decay": 0.99, "threads": 1}
MNIST_IMAGES = 10_000
INVENTED = 0.5
VIEW = 8.0  # degrees
INK = 1.0  # px that strokes become wider or thinner
HANDS = {"hands": IDEAS, **{idea: (idea,) for idea in IDEAS}}
TEACHERS = ("plain", "hands")
FEWER = {f"{count} writers": count for count in (6, 12, 18)}
RE_INKED, FLAGGED = "re-inked", "flagged"
NAMES = ("plain", *HANDS, RE_INKED, FLAGGED, "taught", *FEWER)


class Study:
    """The file's drawings and the folds; renderings, weights and answers are kept in `cache`."""

    def __init__(self, strokes: Path, cache: Path, seed: int) -> None:
        self.strokes, self.cache, self.seed = strokes, cache, seed
        cache.mkdir(parents=True, exist_ok=True)
        writers = np.array([int(digit.writer or 0) for digit in read_strokes(strokes).digits])
        order = np.random.default_rng(16).permutation(np.unique(writers))
        self.writers, self.folds = writers, np.array_split(order, FOLDS)
        with np.load(self._grid()) as grid:
            self.grid, self.labels = grid["images"], grid["labels"]
        mnist = load_dataset("mnist")
        rows, validation = train_and_validation(mnist, self.config)
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:MNIST_IMAGES])
        self.mnist, self.rows, self.validation = mnist, rows, validation

    @property
    def config(self) -> TrainConfig:
        return get_recipe("pen").config("mnist").replace(**SHORT, seed=self.seed)

    def _grid(self) -> Path:
        path = self.cache / "grid.npz"
        if not path.is_file():
            _, cells, labels = load_grid(self.strokes)
            np.savez(path, images=np.stack([cells[cell] for cell in GRID]), labels=labels)
        return path

    def copies(self, name: str) -> np.ndarray:
        """(drawings, 1, 28, 28) uint8: each drawing once, as the idea `name` has it."""
        ideas = HANDS.get(name, ())
        path = self.cache / f"copies {name if ideas else 'plain'}.npy"
        if not path.is_file():
            np.save(path, load_copies(self.strokes, 1, 0, None, INVENTED if ideas else 0.0, ideas)[1])
        return np.asarray(np.load(path))

    def re_inked(self) -> np.ndarray:
        """The training images of MNIST's part, (N, 1, 28, 28) uint8, half of them with other strokes."""
        path = self.cache / "re-inked.npy"
        if not path.is_file():
            images = self.mnist.train_images[self.rows].copy()
            some = np.random.default_rng(3).permutation(len(images))[: len(images) // 2]
            for part, kind in zip(np.array_split(some, 2), ("thicker", "thinner"), strict=True):
                images[part] = corrupted(images[part], kind, INK)
            np.save(path, images)
        return np.asarray(np.load(path))

    def flagged(self) -> np.ndarray:
        """(N, 1, 28, 28) uint8: generated ones with flags, each drawn with one of the pens of the grid."""
        rng = np.random.default_rng(4)
        made = []
        for one in some_ones(len(self.labels) // 12, rng):
            cell = GRID[rng.integers(len(GRID))]
            canvas = render_strokes(jitter_strokes(one, rng), (1, 1), brush=cell.brush, height=cell.height)
            image = to_model_input(canvas)
            assert image is not None
            made.append(image)
        return np.stack(made)[:, None]

    def data(self, name: str, fold: int) -> Dataset:
        """MNIST's part, its validation images, and drawings by the writers of other folds."""
        learned = np.flatnonzero(~np.isin(self.writers, self.folds[fold]))
        if name in FEWER:
            others = np.concatenate([part for number, part in enumerate(self.folds) if number != fold])
            some = np.random.default_rng(fold).permutation(others)[: FEWER[name]]
            learned = np.resize(np.flatnonzero(np.isin(self.writers, some)), len(learned))
        drawn, labels = self.copies(name)[learned], self.labels[learned]
        if name == FLAGGED:  # in place of others, so that there are as many steps
            ones = self.flagged()
            drawn, labels = drawn.copy(), labels.copy()
            places = np.random.default_rng(fold).permutation(len(drawn))[: len(ones)]
            drawn[places], labels[places] = ones, 1
        kept = np.concatenate([self.rows, self.validation])
        images = self.mnist.train_images[kept]
        if name == RE_INKED:
            images = np.concatenate([self.re_inked(), images[len(self.rows) :]])
        return Dataset(
            "mnist",
            self.mnist.classes,
            np.concatenate([images, drawn]),
            np.concatenate([self.mnist.train_labels[kept], labels]),
            self.mnist.test_images[:0],
            self.mnist.test_labels[:0],
            extra=len(drawn),
            preparation="drawing",
            validation=len(self.validation),
        )

    def judged(self, name: str, fold: int) -> dict[str, np.ndarray]:
        """Kind of weights → logits (cells × drawings + validation images, 10), of a training that is done once."""
        path = self.cache / f"{name}, fold {fold}, seed {self.seed}.npz"
        if not path.is_file():
            state = self.trained(name, fold)
            torch.save(state.best_model.state_dict(), path.with_suffix(".pt"))
            np.savez(path, average=self.answers(state.best_model, fold), last=self.answers(state.model, fold))
        with np.load(path) as found:
            return dict(found)

    def trained(self, name: str, fold: int) -> TrainState:
        data = self.data(name, fold)
        state = TrainState(self.config, data)
        if name == "taught":
            state.teachers = [self.model(each, fold) for each in TEACHERS]
        events = train(state, data)
        for event in tqdm(events, desc=f"{name}, fold {fold + 1}", total=state.total_steps, leave=False):
            if event["event"] == "epoch":
                tqdm.write(f"{name}, fold {fold + 1}: validation {event['val_accuracy']:.2%}")
        return state

    def model(self, name: str, fold: int) -> Classifier:
        """The model of an idea that was trained before."""
        model = load_checkpoint(find_checkpoint("residual")).model
        model.load_state_dict(torch.load(self.cache / f"{name}, fold {fold}, seed {self.seed}.pt", weights_only=True))
        return model.eval().requires_grad_(False)

    def between(self, fold: int) -> np.ndarray:
        """Logits of the weights halfway from `residual` to `plain` (arXiv:2109.01903)."""
        model, start = self.model("plain", fold), load_checkpoint(find_checkpoint("residual")).model.state_dict()
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.lerp_(start[name], 0.5)
        return self.answers(model, fold)

    def views(self, fold: int, others: Sequence[Callable[[np.ndarray], np.ndarray]]) -> np.ndarray:
        """Logarithms of the mean probabilities of `plain` for each image as it is and as each of `others` makes it."""
        model, shown = self.model("plain", fold), self.shown(fold)
        seen = [shown, *(change(shown) for change in others)]
        answers: np.ndarray = np.log(sum(softmax(infer(model, images).numpy(), axis=1) for images in seen))
        return answers

    def strange(self, fold: int) -> np.ndarray:
        return np.flatnonzero(np.isin(self.writers, self.folds[fold]))

    def answers(self, model: Classifier, fold: int) -> np.ndarray:
        return infer(model, self.shown(fold)).numpy()

    def shown(self, fold: int) -> np.ndarray:
        drawn = self.grid[:, self.strange(fold)].reshape(-1, 1, 28, 28)
        return np.concatenate([drawn, self.mnist.train_images[self.validation]])

    def right(self, logits: np.ndarray, fold: int) -> tuple[np.ndarray, float]:
        """(cells,) accuracies on the fold's writers, and that on MNIST's validation images."""
        said = logits.argmax(axis=1)
        labels = self.labels[self.strange(fold)]
        drawn = said[: len(GRID) * len(labels)].reshape(len(GRID), -1) == labels
        known = said[drawn.size :] == self.mnist.train_labels[self.validation]
        return drawn.mean(axis=1), float(known.mean())


def lean(images: np.ndarray, degrees: float) -> np.ndarray:
    """(N, 1, 28, 28) uint8 → the same sheared about the middle."""
    matrix = torch.tensor([[1.0, math.tan(math.radians(degrees)), 0], [0, 1, 0]]).expand(len(images), 2, 3)
    grid = torch.nn.functional.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = torch.nn.functional.grid_sample(torch.from_numpy(images).float(), grid, align_corners=False)
    return moved.round().clamp(0, 255).to(torch.uint8).numpy()


def measured(study: Study, answers: Callable[[int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(folds, cells) accuracies on strangers and (folds,) on MNIST's validation images, of each fold's logits."""
    cells, known = zip(*(study.right(answers(fold), fold) for fold in range(FOLDS)), strict=True)
    return np.stack(cells), np.array(known)


def line(name: str, found: tuple[np.ndarray, np.ndarray], plain: tuple[np.ndarray, np.ndarray] | None) -> str:
    """A row of the table: mean, spread over folds, lowest cell over all writers, difference to `plain` fold by fold."""
    cells, known = found
    means = 100 * cells.mean(axis=1)
    row = [name, f"{means.mean():.2f} ± {means.std(ddof=1):.2f} %", f"{cells.mean(axis=0).min():.2%}"]
    if plain is None:
        return "| " + " | ".join([*row, "", "", f"{known.mean():.2%}"]) + " |"
    gains = means - 100 * plain[0].mean(axis=1)
    gained = f"{gains.mean():+.2f} ± {gains.std(ddof=1):.2f}"
    return "| " + " | ".join([*row, gained, f"{(gains > 0).sum()} of {FOLDS}", f"{known.mean():.2%}"]) + " |"


def table(study: Study, names: Sequence[str], views: bool) -> str:
    """What each idea gave, and what follows from the same trainings without another one."""
    plain = measured(study, lambda fold: study.judged("plain", fold)["average"]) if "plain" in names else None
    lines = [
        "| idea | strangers | lowest cell | to `plain`, points | better folds | MNIST validation |",
        "|---" * 6 + "|",
    ]
    for name in names:
        found = measured(study, lambda fold, name=name: study.judged(name, fold)["average"])  # type: ignore[misc]
        lines.append(line(name, found, None if name == "plain" else plain))
    others = {"last": lambda fold: study.judged("plain", fold)["last"], "between": study.between}
    if views:
        others["three leanings"] = lambda fold: study.views(
            fold, [partial(lean, degrees=each) for each in (-VIEW, VIEW)]
        )
        others["three inkings"] = lambda fold: study.views(
            fold, [partial(corrupted, name=each, level=INK) for each in ("thicker", "thinner")]
        )
    several = [name for name in names if name not in FEWER]
    if len(several) > 1:
        others[f"together: {', '.join(several)}"] = lambda fold: np.log(
            sum(softmax(study.judged(name, fold)["average"], axis=1) for name in several)
        )
    if plain is not None:
        lines += [line(name, measured(study, answers), plain) for name, answers in others.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ideas", nargs="*", metavar="IDEA", default=["plain"])
    parser.add_argument("--strokes", type=Path, default=data_folder() / "pendigits-train.json.gz")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--views", action="store_true", help="average three views of each image too")
    options = parser.parse_args()
    if unknown := [idea for idea in options.ideas if idea not in NAMES]:
        parser.error(f"there is no idea {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    study = Study(options.strokes, options.cache, options.seed)
    for name in options.ideas:
        for fold in range(FOLDS):
            cells, known = study.right(study.judged(name, fold)["average"], fold)
            print(
                f"{name}, fold {fold + 1}: {cells.mean():.2%}, lowest {cells.min():.2%}, MNIST {known:.2%}", flush=True
            )
    print(table(study, options.ideas, options.views))


if __name__ == "__main__":
    main()
