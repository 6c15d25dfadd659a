import numpy as np
import pytest
import torch

from mnist_core.config import TrainConfig
from mnist_core.data.dataset import Dataset
from mnist_core.data.splits import arrange, held_out, natural_sort_key, split, train_and_validation
from mnist_core.errors import DataError

CLASSES = ("a", "b", "c")


def test_what_is_given_stays_as_it_is():
    labels, given = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 0, 0, 0, 1, 1], dtype=bool)
    assert held_out(("a", "b"), labels, given) is given


@pytest.mark.parametrize("counts", [(5, 5, 5), (5, 50, 500), (7, 8, 9), (100, 100, 100)])
def test_one_fifth_of_every_class_is_held_out_reproducibly(counts):
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


def test_numbers_in_names_sort_by_value():
    assert sorted(["b", "10", "B2", "2", "a", "b10", "b2"], key=natural_sort_key) == [
        "2",
        "10",
        "a",
        "b",
        "B2",
        "b2",
        "b10",
    ]


LABELS = np.random.default_rng(1).choice(5, 1000, p=[0.5, 0.2, 0.15, 0.1, 0.05])


@pytest.mark.parametrize("fraction", [1 / 12, 0.25, 0.5])
def test_a_split_covers_all_once_with_each_class_in_its_share(fraction):
    train, validation = split(LABELS, fraction, seed=3)
    assert sorted(train.tolist() + validation.tolist()) == list(range(1000))
    assert len(validation) == pytest.approx(1000 * fraction, abs=1)
    share = np.bincount(LABELS) * fraction
    assert np.abs(np.bincount(LABELS[validation]) - share).max() <= 1


def test_a_split_depends_on_its_seed_alone():
    torch.manual_seed(1)
    np.random.seed(1)
    first = split(LABELS, 0.2, seed=7)
    torch.manual_seed(2)
    np.random.seed(2)
    again = split(LABELS, 0.2, seed=7)
    other = split(LABELS, 0.2, seed=8)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("labels", [[0, 0, 0, 0, 1], [0, 1], []])
def test_too_few_images_to_split_is_a_sentence(labels):
    with pytest.raises(DataError, match="cannot be split"):
        split(np.array(labels, np.int64), 0.2, seed=0)


POOLED = TrainConfig(dataset="digits", split="pooled", test_fraction=0.1, validation_fraction=0.1, seed=3)


@pytest.fixture(scope="module")
def numbered() -> Dataset:
    """850 training and 150 test images of unequal classes, each with its own number in its first two pixels."""
    images = np.zeros((1000, 1, 4, 4), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = np.divmod(np.arange(1000), 256)
    return Dataset("numbers", tuple("abcde"), images[:850], LABELS[:850], images[850:], LABELS[850:])


def numbers(images: np.ndarray) -> list[int]:
    return (images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]).tolist()


def test_an_official_split_is_the_dataset_itself(tiny_data):
    config = POOLED.replace(split="official", validation_fraction=0.25)
    assert arrange(tiny_data, config) is tiny_data
    for mine, expected in zip(
        train_and_validation(tiny_data, config), split(tiny_data.train_labels, 0.25, 3), strict=True
    ):
        np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize(
    ("test_fraction", "validation_fraction", "sizes"),
    [(0.1, 0.1, (800, 100, 100)), (0.2, 0.1, (700, 100, 200)), (0.1, 0.3, (600, 300, 100)), (0.5, 0.5, (50, 450, 500))],
)
def test_a_pooled_split_has_its_shares_of_all_images_each_once(numbered, test_fraction, validation_fraction, sizes):
    config = POOLED.replace(test_fraction=test_fraction, validation_fraction=validation_fraction)
    data = arrange(numbered, config)
    train, validation = train_and_validation(data, config)
    parts = [
        (data.train_images[train], data.train_labels[train]),
        (data.train_images[validation], data.train_labels[validation]),
        (data.test_images, data.test_labels),
    ]
    found = [number for images, _ in parts for number in numbers(images)]
    assert sorted(found) == list(range(1000))
    for (images, labels), size in zip(parts, sizes, strict=True):
        assert len(images) == pytest.approx(size, abs=1)
        np.testing.assert_array_equal(labels, LABELS[numbers(images)])  # each image with its own label
        assert np.abs(np.bincount(labels, minlength=5) - np.bincount(LABELS) * size / 1000).max() <= 2
    assert not set(numbers(data.test_images)) <= set(range(850, 1000))  # not the official part
    assert (data.name, data.classes) == (numbered.name, numbered.classes)


def test_a_pooled_split_depends_on_its_seed_alone(numbered):
    same_images = Dataset(*(getattr(numbered, name) for name in Dataset.__dataclass_fields__))
    first, again = arrange(numbered, POOLED), arrange(same_images, POOLED)
    other = arrange(numbered, POOLED.replace(seed=4))
    assert first is not again
    assert (first.fingerprint, first.train_fingerprint) == (again.fingerprint, again.train_fingerprint)
    assert first.fingerprint != other.fingerprint
    for mine, theirs in zip(train_and_validation(first, POOLED), train_and_validation(again, POOLED), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_too_few_images_to_pool_is_a_sentence(numbered):
    images, labels = numbered.train_images[:3], np.array([0, 0, 1])
    few = Dataset("few", tuple("ab"), images, labels, images, np.zeros(3, np.int64))
    with pytest.raises(DataError, match="cannot be split"):
        arrange(few, POOLED)
