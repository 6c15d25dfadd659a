import math
import struct

import numpy as np
import pytest
import torch

from mnist_core.config import Shape
from mnist_core.data.loading import default_dataset, load_dataset
from mnist_core.data.mnist import mnist_available, read_idx
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


RNG = np.random.default_rng(0)
FIRSTS = {
    "train-images-idx3-ubyte": RNG.integers(0, 256, (6, 28, 28)),
    "train-labels-idx1-ubyte": np.array([5, 0, 4, 1, 9, 2]),
    "t10k-images-idx3-ubyte": RNG.integers(0, 256, (4, 28, 28)),
    "t10k-labels-idx1-ubyte": np.array([7, 2, 1, 0]),
}


def test_mnist_files_become_tensors_with_a_channel(tmp_path):
    write_mnist(tmp_path, FIRSTS)
    assert mnist_available(tmp_path)
    loaded = load_dataset("mnist", tmp_path)
    np.testing.assert_array_equal(loaded.train_images[:6, 0], FIRSTS["train-images-idx3-ubyte"])
    np.testing.assert_array_equal(loaded.test_images[:4, 0], FIRSTS["t10k-images-idx3-ubyte"])
    assert loaded.train_labels[:7].tolist() == [5, 0, 4, 1, 9, 2, 0]
    assert loaded.test_labels[:5].tolist() == [7, 2, 1, 0, 0]
    assert (len(loaded.train_images), len(loaded.test_images)) == (60_000, 10_000)
    assert (loaded.train_images.dtype, loaded.train_labels.dtype) == (torch.uint8, torch.int64)
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
