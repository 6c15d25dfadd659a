import numpy as np
import pytest
import torch

from mnist_core.data.loading import load_dataset
from mnist_core.errors import DataError


@pytest.mark.parametrize("name", ["", "MNIST", "emnist", "../digits"])
def test_an_unknown_dataset_lists_those_there_are(name):
    with pytest.raises(DataError, match=r"There is no dataset.*mnist, digits"):
        load_dataset(name)


def test_digits_are_all_of_scikit_learns_in_mnists_geometry(tmp_path):
    from sklearn.datasets import load_digits

    digits = load_dataset("digits", tmp_path)
    originals, labels = load_digits(return_X_y=True)
    pictures = np.concatenate([digits.train_images, digits.test_images])
    targets = np.concatenate([digits.train_labels, digits.test_labels])
    assert digits.train_images.shape == (1437, 1, 28, 28)
    assert digits.test_images.shape == (360, 1, 28, 28)
    assert (pictures.dtype, targets.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(np.bincount(targets), np.bincount(labels))
    border = np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert pictures[:, 0][:, border].max() == 0
    assert pictures.max() == 255

    # shrunk again, each picture is nearest to an original of its own label
    middle = torch.from_numpy(pictures[::9, :, 4:24, 4:24]).float()
    shrunk = torch.nn.functional.adaptive_avg_pool2d(middle, 8).flatten(1)
    nearest = torch.cdist(shrunk, torch.tensor(originals).float() * 255 / 16).argmin(dim=1)
    assert (labels[nearest] == targets[::9]).mean() > 0.99


def test_digits_test_part_has_every_class_in_its_share():
    digits = load_dataset("digits")
    whole = np.bincount(digits.train_labels) + np.bincount(digits.test_labels)
    assert np.abs(np.bincount(digits.test_labels) - whole / 5).max() <= 1
