"""Do saliency maps mark what matters? Deletion curves of each method on each shipped model.

    python -m benchmarks.faithfulness [MODEL ...] [--images 500] [--baseline ground|mean] [--keep]

Takes `--images` of MNIST's test images, drawn with seed 0. Blanks 5, 10, 20, 30 and 50 % of an image's ink: the most
salient for the model's answer, or as much at random (10 draws). Prints the mean probability of the answer after each,
and how much more a tenth of salient ink lowers it than a tenth of random ink, with the 95 % interval. A method whose
interval does not lie above 0 has failed for the model. `--keep` puts the rows into the file
mnist_core/explain/faithfulness.json, by which the pages drop what failed. Nothing is chosen by the figures otherwise.

`--baseline mean` has integrated gradients and occlusion start from the mean of the training images in place of the
ground that the lab uses, to compare the two; blanked ink becomes ground all the same.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import torch

from mnist_core.data.loading import load_dataset
from mnist_core.explain import saliency
from mnist_core.explain.activations import activations
from mnist_core.explain.faithfulness import RECORD, SHARES, deletion
from mnist_core.explain.saliency import METHODS, last_maps
from mnist_core.models.checkpoint import find_checkpoint, load_checkpoint, shipped_names
from mnist_core.system.files import read_json, write_json


def show(share: float) -> None:
    print(f"{share:.0%}\r", end="", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=shipped_names())
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--baseline", choices=["ground", "mean"], default="ground")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.baseline == "mean":
        if options.keep:
            parser.error("--keep is for what the lab does: --baseline ground.")
        saliency.ground = lambda model, images: model.mean.expand_as(images).clone()  # type: ignore[assignment]
    tests = load_dataset("mnist").test_images
    chosen = tests[torch.randperm(len(tests), generator=torch.Generator().manual_seed(0))[: options.images].numpy()]
    shares = "".join(f"{share:>13.0%}" for share in SHARES)
    print(f"{'model':10}{'method':22}{'advantage at 10 % (95 % interval)':36}{shares}   (salient / random ink blanked)")
    for name in options.models:
        checkpoint = load_checkpoint(find_checkpoint(name))
        layer = last_maps(activations(checkpoint.model, chosen[0]))
        rows = []
        for method in METHODS:
            found = deletion(checkpoint.model, chosen, method, layer, progress=show)
            mean, low, high = found.advantage
            curve = "".join(
                f"{s:>7.3f}/{r:.3f}" for s, r in zip(np.mean(found.salient, 0), np.mean(found.random, 0), strict=True)
            )
            print(f"{name:10}{method:22}{mean:+.3f} ({low:+.3f} to {high:+.3f}){'':10}{curve}", flush=True)
            figures = {"images": len(chosen), "mean": round(mean, 4), "low": round(low, 4), "high": round(high, 4)}
            rows.append({"model": name, "weights_sha256": checkpoint.card.weights_sha256, "method": method, **figures})
        if options.keep:
            others = [row for row in read_json(RECORD) if row["model"] != name] if RECORD.is_file() else []
            write_json(RECORD, sorted(others + rows, key=lambda row: row["model"]))


if __name__ == "__main__":
    main()
