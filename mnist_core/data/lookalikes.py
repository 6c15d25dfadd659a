"""Whether the files of a dataset are that dataset, or what else they are: by checksums, counts and shapes of digits."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mnist_core.data.dataset import TITLES
from mnist_core.data.geometry import DIGIT, SIDE, area_weights, cubic_weights, resampled
from mnist_core.data.mirrors import known_source
from mnist_core.data.packed import md5_of

# SHA-256 of the unpacked IDX files: training images and labels, test images and labels
_MNIST = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
_FASHION = (
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
DIGESTS = {"mnist": _MNIST, "fashion-mnist": _FASHION}
FOLDERS = {name: known_source(name).folder for name in ("mnist", "fashion-mnist", "kmnist")}  # of the same file names
WHAT = {
    "mnist": "MNIST",
    "fashion-mnist": "Fashion-MNIST, ten kinds of clothing",
    "kmnist": "KMNIST, ten Japanese characters",
}
KMNIST_MEAN = 0.1918  # of the pixels of its training images, from 0 to 1
_COUNTS = (60_000, 60_000, 10_000, 10_000)
CLEAR = 0.25  # a correlation; measured: MNIST 0.45 as it is and 0.05 transposed, pen strokes 0.54, noise below 0.13
LEAST_PER_CLASS = 5


def published_warning(name: str, files: Sequence[np.ndarray], paths: Sequence[Path] = ()) -> str:
    """The four arrays of the files of a built-in dataset, at `paths` → a sentence if they hold anything else.

    MNIST and Fashion-MNIST are known by the SHA-256 of their unpacked files; KMNIST only by the MD5 of the packed ones,
    or by its counts and the mean of its pixels. Nothing is known of the unpacked files of the others.
    """
    found, guessed = _of_packed(paths) or _of_unpacked(files), ""
    if not found and _has_equal_counts(files) and abs(float(files[0].mean()) / 255 - KMNIST_MEAN) < 0.002:
        found, guessed = "kmnist", "most likely "
    if found == name:
        whole = name not in DIGESTS or tuple(_sha256(values) for values in files) == DIGESTS[name]
        return "" if whole else mnist_warning(files) if name == "mnist" else _not_whole(name)
    if found and name in FOLDERS:
        return (
            f"These files are {guessed}{WHAT[found]}, and not {TITLES[name].split(' (')[0]}: move them to "
            f"`{FOLDERS[found]}` and use `{found}`, or use `idx:FOLDER`."
        )
    if name == "mnist":
        return mnist_warning(files)
    if name == "fashion-mnist":
        return _not_whole(name)
    if name == "kmnist" and not _has_equal_counts(files):
        return "These files are not KMNIST as it was published, which has 6,000 training images of each class."
    return emnist_warning(files[0], files[1]) if name.startswith("emnist:") else ""


def _not_whole(name: str) -> str:
    return f"These files are not {TITLES[name].split(' (')[0]} as it was published: their checksums differ."


def _of_packed(paths: Sequence[Path]) -> str:
    """The dataset whose packed training or test images are among `paths`; empty where none is known."""
    known = {resource.md5: name for name in FOLDERS for resource in known_source(name).resources[::2]}
    found = {known.get(md5_of(path), "") for path in paths[::2] if path.suffix == ".gz"} - {""}
    return found.pop() if len(found) == 1 else ""


def _of_unpacked(files: Sequence[np.ndarray]) -> str:
    """The dataset that the arrays of four files are, or have the images of; empty where none is known."""
    images = {_sha256(files[0]), _sha256(files[2])}
    for name, digests in DIGESTS.items():
        if images & {digests[0], digests[2]}:
            return name
    return ""


def _has_equal_counts(files: Sequence[np.ndarray]) -> bool:
    """Whether there are 6,000 training and 1,000 test images of each of ten classes."""
    counts = [np.bincount(labels, minlength=10) for labels in (files[1], files[3])]
    return all(len(found) == 10 and (found == each).all() for found, each in zip(counts, (6000, 1000), strict=True))


def emnist_warning(images: np.ndarray, labels: np.ndarray) -> str:
    """Images (N, H, W) as EMNIST's files have them, and labels (N,) → a sentence if their digits stand upright."""
    digits = labels < 10
    upright, transposed = likeness(images[digits][:, None], labels[digits])
    if upright > CLEAR and upright > 2 * transposed:
        return (
            "These files are not EMNIST as it was published, whose rows and columns are exchanged: their digits stand "
            "upright, and are transposed here. Use `idx:FOLDER` for them."
        )
    return ""


def mnist_warning(files: Sequence[np.ndarray]) -> str:
    """Training images (N, H, W) and labels (N,), test images and labels, all uint8 → a sentence; empty for MNIST."""
    digests = tuple(_sha256(values) for values in files)
    if digests == _MNIST:
        return ""
    train_images, train_labels, test_images, _ = files
    turned = orientation(train_images[:, None], train_labels)
    if turned:
        return f"These files are not MNIST. {turned}"
    sizes = f"{len(train_images):,} training and {len(test_images):,} test images"
    if tuple(len(values) for values in files) != _COUNTS:
        return f"These files are not the whole of MNIST: they have {sizes} in place of 60,000 and 10,000."
    counts = np.bincount(train_labels, minlength=10)
    if (counts == 6000).all():
        return (
            "These files are not MNIST: each class has exactly 6,000 training images, as in KMNIST (Japanese "
            "characters) and Fashion-MNIST (clothing)."
        )
    changed = [what for what, own, known in zip(_WHAT, digests, _MNIST, strict=True) if own != known]
    return f"These files are not MNIST as it was published: the {' and the '.join(changed)} differ from it."


_WHAT = ("training images", "training labels", "test images", "test labels")


def _sha256(values: np.ndarray) -> str:
    """Of the IDX file that holds the values."""
    digest = hashlib.sha256(bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes())
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def orientation(images: np.ndarray, labels: np.ndarray) -> str:
    """Images (N, C, H, W) uint8 of digits with labels (N,) → a sentence if they are turned or inverted; else empty.

    The means of the classes are correlated with those of scikit-learn's digits, upright and transposed.
    """
    upright, transposed = likeness(images, labels)
    if transposed > CLEAR and transposed > 2 * upright:
        return (
            "The digits are transposed, rows and columns exchanged, as in EMNIST: models of MNIST will misread them, "
            "and what is drawn by hand stands upright."
        )
    if -upright > CLEAR:
        return "The digits are dark on a light ground, and those of MNIST and of the Draw page light on dark."
    return ""


def likeness(images: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """How much the classes look like the digits 0 to 9, as they are and transposed: correlations in [-1, 1].

    (0, 0) where the labels are not all of 0 to 9, each with at least 5 images.
    """
    counts = np.bincount(labels, minlength=10)
    if len(counts) != 10 or counts.min() < LEAST_PER_CLASS:
        return 0.0, 0.0
    sums = np.stack([images[labels == label][:1000].mean(axis=(0, 1), dtype=np.float64) for label in range(10)])
    height, width = sums.shape[1:]
    means = resampled(sums, area_weights(height, SIDE), area_weights(width, SIDE))
    reference = _reference()
    return _correlation(means, reference), _correlation(means.transpose(0, 2, 1), reference)


def _correlation(means: np.ndarray, reference: np.ndarray) -> float:
    """Of what sets each class apart from the mean of all: (10, H, W) each."""
    own, other = (values - values.mean(axis=0) for values in (means, reference))
    length = float(np.linalg.norm(own) * np.linalg.norm(other))
    return float((own * other).sum()) / length if length else 0.0


@functools.cache
def _reference() -> np.ndarray:
    """(10, 28, 28): the mean of each class of scikit-learn's digits in MNIST's geometry, 20 px inside 28."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    means = np.stack([images[labels == label].mean(axis=0).reshape(8, 8) for label in range(10)])
    weights = cubic_weights(8, DIGIT)
    margin = (SIDE - DIGIT) // 2
    return np.pad(resampled(means, weights, weights), ((0, 0), (margin, margin), (margin, margin)))
