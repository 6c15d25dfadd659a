"""How accuracy falls: counted on a model that is known, and the sentence about it."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_core.data.loading import load_dataset
from mnist_core.errors import ConfigError
from mnist_core.figures.robustness import robustness_figure
from mnist_core.inference.corruptions import CORRUPTIONS, corrupted
from mnist_core.inference.predictor import Predictor
from mnist_core.inference.robustness import Robustness, robustness, sample, verdict


def found(*right: int, images: int = 100, classes: int = 10) -> Robustness:
    levels = CORRUPTIONS["rotation"].levels[: len(right)]
    return Robustness("rotation", levels, right, images, classes)


def test_right_answers_are_counted_at_every_level():
    data, predictor = load_dataset("digits"), Predictor("tiny")
    rows = sample(len(data.test_labels), 80)
    images, labels = data.test_images[rows], data.test_labels[rows]
    shares: list[float] = []
    result = robustness(predictor.network, images, labels, "shift", shares.append, seed=3)
    expected = [
        sum(
            predictor.answer(image[0]).digit == label
            for image, label in zip(corrupted(images, "shift", level, 3), labels, strict=True)
        )
        for level in CORRUPTIONS["shift"].levels
    ]
    assert list(result.right) == expected
    assert result.right[0] > 70
    assert shares == [pytest.approx((n + 1) / 8) for n in range(8)]
    assert (result.images, result.classes) == (80, 10)


def test_a_sample_is_drawn_once_or_is_all():
    rows = sample(1000, 300)
    assert len(set(rows.tolist())) == 300
    assert rows.tolist() == sorted(rows.tolist()) == sample(1000, 300).tolist()
    assert sample(1000, 300, seed=1).tolist() != rows.tolist()
    assert sample(7, 300).tolist() == list(range(7))


@pytest.mark.parametrize(
    ("right", "place"),
    [((100, 95, 90, 89), 3), ((80, 72, 71), 2), ((80, 20, 79), 1), ((50, 49, 46), None)],
)
def test_a_model_fails_first_below_nine_tenths(right, place):
    assert found(*right).fails_at == place


def test_the_sentence_names_the_level_and_the_last_that_holds():
    said = verdict(found(98, 97, 95, 80, 90))
    # Wilson's interval of 80 in 100, by hand: 0.7889 ± 0.0777
    assert said == (
        "It fails at ±30°: 80.0% (71.1–86.7) are read right, less than nine tenths of the 98.0% without. "
        "Up to ±20° it holds."
    )
    assert "Weaker ones were not tried" in verdict(found(98, 20))
    assert verdict(found(98, 97, 96)).startswith("It does not fail: at the last level, ±20°, it still reads 96.0% (")


def test_a_model_that_guesses_has_no_strength_of_failure():
    guessing = found(11, 10, 2)
    assert guessing.fails_at is None
    assert verdict(guessing).startswith("It reads only 11.0% of the images as they are")
    assert len(robustness_figure({"guess": guessing})["data"]) == 1  # no limit to show


def test_the_figure_has_models_intervals_and_a_cross():
    curves = {"one": found(98, 97, 95, 80), "two": found(90, 60, 50, 40)}
    limit, one, two = robustness_figure(curves)["data"]
    assert limit["y"] == [0.882] * 4
    assert one["x"] == ["none", "±10°", "±20°", "±30°"]
    assert one["y"] == [0.98, 0.97, 0.95, 0.8]
    assert (one["marker"]["symbol"][3], two["marker"]["symbol"][1]) == ("x", "x")
    assert one["error_y"]["arrayminus"][3] == pytest.approx(0.8 - 0.7112, abs=2e-4)
    assert one["line"]["color"] != two["line"]["color"]


def test_an_unknown_corruption_is_a_sentence():
    with pytest.raises(ConfigError, match="There is no corruption 'fog'"):
        robustness(Predictor("tiny").network, np.zeros((1, 1, 28, 28), np.uint8), np.zeros(1, np.int64), "fog")
