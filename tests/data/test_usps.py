"""USPS in its real form, libsvm's, small: labels of 1 to 10, pixels of -1 to 1, packed by bzip2."""

import bz2
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from mnist_core.data.download import download
from mnist_core.data.loading import is_available, load_dataset
from mnist_core.data.mirrors import known_source
from mnist_core.data.packed import Plain
from mnist_core.data.usps import read_usps
from mnist_core.drawing.preparation import is_prepared
from mnist_core.errors import DataError
from tests.helpers.mirror import body

DIGITS = load_dataset("digits")
CROPPED = torch.from_numpy(DIGITS.train_images[:200, :, 4:24, 4:24]).float()
SMALL = torch.nn.functional.interpolate(CROPPED, size=(16, 16), mode="area")
PIXELS, KINDS = SMALL[:, 0].numpy(), DIGITS.train_labels[:200]


def libsvm(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    lines = []
    for row, label in zip(pixels.reshape(len(pixels), -1) / 127.5 - 1, labels, strict=True):
        lines.append(" ".join([str(label + 1), *(f"{n}:{value:.6g}" for n, value in enumerate(row, start=1))]))
    return bz2.compress(("\n".join(lines) + "\n").encode())


FILES = {"usps.bz2": libsvm(PIXELS[:150], KINDS[:150]), "usps.t.bz2": libsvm(PIXELS[150:], KINDS[150:])}


def fetch(data_dir, server):
    for name, content in FILES.items():
        server.on_both(name, body(content))
    resources = tuple(Plain(name, hashlib.md5(content).hexdigest()) for name, content in FILES.items())
    source = replace(known_source("usps"), mirrors=tuple(server.mirrors), resources=resources)
    return list(download("usps", data_dir, source, timeout_s=5.0))


def test_usps_is_downloaded_and_what_torchvision_reads(tmp_path, server):
    from torchvision.datasets import USPS

    assert not is_available("usps", tmp_path)
    with pytest.raises(DataError, match="download usps"):
        load_dataset("usps", tmp_path)
    fetch(tmp_path, server)
    server.asked.clear()
    assert fetch(tmp_path, server) == []
    theirs = USPS(tmp_path, train=True)
    images, labels = read_usps(tmp_path / "usps.bz2")
    np.testing.assert_array_equal(images, theirs.data)
    assert labels.tolist() == theirs.targets
    (tmp_path / "usps.t.bz2").write_bytes(b"damaged")
    fetch(tmp_path, server)
    assert server.asked == ["/a/usps.t.bz2"]


@pytest.mark.parametrize("folder", ["", "USPS"])
def test_usps_becomes_digits_in_mnists_geometry(tmp_path, folder):
    (tmp_path / folder).mkdir(exist_ok=True)
    for name, content in FILES.items():
        (tmp_path / folder / name).write_bytes(content)
    data = load_dataset("usps", tmp_path)
    assert (data.classes, data.preparation) == (DIGITS.classes, "drawing")
    assert data.train_labels.tolist() == KINDS[:150].tolist()
    assert data.test_images.shape == (50, 1, 28, 28)
    assert all(is_prepared(image) for image in data.train_images[:, 0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no bzip2",
        bz2.compress(b"<html>"),
        bz2.compress(b"11 1:0.5\n"),
        bz2.compress(b"1 1:7\n"),
        FILES["usps.bz2"][:-99],
    ],
)
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "usps.bz2").write_bytes(content)
    with pytest.raises(DataError, match=r"usps\.bz2 is damaged"):
        read_usps(tmp_path / "usps.bz2")
