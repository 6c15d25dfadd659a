"""What more than one look at an image is worth: MNIST test accuracy of models alone, together, and with shifts.

    python -m benchmarks.together [CHECKPOINT ...]     (default: best accurate tiny)

Together: the mean of the models' probabilities. With shifts (test-time augmentation): the mean over the image and its
eight shifts by one pixel. Nothing is chosen by these figures: the lab ships single models, which look once.
"""

from __future__ import annotations

import argparse
import itertools

import torch
from torch import Tensor

from mnist_core.data.loading import load_dataset
from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint
from mnist_core.models.classifier import Classifier, to_unit

SHIFTS = tuple(itertools.product((-1, 0, 1), repeat=2))  # pixels down, right


@torch.inference_mode()
def probabilities(model: Classifier, images: Tensor, shifts: tuple[tuple[int, int], ...] = ((0, 0),)) -> Tensor:
    """(N, C, H, W) float32 → (N, K): the mean over `shifts` of the image, whose margin is black."""
    looks = [
        torch.cat([model(torch.roll(part, by, (2, 3))).softmax(1) for part in images.split(1000)]) for by in shifts
    ]
    return torch.stack(looks).mean(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*", default=["best", "accurate", "tiny"])
    names = parser.parse_args().checkpoints
    data = load_dataset("mnist")
    images, labels = to_unit(data.test_images), torch.from_numpy(data.test_labels)
    for what, shifts in (("one look", ((0, 0),)), ("nine looks, shifted", SHIFTS)):
        answers = [probabilities(load_checkpoint(find_checkpoint(n)).model, images, shifts) for n in names]
        for name, answer in zip([*names, "together"], [*answers, torch.stack(answers).mean(0)], strict=True):
            print(f"{what}, {name}: {(answer.argmax(1) == labels).float().mean().item():.2%}")
        wrong = torch.stack([answer.argmax(1) != labels for answer in answers])
        print(f"{what}: {wrong.any(0).sum()} images misread by at least one of them, {wrong.all(0).sum()} by all")


if __name__ == "__main__":
    main()
