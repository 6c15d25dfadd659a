import numpy as np
import pytest

from mnist_core.data.splits import held_out, natural_sort_key
from mnist_core.errors import DataError

CLASSES = ("a", "b", "c")


def test_what_is_given_stays_as_it_is():
    labels, given = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 0, 0, 1, 1], dtype=bool)
    assert held_out(("a", "b"), labels, given) is given


@pytest.mark.parametrize("counts", [(5, 5, 5), (5, 50, 500), (7, 8, 9), (100, 100, 100)])
def test_one_fifth_of_every_class_is_held_out_the_same_every_time(counts):
    labels = np.repeat(np.arange(3), counts)
    test = held_out(CLASSES, labels, None)
    assert np.array_equal(test, held_out(CLASSES, labels, None))
    assert np.abs(np.bincount(labels[test]) - np.array(counts) / 5).max() <= 1
    assert np.bincount(labels[test], minlength=3).min() >= 1


@pytest.mark.parametrize(
    ("classes", "train", "test", "said"),
    [
        (("a",), [0, 0, 0], [0], "only the class 'a'"),
        ((), [], [], "no class"),
        (tuple(map(str, range(101))), [0, 0], [0], "101 classes"),
        (("a", "b"), [0, 0, 1, 1], [0], "'b' has no test image"),
        (("a", "b"), [0, 0], [0, 1], "'b' has no training image"),
        (("a", "b"), [0, 0, 1], [0, 1], "'b' has 1 training image,"),
    ],
)
def test_classes_that_cannot_be_learned_or_judged_are_named(classes, train, test, said):
    labels = np.array(train + test, dtype=np.int64)
    given = np.arange(len(labels)) >= len(train)
    with pytest.raises(DataError, match=said):
        held_out(classes, labels, given)


def test_four_images_are_too_few_to_hold_one_fifth_out():
    with pytest.raises(DataError, match="'b' has 4 images, and at least 5 are needed"):
        held_out(("a", "b"), np.array([0] * 9 + [1] * 4), None)


def test_natural_order_is_that_of_people():
    assert sorted(["b", "10", "B2", "2", "a", "b10", "b2"], key=natural_sort_key) == [
        "2",
        "10",
        "a",
        "b",
        "B2",
        "b2",
        "b10",
    ]
