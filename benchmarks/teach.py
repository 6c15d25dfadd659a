"""One person's hand in a minute: a model before and after it was taught five drawings of each digit by one writer.

    python -m benchmarks.teach residual --strokes DATA/pendigits-train.json.gz --writers 11-30 [--strange]
        [--each 5] [--set FIELD=VALUE] [--json FILE]

For each writer the lab's own run (recipe `teach`) is given five drawings of each digit, of which it learns four and
holds one out, as on the page. It is judged on all other digits of that writer, which it has not seen, on MNIST's test
images, and on handwritten letters, which are no digits. The model to begin with must not have seen the writers: `pen`
has learned from all of them, `residual`, `best`, `accurate` and `tiny` from MNIST alone.

Few writers are read below 90 % by these. `--strange` makes a hand of each that is: all of a writer's digits are
slanted by 20 to 40 degrees, turned by up to 15 and stretched by up to half, the same for all. That is a change of hand
which a linear map describes; it says nothing of other ways to be strange, such as other shapes of a digit, which the
writers as they are have. The settings of the recipe were chosen on the strange hands of writers 1 to 5.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawn import writers
from benchmarks.not_a_digit import JUDGING, refusals
from mnist_core.config import parse_assignments
from mnist_core.data.outliers import non_digits
from mnist_core.data.pen_digits import load_taught
from mnist_core.data.stroke_files import Digit, StrokeFile, read_strokes
from mnist_core.experiments.teach import teach_config
from mnist_core.inference.predictor import Predictor
from mnist_core.runs.execute import execute
from mnist_core.runs.run import create_run
from mnist_core.system.settings import data_folder

EACH = 5  # drawings of each digit
BELOW = 0.9  # accuracy before: the hands that the aim is about


def strange_hand(writer: int, seed: int = 16) -> np.ndarray:
    """(2, 2): the linear map of all digits of a writer, in the file's coordinates; another one for each seed."""
    rng = np.random.default_rng([seed, writer])
    slant = math.tan(rng.choice([-1, 1]) * math.radians(rng.uniform(20, 40)))
    turn, stretch = math.radians(rng.uniform(-15, 15)), math.exp(rng.uniform(-0.4, 0.4))
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.asarray(rotation @ np.array([[1, slant], [0, 1]]) @ np.diag([stretch, 1 / stretch]))


def bent(digit: Digit, hand: np.ndarray) -> Digit:
    strokes = [[(float(x), float(y)) for x, y in np.asarray(stroke) @ hand.T] for stroke in digit.strokes]
    return digit.model_copy(update={"strokes": strokes})


def sheets(file: StrokeFile, writer: str, hand: np.ndarray, each: int = EACH) -> tuple[StrokeFile, StrokeFile]:
    """`each` drawings of each digit by `writer`, chosen at random, every fifth marked as test; and all others."""
    digits = [bent(digit, hand) for digit in file.digits if str(digit.writer) == writer]
    labels = np.array([str(digit.label) for digit in digits])
    rng = np.random.default_rng(int(writer))
    chosen = np.concatenate([rng.permutation(np.flatnonzero(labels == name))[:each] for name in np.unique(labels)])
    drawn = [digits[n].model_copy(update={"test": k % each % EACH == EACH - 1}) for k, n in enumerate(chosen)]
    # all in one part: the lab's own reading of a file asks for two
    rest = [digit.model_copy(update={"test": True}) for n, digit in enumerate(digits) if n not in set(chosen)]
    return (
        file.model_copy(update={"digits": drawn}),
        file.model_copy(update={"digits": [*rest, drawn[0].model_copy(update={"test": False})]}),
    )


def judge(
    start: str, drawn: tuple[StrokeFile, StrokeFile], writer: str, letters: np.ndarray, changes: dict[str, Any]
) -> dict[str, Any]:
    """What a teaching of one hand with `changes` to the recipe's settings changes; shares in [0, 1].

    `misread` counts each kind of mistake that is left, such as "7 for 1".
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "taught.json", Path(folder) / "rest.json"
        for path, sheet in zip(paths, drawn, strict=True):
            path.write_text(sheet.model_dump_json())
        began, used = time.perf_counter(), time.process_time()
        config = teach_config(start, paths[0], data_folder()).replace(**changes)
        run = create_run(config, Path(folder) / "runs")
        execute(run, data_folder())
        seconds, processor = time.perf_counter() - began, time.process_time() - used
        checkpoint = run.checkpoint()
        if run.status().state != "completed" or checkpoint is None:
            raise SystemExit(f"The run is {run.status().state}: {run.status().reason}")
        rest = load_taught(paths[1], 0, 0)
        before, after = Predictor(start), Predictor(checkpoint)
        found = {"writer": float(writer), "digits": float(len(rest.test_labels)), "seconds": seconds, "cpu": processor}
        for name, model in (("before", before), ("after", after)):
            said = model.probabilities(rest.test_images)
            found |= {
                name: float((said.argmax(axis=1) == rest.test_labels).mean()),
                f"{name}_refused": refusals(model, rest.test_images, said)["refused"],
                f"{name}_letters": refusals(model, letters, model.probabilities(letters))["refused"],
            }
        metrics = after.card.metrics
        answers = said.argmax(axis=1)  # of the model after
        wrong = [pair for pair in zip(rest.test_labels.tolist(), answers.tolist(), strict=True) if pair[0] != pair[1]]
        return found | {
            "mnist_before": metrics["earlier_before"],
            "mnist_after": metrics["earlier_accuracy"],
            "forgotten": metrics["forgotten"],
            "gained": metrics["gained"],
            "misread": dict(Counter(f"{digit} for {label}" for label, digit in wrong)),
            "train_seconds": after.card.train_seconds,
        }


def line(found: dict[str, Any]) -> str:
    misread = ", ".join(f"{count} × {what}" for what, count in found["misread"].items())
    return (
        f"writer {found['writer']:.0f}: {found['before']:.1%} → {found['after']:.1%} of {found['digits']:.0f} digits, "
        f"refused {found['before_refused']:.1%} → {found['after_refused']:.1%}; "
        f"MNIST {found['mnist_before']:.2%} → {found['mnist_after']:.2%} "
        f"(−{found['forgotten']:.0f} +{found['gained']:.0f}); "
        f"letters refused {found['before_letters']:.1%} → {found['after_letters']:.1%}; "
        f"{found['seconds']:.0f} s, of which {found['train_seconds']:.0f} s training; {found['cpu']:.0f} s of processor"
        f"; misread: {misread or 'none'}"
    )


def summary(rows: list[dict[str, Any]]) -> str:
    def figure(name: str) -> str:
        values = np.array([row[name] for row in rows])
        spread = f" ± {values.std(ddof=1):.2%}" if len(values) > 1 else ""
        return f"{values.mean():.2%}{spread} ({values.min():.2%} to {values.max():.2%})"

    names = ("before", "after", "after_refused", "mnist_before", "mnist_after", "before_letters", "after_letters")
    return "\n".join(f"  {name.replace('_', ' '):15} {figure(name)}" for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("start", nargs="?", default="residual", help="a shipped model's name, or a checkpoint's folder")
    parser.add_argument("--strokes", type=Path, default=data_folder() / "pendigits-train.json.gz")
    parser.add_argument("--writers", type=writers, default=writers("11-30"))
    parser.add_argument("--strange", action="store_true", help="slant, turn and stretch all digits of a writer alike")
    parser.add_argument("--hand-seed", type=int, default=16, help="other strange hands of the same writers")
    parser.add_argument("--each", type=int, default=EACH, help="drawings of each digit; every fifth is held out")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="another setting; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    options = parser.parse_args()
    file = read_strokes(options.strokes)
    letters = non_digits("letters", 1000, JUDGING)
    changes = parse_assignments(options.set)
    rows = []
    for writer in sorted(options.writers, key=int):
        hand = strange_hand(int(writer), options.hand_seed) if options.strange else np.eye(2)
        chosen = sheets(file, writer, hand, options.each)
        rows.append(judge(options.start, chosen, writer, letters, changes))
        print(line(rows[-1]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=1))
    below = [row for row in rows if row["before"] < BELOW]
    for title, part in ((f"all {len(rows)} hands", rows), (f"the {len(below)} read below {BELOW:.0%}", below)):
        if part:
            print(f"{title}: mean ± standard deviation (lowest to highest)\n{summary(part)}")


if __name__ == "__main__":
    main()
