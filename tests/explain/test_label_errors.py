import numpy as np
import pytest

from mnist_core.explain.label_errors import accuracy_without, doubted_labels


def noisy(seed: int, images: int = 400, classes: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of which a tenth is wrong, probabilities that mostly know the truth, and which are wrong."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, classes, images)
    logits = random.normal(0, 1, (images, classes))
    logits[np.arange(images), truth] += 4
    wrong = random.random(images) < 0.1
    labels = np.where(wrong, (truth + 1) % classes, truth)
    exp = np.exp(logits)
    return labels, exp / exp.sum(axis=1, keepdims=True), wrong


@pytest.mark.parametrize("seed", range(8))
def test_doubted_labels_are_those_of_cleanlab(seed):
    filters = pytest.importorskip("cleanlab.filter", reason="cleanlab is not installed")
    labels, probabilities, _ = noisy(seed)
    expected = filters.find_label_issues(
        labels, probabilities, filter_by="confident_learning", return_indices_ranked_by="self_confidence"
    )
    assert doubted_labels(labels, probabilities).tolist() == expected.tolist()


def test_most_exchanged_labels_are_doubted_and_few_others():
    labels, probabilities, wrong = noisy(0, 2000)
    rows = doubted_labels(labels, probabilities)
    assert wrong[rows].mean() > 0.8
    assert wrong[rows].sum() > 0.6 * wrong.sum()


def test_three_images_by_hand():
    """Thresholds are 0.6 for class 0 (0.9, 0.3) and 0.8 for class 1: only the second image is above another's."""
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.8, 0.2]])
    labels = np.array([0, 0, 1, 0])
    assert doubted_labels(labels, probabilities).tolist() == [1]


def test_a_class_without_images_is_no_obstacle():
    labels, probabilities, _ = noisy(1)
    few = labels != 3
    assert len(doubted_labels(labels[few], probabilities[few]))


def test_doubted_images_are_set_aside():
    right = np.array([True, False, True, False, True])
    assert accuracy_without(right, np.array([1])) == (3, 4)
    assert accuracy_without(right, np.array([], int)) == (3, 5)
