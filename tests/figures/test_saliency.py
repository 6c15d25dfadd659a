import numpy as np
import pytest

from mnist_core.figures.saliency import edit_figure, overlay_figure
from tests.helpers import strict_json

SALIENCY = np.array([[0.5, -2.0], [0.0, 1.0]], np.float32)


@pytest.mark.parametrize("image", [np.eye(2, dtype=np.uint8), np.zeros((2, 2, 3), np.uint8)])
def test_a_map_lies_over_its_image(image):
    figure = overlay_figure(image, SALIENCY, 0.6)
    under, over = figure.data
    assert np.array_equal(under.z, image)
    np.testing.assert_allclose(over.z, SALIENCY / 2)
    assert np.array_equal(over.customdata, SALIENCY)
    assert over.opacity == 0.6
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    strict_json(figure.to_json())


def test_maps_to_be_compared_share_a_scale():
    shares = [overlay_figure(np.eye(2, dtype=np.uint8), k * SALIENCY, 0.6, limit=8).data[1].z for k in (1, 4)]
    np.testing.assert_allclose(4 * np.array(shares[0]), shares[1], atol=2e-3)


def test_a_map_of_zeros_can_be_drawn():
    strict_json(overlay_figure(np.eye(2, dtype=np.uint8), 0 * SALIENCY, 0.6).to_json())


def test_edited_pixels_are_framed():
    changed = np.array([[False, True], [False, False]])
    (frame,) = edit_figure(np.eye(2, dtype=np.uint8), changed).layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (0.5, 1.5, -0.5, 0.5)
