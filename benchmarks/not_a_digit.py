"""What the lab takes for a digit and is none, at a threshold that refuses at most 1 % of the validation digits.

    python -m benchmarks.not_a_digit CHECKPOINT [--count 1000] [--pen FILE] [--candidates] [--json]

Renders non-digits as the Draw page would (mnist_core/data/outliers.py) and prints, per kind, the AUROC of the model's
certainty (rejection.py) against MNIST's test digits (mean and standard deviation of 5 draws of the renderings), the
share that the lab refuses, and the share without what the shape says (objections.py); then the share refused of MNIST's
test digits and of pen digits. `--candidates` compares other scores instead, on validation digits and on renderings of
another seed: that is how the score was chosen. Nothing here selects anything that the first table then judges.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import normalize

from mnist_core.data.loading import load_dataset
from mnist_core.data.outliers import KINDS, non_digits
from mnist_core.data.pen_digits import load_drawings
from mnist_core.data.splits import train_and_validation
from mnist_core.inference.predictor import Predictor
from mnist_core.inference.rejection import REJECTED_SHARE
from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint
from mnist_core.models.classifier import Classifier, infer
from mnist_core.system.settings import data_folder

CHOOSING, JUDGING = 1000, 2000  # seeds: the renderings on which the score was chosen are not those that judge it
DRAWS = 5
NEIGHBOURS = 10


def auroc(digits: np.ndarray, others: np.ndarray) -> float:
    """The probability that a digit scores above a non-digit."""
    return float(roc_auc_score(np.r_[np.ones(len(digits)), np.zeros(len(others))], np.r_[digits, others]))


def judge(predictor: Predictor, count: int, pen: Path) -> dict[str, dict[str, float]]:
    """Figures per kind of picture, shares in [0, 1]."""
    mnist = load_dataset("mnist")
    tests = mnist.test_images
    answers = predictor.probabilities(tests)
    found: dict[str, dict[str, float]] = {"MNIST test digits": refusals(predictor, tests, answers)}
    if pen.is_file():
        loaded = load_drawings(pen)
        drawn, labels, own = loaded.images, loaded.labels, loaded.test
        said = predictor.probabilities(drawn[own])
        accuracy = float((said.argmax(axis=1) == labels[own]).mean())
        found["pen digits (last fifth of writers)"] = {**refusals(predictor, drawn[own], said), "accuracy": accuracy}
    for kind in KINDS:
        pictures = non_digits(kind, count, JUDGING, tests)
        said = predictor.probabilities(pictures)
        areas = [auroc(predictor.certainty(answers), predictor.certainty(part)) for part in np.array_split(said, DRAWS)]
        found[kind] = {
            "auroc": float(np.mean(areas)),
            "auroc_std": float(np.std(areas, ddof=1)),
            **refusals(predictor, pictures, said),
        }
    return found


def refusals(predictor: Predictor, images: np.ndarray, answers: np.ndarray) -> dict[str, float]:
    """The share of pictures refused, and that refused for too little certainty alone."""
    rejections = predictor.rejections(images, answers)
    return {
        "refused": sum(rejection is not None for rejection in rejections) / len(rejections),
        "refused_by_certainty": float((predictor.certainty(answers) < predictor.card.refuse_below).mean()),
    }


def features(model: Classifier, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Logits, and what the last dense layer is given."""
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    kept: list[Tensor] = []
    hook = last.register_forward_hook(lambda module, given, output: kept.append(given[0].cpu()))
    try:
        return infer(model, images), torch.cat(kept)
    finally:
        hook.remove()


def candidates(predictor: Predictor, count: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Score → kind → (AUROC, share refused at 0.9 % of validation digits): larger scores mean a digit."""
    mnist, model = load_dataset("mnist"), predictor.checkpoint.model
    train, validation = train_and_validation(mnist, predictor.card.config)
    bank = features(model, mnist.train_images[train[::5]])[1]
    bank_labels = torch.from_numpy(mnist.train_labels[train[::5]])
    means = torch.stack([bank[bank_labels == c].mean(dim=0) for c in range(10)])
    inverse = torch.linalg.inv(torch.cov((bank - means[bank_labels]).T) + 1e-4 * torch.eye(bank.shape[1]))

    def mahalanobis(logits: Tensor, given: Tensor) -> Tensor:
        """Lee et al., 2018, arXiv:1807.03888: the distance to the nearest class's mean, one covariance for all."""
        away = given[:, None] - means
        return -torch.einsum("ncd,de,nce->nc", away, inverse, away).amin(dim=1)

    scores = {
        "confidence (largest softmax)": lambda z, f: z.softmax(dim=1).amax(dim=1),
        "largest logit": lambda z, f: z.amax(dim=1),
        "energy (logsumexp)": lambda z, f: z.logsumexp(dim=1),
        "entropy": lambda z, f: (z.softmax(dim=1) * z.log_softmax(dim=1)).sum(dim=1),
        "margin of two logits": lambda z, f: -z.topk(2, dim=1)[0].diff(dim=1)[:, 0],
        "Mahalanobis": mahalanobis,
        "10 nearest neighbours": lambda z, f: (normalize(f) @ normalize(bank).T).topk(NEIGHBOURS, dim=1)[0][:, -1],
    }
    digits = mnist.train_images[validation]
    real = features(model, digits)
    others = {kind: features(model, non_digits(kind, count, CHOOSING, digits)) for kind in KINDS}
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name, score in scores.items():
        values = score(*real).numpy()
        threshold = np.quantile(values, REJECTED_SHARE)
        against = {kind: score(*pair).numpy() for kind, pair in others.items()}
        found[name] = {k: (auroc(values, v), float((v < threshold).mean())) for k, v in against.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--count", type=int, default=1000, help="pictures of each kind")
    parser.add_argument("--pen", type=Path, default=data_folder() / "pendigits-train.json.gz")
    parser.add_argument("--candidates", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    predictor = Predictor(load_checkpoint(find_checkpoint(options.checkpoint)))
    if options.candidates:
        found = candidates(predictor, options.count)
        print(f"{'AUROC, refused at 0.9 %':30}" + "".join(f"{kind:>18}" for kind in KINDS))
        for name, row in found.items():
            print(f"{name:30}" + "".join(f"{area:>11.4f} {share:>6.1%}" for area, share in row.values()))
        return
    judged = judge(predictor, options.count, options.pen)
    for kind, row in judged.items():
        area = f"AUROC {row['auroc']:.4f} ± {row['auroc_std']:.4f}, " if "auroc" in row else ""
        right = f", read right {row['accuracy']:.2%}" if "accuracy" in row else ""
        shares = f"refused {row['refused']:.2%} ({row['refused_by_certainty']:.2%} by certainty alone)"
        print(f"{kind:36}{area}{shares}{right}")
    if options.json:
        print(json.dumps(judged))


if __name__ == "__main__":
    main()
