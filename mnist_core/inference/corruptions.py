"""Corruptions: images made worse step by step, to see how much of it a model bears. NumPy only.

After D. Hendrycks, T. Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, 2019
(arXiv:1903.12261), and for digits N. Mu, J. Gilmer, MNIST-C, 2019 (arXiv:1906.02337); strokes are made thicker and
thinner as in D. C. Castro et al., Morpho-MNIST, 2019 (arXiv:1809.08044), on an enlarged image. The levels are this
lab's own: from none to what a person cannot read either.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mnist_core.data.geometry import area_weights, cubic_weights, resampled
from mnist_core.errors import ConfigError

PART = 250  # images at a time: strokes are changed on images of 16 times the pixels
FINE = 4  # an enlarged image has so many times the side
SIDE = 28  # px: the side for which the levels in px are meant; twice as many px for images twice as large

Apply = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption. `levels` grow from 0, the image as it is; they count what `measure` says, in `unit`.

    `pixels`: these are px of an image of 28 px. `grey_only`: it changes strokes, which a photo has not.
    """

    name: str
    title: str
    measure: str
    unit: str
    levels: tuple[float, ...]
    explanation: str
    apply: Apply
    pixels: bool = False
    grey_only: bool = False

    def text(self, level: float) -> str:
        """A level with its unit: `±20°`, `1.5 px`."""
        return self.unit.format(f"{level:g}")


def corruptions_for(channels: int) -> dict[str, Corruption]:
    """Name → corruption, of those that images with so many channels can have."""
    return {name: found for name, found in CORRUPTIONS.items() if channels == 1 or not found.grey_only}


def get_corruption(name: str, channels: int = 1) -> Corruption:
    """The corruption of that name, of images with so many channels. Raises ConfigError."""
    kinds = corruptions_for(channels)
    if name not in kinds:
        whose = "of colour images " if name in CORRUPTIONS else ""
        raise ConfigError(f"There is no corruption '{name[:60]}' {whose}here; there are: {', '.join(kinds)}.")
    return kinds[name]


def corrupted(images: np.ndarray, name: str, level: float, seed: int = 0) -> np.ndarray:
    """(N, C, H, W) uint8 → the same with the corruption `name` at `level` of its unit, uint8.

    What is random, such as the direction of a shift, is drawn for each image by `seed` and its place among the images,
    and is the same at every level. Level 0 changes nothing. Raises ConfigError for an unknown name.
    """
    kind = get_corruption(name)
    if not len(images):
        return images.copy()
    starts = range(0, len(images), PART)
    return np.concatenate([_part(kind, images[start : start + PART], level, seed, start) for start in starts])


def _part(kind: Corruption, images: np.ndarray, level: float, seed: int, start: int) -> np.ndarray:
    """A part of the images, the first of which has the number `start`."""
    if not level:
        return images.copy()
    if kind.pixels:
        level = level * max(1, round(max(images.shape[2:]) / SIDE))
    found = kind.apply(images, level, np.random.default_rng([seed, start]))
    levels: np.ndarray = found.round().clip(0, 255).astype(np.uint8)
    return levels


def example(images: np.ndarray, place: int, name: str, seed: int = 0) -> np.ndarray:
    """The image at `place` of (N, C, H, W) uint8 as `corrupted` makes it at each level → (levels, C, H, W) uint8."""
    start = place // PART * PART
    part = images[start : start + PART]
    kind = get_corruption(name)
    return np.stack([_part(kind, part, level, seed, start)[place - start] for level in kind.levels])


def ground(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) uint8 → (N, C, 1, 1) float32: the median level of each image's border."""
    edges = [images[:, :, 0], images[:, :, -1], images[:, :, 1:-1, 0], images[:, :, 1:-1, -1]]
    level: np.ndarray = np.median(np.concatenate(edges, axis=2), axis=2)[..., None, None].astype(np.float32)
    return level


# ---- kinds: (N, C, H, W) uint8, level above 0, random numbers → (N, C, H, W) float32 ---------------------------------


def _noise(images: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    noisy: np.ndarray = images + level * random.standard_normal(images.shape, np.float32)
    return noisy


def _blur(images: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    rows, columns = (_gaussian(side, level) for side in images.shape[2:])
    return resampled(images.astype(np.float32), rows, columns)


def _gaussian(side: int, deviation: float) -> np.ndarray:
    """(side, side) float32: what each pixel adds to each in a Gaussian blur; the border pixel goes on outside."""
    reach = math.ceil(4 * deviation)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights = np.zeros((side, side))
    for offset, weight in zip(range(-reach, reach + 1), kernel / kernel.sum(), strict=True):
        np.add.at(weights, (np.arange(side), np.clip(np.arange(side) + offset, 0, side - 1)), weight)
    return weights.astype(np.float32)


def _rotation(images: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    left = random.random(len(images)) < 0.5
    result = np.empty(images.shape, np.float32)
    for chosen, degrees in ((left, level), (~left, -level)):
        result[chosen] = _turned(images[chosen], math.radians(degrees))
    return result


def _turned(images: np.ndarray, angle: float) -> np.ndarray:
    """Turned about the middle by `angle` in radians, to the left where positive."""
    height, width = images.shape[2:]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    return _sampled(images, cos * down + sin * right + (height - 1) / 2, cos * right - sin * down + (width - 1) / 2)


def _sampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The images at (H, W) places between pixels, bilinear; outside is the images' ground."""
    level = ground(images)
    padded = np.pad(images - level, ((0, 0), (0, 0), (1, 1), (1, 1)))
    # one pixel of ground around the image, and everything beyond it is that pixel
    rows, columns = (
        np.clip(place + 1, 0, side + 1) for place, side in zip((rows, columns), images.shape[2:], strict=True)
    )
    top, left = (np.minimum(np.floor(p).astype(int), s) for p, s in zip((rows, columns), images.shape[2:], strict=True))
    below, beside = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    upper = padded[:, :, top, left] * (1 - beside) + padded[:, :, top, left + 1] * beside
    lower = padded[:, :, top + 1, left] * (1 - beside) + padded[:, :, top + 1, left + 1] * beside
    found: np.ndarray = upper * (1 - below) + lower * below + level
    return found


DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def _shift(images: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    ways = random.integers(len(DIRECTIONS), size=len(images))
    height, width = images.shape[2:]
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    result = np.empty(images.shape, np.float32)
    for way, (down, right) in enumerate(DIRECTIONS):
        chosen = ways == way
        result[chosen] = _sampled(images[chosen], rows - level * down, columns - level * right)
    return result


def _thicker(images: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    return _grown(images, level / 2)


def _thinner(images: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    return 255 - _grown(255 - images, level / 2, ground(images) <= 127)


def _grown(images: np.ndarray, reach: float, light: np.ndarray | None = None) -> np.ndarray:
    """The ink's edges moved outwards by `reach` px: a dilation on the enlarged image by an octagon.

    Where `light` (N, 1, 1, 1) is given it says which images have light to grow; else it is those on dark ground.
    """
    light = ground(images) <= 127 if light is None else light
    rising = np.where(light, images, 255 - images).astype(np.float32)
    fine = resampled(rising, *(cubic_weights(side, FINE * side) for side in images.shape[2:]))
    found = fine.round().clip(0, 255).astype(np.uint8)
    for step in range(round(FINE * reach)):
        found = _dilated(found, square=step % 2 == 1)
    shrunk = resampled(found.astype(np.float32), *(area_weights(FINE * side, side) for side in images.shape[2:]))
    return np.where(light, shrunk, 255 - shrunk)


def _dilated(images: np.ndarray, square: bool) -> np.ndarray:
    """(..., H, W) uint8 → each pixel the lightest of itself and its four neighbours, or of all eight."""
    wide = images.copy()
    np.maximum(wide[..., 1:], images[..., :-1], out=wide[..., 1:])
    np.maximum(wide[..., :-1], images[..., 1:], out=wide[..., :-1])
    source = wide.copy() if square else images
    np.maximum(wide[..., 1:, :], source[..., :-1, :], out=wide[..., 1:, :])
    np.maximum(wide[..., :-1, :], source[..., 1:, :], out=wide[..., :-1, :])
    return wide


def _occlusion(images: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    places = random.random((len(images), 2))
    inside = np.ones((len(images), *images.shape[2:]), bool)
    for axis, side in enumerate(images.shape[2:]):
        length = min(round(level), side)
        first = np.floor(places[:, axis] * (side - length + 1)).astype(int)[:, None]
        covered = (np.arange(side) >= first) & (np.arange(side) < first + length)
        inside &= covered[:, :, None] if axis == 0 else covered[:, None, :]
    return np.where(inside[:, None], ground(images), images)


CORRUPTIONS = {
    kind.name: kind
    for kind in (
        Corruption(
            "noise",
            "Noise",
            "standard deviation in grey levels of 255",
            "±{}",
            (0, 16, 32, 48, 64, 96, 128, 192),
            "To each pixel a random number is added (Gaussian noise, the level is its standard deviation, of 255 grey "
            "levels), as by a camera in the dark.",
            _noise,
        ),
        Corruption(
            "blur",
            "Blur",
            "standard deviation",
            "{} px",
            (0, 0.5, 1, 1.5, 2, 2.5, 3, 4),
            "Each pixel becomes a mean of its surroundings (Gaussian blur, the level is its standard deviation in "
            "pixels), as by a lens out of focus.",
            _blur,
            pixels=True,
        ),
        Corruption(
            "rotation",
            "Rotation",
            "angle",
            "±{}°",
            (0, 10, 20, 30, 40, 50, 60, 90),
            "Each image is turned about its middle, to the left or to the right at random.",
            _rotation,
        ),
        Corruption(
            "shift",
            "Shift",
            "distance",
            "{} px",
            (0, 1, 2, 3, 4, 6, 8, 10),
            "Each image is moved to the left, right, top or bottom at random. What leaves the picture is lost.",
            _shift,
            pixels=True,
        ),
        Corruption(
            "thicker",
            "Thicker strokes",
            "change of their width",
            "+{} px",
            (0, 0.5, 1, 1.5, 2, 3, 4, 6),
            "Strokes become so many pixels wider (a dilation), as by a broad felt pen; those of MNIST are 2.6 wide.",
            _thicker,
            pixels=True,
            grey_only=True,
        ),
        Corruption(
            "thinner",
            "Thinner strokes",
            "change of their width",
            "−{} px",
            (0, 0.5, 1, 1.5, 2, 2.5, 3, 4),
            "Strokes become so many pixels narrower (an erosion), as by a pen that runs dry; those of MNIST are 2.6 "
            "wide, and what was narrower is gone.",
            _thinner,
            pixels=True,
            grey_only=True,
        ),
        Corruption(
            "occlusion",
            "Occlusion",
            "side of the square",
            "{} px",
            (0, 4, 6, 8, 10, 12, 16, 20),
            "A square of the picture's ground is laid over each image, at a random place.",
            _occlusion,
            pixels=True,
        ),
    )
}
