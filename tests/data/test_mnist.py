import gzip
import hashlib
import math
import struct
from dataclasses import replace

import numpy as np
import pytest

from mnist_core.config import Shape
from mnist_core.data import lookalikes
from mnist_core.data.idx import read_idx
from mnist_core.data.loading import default_dataset, is_available, load_dataset
from mnist_core.data.lookalikes import likeness
from mnist_core.data.mirrors import known_source
from mnist_core.data.mnist import mnist_available
from mnist_core.data.statistics import pixel_statistics
from mnist_core.errors import DataError


def header(shape: tuple[int, ...]) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}i", *shape)


def idx(values: np.ndarray, magic: bytes | None = None) -> bytes:
    """Yann LeCun's format, written out from its description."""
    head = header(values.shape)
    return (magic or head[:4]) + head[4:] + values.astype(np.uint8).tobytes()


def write_mnist(folder, firsts: dict[str, np.ndarray]) -> None:
    """MNIST's files in their real sizes: each begins with its part of `firsts` and goes on with zeros."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, first in firsts.items():
        shape = (60_000 if name.startswith("train") else 10_000, *first.shape[1:])
        with (raw / name).open("wb") as file:
            file.write(header(shape) + first.astype(np.uint8).tobytes())
            file.truncate(len(header(shape)) + math.prod(shape))


PICTURES = np.arange(2 * 3 * 4).reshape(2, 3, 4) * 10


def test_reads_images_and_labels_of_the_idx_format(tmp_path):
    (tmp_path / "images").write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 250, 251, 255]))
    assert read_idx(tmp_path / "images").tolist() == [[1, 2, 3], [250, 251, 255]]
    (tmp_path / "labels").write_bytes(idx(np.array([7, 0, 9])))
    labels = read_idx(tmp_path / "labels")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [7, 0, 9]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(idx(PICTURES)[:7], id="half a header"),
        pytest.param(idx(PICTURES)[:-1], id="a byte short"),
        pytest.param(idx(PICTURES) + b"\0", id="a byte long"),
        pytest.param(idx(PICTURES, bytes([1, 0, 8, 3])), id="wrong magic"),
        pytest.param(idx(PICTURES, bytes([0, 0, 7, 3])), id="unknown type"),
        pytest.param(idx(PICTURES, bytes([0, 0, 8, 9])), id="nine dimensions"),
        pytest.param(b"<html>Not found</html>" * 10, id="a web page"),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match="train-images-idx3-ubyte is damaged"):
        read_idx(path)


def test_an_idx_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match="nothing cannot be read"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)


RNG = np.random.default_rng(0)
FIRSTS = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (6, 28, 28)),
    "train-labels-idx1-ubyte": np.array([5, 0, 4, 1, 9, 2]),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (4, 28, 28)),
    "t10k-labels-idx1-ubyte": np.array([7, 2, 1, 0]),
}


def test_mnist_files_become_arrays_with_a_channel(tmp_path):
    write_mnist(tmp_path, FIRSTS)
    assert mnist_available(tmp_path)
    loaded = load_dataset("mnist", tmp_path)
    np.testing.assert_array_equal(loaded.train_images[:6, 0], FIRSTS["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(loaded.test_images[:4, 0], FIRSTS["t10k-images-idx3-ubyte"])
    assert loaded.train_labels[:7].tolist() == [5, 0, 4, 1, 9, 2, 0]
    assert loaded.test_labels[:5].tolist() == [7, 2, 1, 0, 0]
    assert (len(loaded.train_images), len(loaded.test_images)) == (60_000, 10_000)
    assert (loaded.train_images.dtype, loaded.train_labels.dtype) == (np.uint8, np.int64)
    assert loaded.shape == Shape(1, 28, 28, 10)


def test_mnist_with_labels_above_nine_is_refused(tmp_path):
    write_mnist(tmp_path, FIRSTS | {"t10k-labels-idx1-ubyte": np.array([1, 2, 10, 3])})
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte holds labels above 9"):
        load_dataset("mnist", tmp_path)


def test_missing_mnist_names_the_folder_and_the_way_out(tmp_path):
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "'digits'" in str(caught.value)
    assert "MNIST_LAB_DATA" in str(caught.value)


def test_an_incomplete_mnist_is_not_there(tmp_path):
    write_mnist(tmp_path, FIRSTS)
    assert default_dataset(tmp_path) == "mnist"
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    assert not mnist_available(tmp_path)
    assert default_dataset(tmp_path) == "digits"
    with pytest.raises(DataError, match="MNIST is not in"):
        load_dataset("mnist", tmp_path)


def small(count=40, turned=False) -> dict[str, np.ndarray]:
    """The built-in digits as MNIST's four arrays."""
    digits = load_dataset("digits")
    images, labels = digits.train_images[:, 0][:count], digits.train_labels[:count]
    images = images.transpose(0, 2, 1) if turned else images
    return {name: images if "images" in name else labels for name in FIRSTS}


def write_small(folder, arrays, dotted=False, packed=True):
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, values in arrays.items():
        name = name.replace("-idx", ".idx") if dotted else name
        (raw / (name + ".gz" * packed)).write_bytes(gzip.compress(idx(values)) if packed else idx(values))


@pytest.mark.parametrize(("dotted", "packed"), [(False, True), (True, False), (True, True)])
def test_mnist_is_found_packed_and_as_7zip_names_it(tmp_path, dotted, packed):
    write_small(tmp_path, small(), dotted, packed)
    assert mnist_available(tmp_path)
    assert default_dataset(tmp_path) == "mnist"
    data = load_dataset("mnist", tmp_path)
    np.testing.assert_array_equal(data.train_images[:, 0], small()["train-images-idx3-ubyte"])
    assert "40 training and 40 test images in place of 60,000 and 10,000" in data.warning


@pytest.mark.parametrize(("name", "folder"), [("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")])
def test_datasets_of_mnists_form_have_their_own_classes(tmp_path, name, folder):
    from torchvision import datasets

    with pytest.raises(DataError, match=f"download {name}"):
        load_dataset(name, tmp_path)
    write_small(tmp_path, small())
    (tmp_path / "MNIST").rename(tmp_path / folder)
    assert is_available(name, tmp_path)
    data = load_dataset(name, tmp_path)
    assert (data.name, list(data.classes)) == (name, getattr(datasets, folder).classes)
    np.testing.assert_array_equal(data.test_images[:, 0], small()["t10k-images-idx3-ubyte"])
    assert "as it was published" in data.warning


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist"])
def test_packed_files_of_another_dataset_are_known(tmp_path, monkeypatch, name):
    write_small(tmp_path, small())
    packed = (tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").read_bytes()
    if name != "mnist":
        (tmp_path / "MNIST").rename(tmp_path / {"fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}[name])
    known = {other: known_source(other) for other in ("mnist", "fashion-mnist", "kmnist")}
    resources = (replace(known["kmnist"].resources[0], md5=hashlib.md5(packed).hexdigest()),)
    known["kmnist"] = replace(known["kmnist"], resources=resources)
    monkeypatch.setattr(lookalikes, "known_source", known.__getitem__)
    warning = load_dataset(name, tmp_path).warning
    if name == "kmnist":
        assert warning == ""
    else:
        assert "These files are KMNIST" in warning
        assert "`KMNIST/raw` and use `kmnist`" in warning


def test_unpacked_kmnist_is_told_by_its_counts_and_mean(tmp_path):
    firsts = {n: np.arange(60_000 if "train" in n else 10_000) % 10 for n in FIRSTS if "labels" in n}
    grey = np.full((60_000, 28, 28), round(lookalikes.KMNIST_MEAN * 255), np.uint8)
    grey[0] = 0
    write_mnist(tmp_path, FIRSTS | firsts | {"train-images-idx3-ubyte": grey})
    assert "most likely KMNIST" in load_dataset("mnist", tmp_path).warning
    (tmp_path / "MNIST").rename(tmp_path / "KMNIST")
    assert load_dataset("kmnist", tmp_path).warning == ""


def test_transposed_digits_are_said(tmp_path):
    write_small(tmp_path, small(400, turned=True))
    assert "transposed" in load_dataset("mnist", tmp_path).warning
    assert "transposed" in load_dataset(f"idx:{tmp_path}").warning
    (tmp_path / "upright").mkdir()
    write_small(tmp_path / "upright", small(400))
    assert load_dataset(f"idx:{tmp_path / 'upright'}").warning == ""


def test_dark_digits_on_light_are_said(tmp_path):
    arrays = small(400)
    write_small(tmp_path, {name: 255 - v if "images" in name else v for name, v in arrays.items()})
    assert "dark on a light" in load_dataset(f"idx:{tmp_path}").warning


def test_digits_of_equal_counts_are_not_called_mnist(tmp_path):
    firsts = {name: np.arange(60_000 if "train" in name else 10_000) % 10 for name in FIRSTS if "labels" in name}
    write_mnist(tmp_path, FIRSTS | firsts)
    assert "exactly 6,000" in load_dataset("mnist", tmp_path).warning


def test_images_without_content_are_refused(tmp_path):
    write_mnist(tmp_path, FIRSTS | {"train-images-idx3-ubyte": np.zeros((6, 28, 28))})
    with pytest.raises(DataError, match="every pixel 0"):
        load_dataset("mnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("train-images-idx3-ubyte", np.arange(40 * 27 * 28).reshape(40, 27, 28), "28×28"),
        ("train-labels-idx1-ubyte", np.arange(39) % 10, "a label for each of the 40 images"),
    ],
)
def test_files_that_do_not_fit_mnist_are_named(tmp_path, name, values, said):
    write_small(tmp_path, small() | {name: values})
    with pytest.raises(DataError, match=said):
        load_dataset("mnist", tmp_path)


@pytest.mark.mnist
def test_real_mnist_is_upright_and_known(mnist_dir):
    mnist = load_dataset("mnist", mnist_dir)
    assert mnist.warning == ""
    upright, transposed = likeness(mnist.test_images, mnist.test_labels)
    assert upright > 0.4
    assert transposed < 0.1


@pytest.mark.mnist
def test_real_mnist_has_its_published_counts_and_statistics(mnist_dir):
    mnist = load_dataset("mnist", mnist_dir)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.train_labels).tolist() == counts
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert mnist.train_labels[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert mnist.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
    (mean,), (std,) = pixel_statistics(mnist.train_images)
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert std == pytest.approx(0.3081, abs=5e-5)
