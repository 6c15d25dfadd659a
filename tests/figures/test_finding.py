"""The figure of a range test."""

import numpy as np

from mnist_core.figures.finding import range_spec
from mnist_core.figures.style import HIGHLIGHT

FOUND = {
    "rates": [1e-4, 1e-3, 1e-2, 1e-1],
    "losses": [2.4, 1.9, 0.6, 90.0],
    "smoothed": [2.3, 1.8, 0.5, 60.0],
    "lowest_at": 1e-2,
    "suggestion": 3e-3,
}


def test_the_loss_is_drawn_against_the_logarithm_of_the_rate():
    figure = range_spec(FOUND)
    faint, strong = figure["data"]
    assert (list(faint["y"]), list(strong["y"])) == (FOUND["losses"], FOUND["smoothed"])
    assert figure["layout"]["xaxis"]["type"] == "log"
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < 0.5
    assert 2.3 < high < 5  # what is broken lies far above


def test_the_suggestion_is_a_line_with_a_label_at_its_place():
    layout = range_spec(FOUND)["layout"]
    assert [(line["x0"], line["line"]["color"]) for line in layout["shapes"]][1] == (3e-3, HIGHLIGHT)
    assert layout["annotations"][1]["text"] == "suggested: 0.003"
    np.testing.assert_allclose(layout["annotations"][1]["x"], np.log10(3e-3))


def test_without_a_suggestion_there_is_no_such_line():
    assert len(range_spec({**FOUND, "suggestion": None})["layout"]["shapes"]) == 1
