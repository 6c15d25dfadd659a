"""Pictures of several digits → the number, its digits and their places."""

import json

import numpy as np
import pytest

from benchmarks.pictures import KINDS, number
from mnist_core.drawing.images import read_picture
from mnist_core.inference.numbers import read_number, reads_numbers
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import Checkpoint
from tests.helpers.drawing import DIGITS, SEVEN, canvas

APART, TOUCHING = (0.2, 0.3), (-0.02, 0.0)


@pytest.fixture(scope="module")
def pen() -> Predictor:
    return Predictor("pen")


def written(digits: str, gap: tuple[float, float] = APART, seed: int = 0) -> tuple[np.ndarray, list]:
    rng = np.random.default_rng(seed)
    ink, boxes = number([DIGITS[int(digit)] for digit in digits], gap, rng, "down")
    return np.uint8(np.rint(250 - 225 * ink)), boxes


@pytest.mark.parametrize("digits", ["10", "42", "77", "390", "568", "2071", "4711", "98765", "10000"])
def test_a_number_is_read_with_a_box_around_each_digit(pen, digits):
    picture, boxes = written(digits)
    for form in (picture, 255 - picture, np.dstack([picture] * 3), np.kron(picture, np.ones((3, 3), np.uint8))):
        reading = read_number(pen, form)
        assert reading.number == digits
        assert [str(digit.digit) for digit in reading.digits] == list(digits)
        scale = form.shape[0] / picture.shape[0]
        for digit, box in zip(reading.digits, boxes, strict=True):
            np.testing.assert_allclose(np.array(digit.box) / scale, box, atol=6)
            assert 0 < digit.confidence <= 1
        assert reading.size == form.shape[1::-1]
        assert reading.prediction.rejection == "several"
        assert not reading.prediction.is_digit


def test_most_numbers_whose_digits_touch_are_read(pen):
    numbers = ["12", "35", "46", "70", "83", "29", "58", "107", "234", "561", "892", "640"]
    right = [
        read_number(pen, written(digits, TOUCHING, seed)[0]).number == digits for seed, digits in enumerate(numbers)
    ]
    assert np.mean(right) >= 0.6


@pytest.mark.parametrize("digit", DIGITS)
def test_one_digit_is_a_number_of_one(pen, digit):
    picture = canvas(DIGITS[digit])
    reading = read_number(pen, picture)
    expected = pen.predict(picture)
    assert reading.number == str(digit)
    assert reading.prediction.record() == expected.record()
    np.testing.assert_array_equal(reading.prediction.model_input, expected.model_input)
    (found,) = reading.digits
    rows, columns = np.nonzero(picture > 64)
    box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
    np.testing.assert_allclose(found.box, box, atol=2)


def test_what_is_no_number_has_none(pen):
    blank = read_number(pen, np.zeros((280, 280), np.uint8))
    assert (blank.number, blank.digits, blank.prediction.rejection) == (None, (), "blank")
    picture, _ = written("35")
    picture[110:180, 1:68] = 25  # a block beside it is no digit
    reading = read_number(pen, picture)
    assert reading.number is None
    assert not reading.prediction.is_digit


def test_other_classes_than_the_ten_digits_give_no_number(pen):
    loaded = pen.checkpoint
    for change in ({"classes": list("abcdefghij")}, {"config": loaded.card.config.replace(preparation="whole")}):
        card = loaded.card.model_copy(update=change)
        other = Predictor(Checkpoint(card, loaded.folder, loaded.weights))
        picture, _ = written("35")
        assert not reads_numbers(other)
        reading = read_number(other, picture)
        assert (reading.number, reading.digits) == (None, ())
        assert reading.prediction.record() == other.predict(picture).record()


def test_the_record_is_that_of_the_prediction_and_the_number(pen):
    record = json.loads(json.dumps(read_number(pen, written("407")[0]).record(), allow_nan=False))
    assert record["number"] == "407"
    assert [set(digit) for digit in record["digits"]] == [{"digit", "confidence", "box"}] * 3
    assert record.keys() - {"number", "digits", "size"} == pen.predict(canvas(SEVEN)).record().keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_is_read(pen, kind):
    rng = np.random.default_rng(5)
    flipped = {digit: [[[x, -y] for x, y in stroke] for stroke in DIGITS[digit]] for digit in DIGITS}
    for digit in (2, 4, 5, 7):
        reading = read_number(pen, read_picture(KINDS[kind](flipped[digit], rng)))
        assert reading.prediction.is_digit, digit
        assert reading.number == str(digit)


def test_where_one_is_expected_only_things_apart_are_a_number():
    reader, small = Predictor("pen"), canvas(SEVEN, canvas=120, brush=9)
    apart = np.zeros((280, 280), np.uint8)
    apart[80:200, :120] = apart[80:200, 150:270] = small
    assert read_number(reader, apart, one_expected=True).number == read_number(reader, apart).number == "77"
    one = read_number(reader, canvas(SEVEN), one_expected=True)
    assert (one.number, len(one.digits)) == ("7", 1)
    random = np.random.default_rng(5)
    scribbles = [canvas([random.integers(0, 100, (6, 2)).tolist() for _ in range(3)]) for _ in range(8)]
    said = [read_number(reader, scribble, one_expected=True) for scribble in scribbles]
    assert not any(reading.number and len(reading.number) > 1 for reading in said)
