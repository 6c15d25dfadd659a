import hashlib
import struct

import numpy as np
import pytest
import torch

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.dataset import Dataset, batches, to_unit
from mnist_core.data.loading import default_dataset, load_dataset
from mnist_core.data.mnist import _MNIST_FILES, mnist_available, read_idx
from mnist_core.data.splits import arrange, split, train_and_validation
from mnist_core.data.statistics import pixel_statistics
from mnist_core.errors import DataError
from mnist_core.system.settings import data_folder


def idx(values: np.ndarray, magic: bytes | None = None) -> bytes:
    """Yann LeCun's format, written out from its description."""
    head = magic if magic is not None else bytes([0, 0, 8, values.ndim])
    return head + b"".join(struct.pack(">i", n) for n in values.shape) + values.astype(np.uint8).tobytes()


def write_mnist(folder, parts: dict[str, np.ndarray]) -> None:
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, (name, _) in _MNIST_FILES.items():
        (raw / name).write_bytes(idx(parts[part]))


# ---- IDX files ------------------------------------------------------------------------------------------------------

PICTURES = np.arange(2 * 3 * 4).reshape(2, 3, 4) * 10


def test_reads_images_and_labels_of_the_idx_format(tmp_path):
    (tmp_path / "images").write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 250, 251, 255]))
    assert read_idx(tmp_path / "images", (2, 3)).tolist() == [[1, 2, 3], [250, 251, 255]]
    (tmp_path / "labels").write_bytes(idx(np.array([7, 0, 9])))
    labels = read_idx(tmp_path / "labels", (3,))
    assert labels.dtype == torch.uint8
    assert labels.tolist() == [7, 0, 9]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(idx(PICTURES)[:7], id="half a header"),
        pytest.param(idx(PICTURES)[:-1], id="a byte short"),
        pytest.param(idx(PICTURES) + b"\0", id="a byte long"),
        pytest.param(idx(PICTURES, bytes([0, 0, 9, 3])), id="signed bytes"),
        pytest.param(idx(PICTURES, bytes([1, 0, 8, 3])), id="wrong magic"),
        pytest.param(idx(PICTURES.reshape(2, 4, 3)), id="sides exchanged"),
        pytest.param(idx(PICTURES.reshape(2, 12)), id="fewer dimensions"),
        pytest.param(idx(PICTURES[:1]), id="fewer pictures"),
        pytest.param(b"<html>Not found</html>" * 10, id="a web page"),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is damaged"):
        read_idx(path, PICTURES.shape)


def test_an_idx_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="nothing cannot be read"):
        read_idx(tmp_path / "nothing", (1,))
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path, (1,))


# ---- datasets -------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_mnist(monkeypatch):
    """MNIST's files, but of 6 and 4 pictures: what is loaded can be compared whole."""
    rng = np.random.default_rng(0)
    parts = {
        "train_images": rng.integers(0, 256, (6, 28, 28)),
        "train_labels": np.array([5, 0, 4, 1, 9, 2]),
        "test_images": rng.integers(0, 256, (4, 28, 28)),
        "test_labels": np.array([7, 2, 1, 0]),
    }
    files = {part: (name, parts[part].shape) for part, (name, _) in _MNIST_FILES.items()}
    monkeypatch.setattr("mnist_core.data.mnist._MNIST_FILES", files)
    return parts


def test_mnist_files_become_tensors_with_a_channel(tmp_path, small_mnist):
    write_mnist(tmp_path, small_mnist)
    assert mnist_available(tmp_path)
    loaded = load_dataset("mnist", tmp_path)
    np.testing.assert_array_equal(loaded.train_images[:, 0], small_mnist["train_images"])
    np.testing.assert_array_equal(loaded.test_images[:, 0], small_mnist["test_images"])
    assert loaded.train_labels.tolist() == [5, 0, 4, 1, 9, 2]
    assert loaded.test_labels.tolist() == [7, 2, 1, 0]
    assert (loaded.train_images.dtype, loaded.train_labels.dtype) == (torch.uint8, torch.int64)
    assert loaded.shape == Shape(1, 28, 28, 10)


def test_mnist_with_labels_above_nine_is_refused(tmp_path, small_mnist):
    write_mnist(tmp_path, {**small_mnist, "test_labels": np.array([1, 2, 10, 3])})
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte holds labels above 9"):
        load_dataset("mnist", tmp_path)


def test_missing_mnist_names_the_folder_and_the_way_out(tmp_path):
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "'digits'" in str(caught.value)
    assert "MNIST_LAB_DATA" in str(caught.value)


def test_an_incomplete_mnist_is_not_there(tmp_path, small_mnist):
    write_mnist(tmp_path, small_mnist)
    assert default_dataset(tmp_path) == "mnist"
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    assert not mnist_available(tmp_path)
    assert default_dataset(tmp_path) == "digits"
    with pytest.raises(DataError, match="MNIST is not in"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize("name", ["", "MNIST", "emnist", "../digits"])
def test_an_unknown_dataset_lists_those_there_are(name):
    with pytest.raises(DataError, match=r"There is no dataset.*mnist, digits"):
        load_dataset(name)


def test_the_data_folder_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_LAB_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("MNIST_LAB_DATA", "")
    assert str(data_folder()) == "data"


def test_digits_are_all_of_scikit_learns_in_mnists_geometry(tmp_path):
    from sklearn.datasets import load_digits

    digits = load_dataset("digits", tmp_path)
    originals, labels = load_digits(return_X_y=True)
    pictures = torch.cat([digits.train_images, digits.test_images])
    targets = torch.cat([digits.train_labels, digits.test_labels])
    assert digits.train_images.shape == (1437, 1, 28, 28)
    assert digits.test_images.shape == (360, 1, 28, 28)
    assert (pictures.dtype, targets.dtype) == (torch.uint8, torch.int64)
    np.testing.assert_array_equal(np.bincount(targets), np.bincount(labels))
    border = torch.ones(28, 28, dtype=torch.bool)
    border[4:24, 4:24] = False
    assert pictures[:, 0][:, border].max() == 0
    assert pictures.amax() == 255

    # shrunk again, each picture is nearest to an original of its own label
    shrunk = torch.nn.functional.adaptive_avg_pool2d(pictures[::9, :, 4:24, 4:24].float(), 8).flatten(1)
    nearest = torch.cdist(shrunk, torch.tensor(originals).float() * 255 / 16).argmin(dim=1)
    assert (torch.tensor(labels)[nearest] == targets[::9]).float().mean() > 0.99


def test_digits_test_part_has_every_class_in_its_share():
    digits = load_dataset("digits")
    whole = np.bincount(digits.train_labels) + np.bincount(digits.test_labels)
    assert np.abs(np.bincount(digits.test_labels) - whole / 5).max() <= 1


def test_a_fingerprint_is_of_test_images_and_labels(tiny_data):
    expected = hashlib.sha256(bytes(tiny_data.test_images.flatten().tolist()))
    expected.update(struct.pack(f"<{len(tiny_data.test_labels)}q", *tiny_data.test_labels.tolist()))
    assert tiny_data.fingerprint == expected.hexdigest()
    images = tiny_data.test_images.clone()
    images[0, 0, 0, 0] += 1
    other = Dataset("x", tiny_data.classes, images, tiny_data.train_labels, images, tiny_data.test_labels)
    assert other.fingerprint != tiny_data.fingerprint


def test_the_training_part_has_a_fingerprint_of_its_own(tiny_data):
    expected = hashlib.sha256(bytes(tiny_data.train_images.flatten().tolist()))
    expected.update(struct.pack(f"<{len(tiny_data.train_labels)}q", *tiny_data.train_labels.tolist()))
    assert tiny_data.train_fingerprint == expected.hexdigest() != tiny_data.fingerprint


@pytest.mark.mnist
def test_real_mnist_has_its_published_counts_and_statistics(mnist_dir):
    mnist = load_dataset("mnist", mnist_dir)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.train_labels.bincount().tolist() == counts
    assert mnist.test_labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train_labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert mnist.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    (mean,), (std,) = pixel_statistics(mnist.train_images)
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert std == pytest.approx(0.3081, abs=5e-5)


# ---- splits and batches ---------------------------------------------------------------------------------------------

LABELS = torch.tensor(np.random.default_rng(1).choice(5, 1000, p=[0.5, 0.2, 0.15, 0.1, 0.05]))


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
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


@pytest.mark.parametrize("labels", [[0, 0, 0, 0, 1], [0, 1], []])
def test_too_few_images_to_split_is_a_sentence(labels):
    with pytest.raises(DataError, match="cannot be split"):
        split(torch.tensor(labels, dtype=torch.int64), 0.2, seed=0)


POOLED = TrainConfig(dataset="digits", split="pooled", test_fraction=0.1, validation_fraction=0.1, seed=3)


@pytest.fixture(scope="module")
def numbered() -> Dataset:
    """850 training and 150 test images of unequal classes, each with its own number in its first two pixels."""
    images = torch.zeros(1000, 1, 4, 4, dtype=torch.uint8)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = torch.arange(1000) // 256, torch.arange(1000) % 256
    return Dataset("numbers", tuple("abcde"), images[:850], LABELS[:850], images[850:], LABELS[850:])


def numbers(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0].int() * 256 + images[:, 0, 0, 1]).tolist()


def test_an_official_split_is_the_dataset_itself(tiny_data):
    config = POOLED.replace(split="official", validation_fraction=0.25)
    assert arrange(tiny_data, config) is tiny_data
    for mine, expected in zip(
        train_and_validation(tiny_data, config), split(tiny_data.train_labels, 0.25, 3), strict=True
    ):
        assert torch.equal(mine, expected)


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
        assert torch.equal(labels, LABELS[numbers(images)])  # each image with its own label
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
        assert torch.equal(mine, theirs)


def test_too_few_images_to_pool_is_a_sentence(numbered):
    images, labels = numbered.train_images[:3], torch.tensor([0, 0, 1])
    few = Dataset("few", tuple("ab"), images, labels, images, torch.zeros(3, dtype=torch.int64))
    with pytest.raises(DataError, match="cannot be split"):
        arrange(few, POOLED)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(7, [7]), (8, [8]), (9, [9]), (16, [8, 8]), (17, [8, 9]), (18, [8, 8, 2]), (1, [1])],
)
def test_batches_hold_every_index_once_and_never_one_alone(count, sizes):
    indices = torch.arange(100, 100 + count)
    parts = batches(indices, 8, seed=0, epoch=0)
    assert [len(part) for part in parts] == sizes
    assert sorted(torch.cat(parts).tolist()) == indices.tolist()


def test_batches_are_a_function_of_seed_and_epoch():
    indices = torch.arange(500)

    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(batches(indices, 64, seed, epoch)).tolist()

    torch.manual_seed(1)
    first = order(5, 2)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    assert order(5, 2) == first
    assert torch.equal(torch.get_rng_state(), before)
    others = [order(5, 3), order(6, 2), order(6, 3), sorted(first)]
    assert all(other != first for other in others)


# ---- pixels ---------------------------------------------------------------------------------------------------------


def test_to_unit_is_every_level_over_255_in_channels_last():
    images = torch.arange(256, dtype=torch.uint8).view(2, 2, 8, 8)
    unit = to_unit(images)
    np.testing.assert_array_equal(unit.numpy(), np.arange(256, dtype=np.float32).reshape(2, 2, 8, 8) / np.float32(255))
    assert unit.is_contiguous(memory_format=torch.channels_last)
    assert images.dtype == torch.uint8
