"""The route of images that a page shows one at a time."""

import io

import numpy as np
import pytest
from PIL import Image

from mnist_core.figures.shown_images import MOST, show_images, shown_image


def pictures(channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (5, channels, 6, 7), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_fetched_by_its_row(web, channels):
    images = pictures(channels)
    token = show_images(images, f"fetched-{channels}")
    answer = web.get(f"/lab/images/{token}/3.png")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    found = np.asarray(Image.open(io.BytesIO(answer.body)))
    np.testing.assert_array_equal(found, images[3, 0] if channels == 1 else np.moveaxis(images[3], 0, -1))


@pytest.mark.parametrize("row", ["5", "-1", "1e3", "9999999999999", "²", "x"])
def test_what_is_no_row_is_not_found(web, row):
    answer = web.get(f"/lab/images/{show_images(pictures(1), 'rows')}/{row.replace('²', '%C2%B2')}.png")
    assert answer.status == 404
    assert "reload the page" in answer.error


def test_an_unknown_set_is_not_found(web):
    show_images(pictures(1), "known")
    for token in ("known", "%C3%A9", "..%2F..%2Fcard"):
        assert web.get(f"/lab/images/{token}/0.png").status == 404


def test_the_sets_asked_for_last_are_kept():
    token = show_images(pictures(1), "first")
    assert show_images(pictures(1), "first") == token
    others = [show_images(pictures(1, seed), f"other-{seed}") for seed in range(MOST)]
    assert len({token, *others}) == MOST + 1
    assert shown_image(token, 0) is None
    assert all(shown_image(other, 0) for other in others)
