"""EMNIST and QMNIST in their real file names and forms, small, from a web server of our own."""

import gzip
import hashlib
import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from mnist_core.data.download import download
from mnist_core.data.emnist import PARTS, file_names
from mnist_core.data.geometry import in_mnists_geometry
from mnist_core.data.loading import is_available, load_dataset
from mnist_core.data.mirrors import known_source
from mnist_core.data.packed import Resource
from mnist_core.drawing.preparation import is_prepared
from mnist_core.errors import DataError
from tests.helpers.mirror import body, idx

DIGITS = load_dataset("digits")
UPRIGHT, KINDS = DIGITS.train_images[:400, 0], DIGITS.train_labels[:400]


def arrays(part: str) -> dict[str, np.ndarray]:
    """Digits as EMNIST has them, rows and columns exchanged, under labels of the part."""
    labels = KINDS + (part == "letters")
    turned = UPRIGHT.transpose(0, 2, 1)
    return dict(zip(file_names(part), (turned[:300], labels[:300], turned[300:], labels[300:]), strict=True))


def gzip_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for part in PARTS:
            for name, values in arrays(part).items():
                archive.writestr(f"gzip/{name}.gz", gzip.compress(idx(values)))
    return file.getvalue()


PACKED = gzip_zip()


def fetch(data_dir, server, part, packed=PACKED):
    server.on_both("gzip.zip", body(packed))
    source = known_source(f"emnist:{part}")
    resource = replace(source.resources[0], md5=hashlib.md5(packed).hexdigest())
    source = replace(source, mirrors=tuple(server.mirrors), resources=(resource,))
    return list(download(f"emnist:{part}", data_dir, source, timeout_s=5.0))


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_what_torchvision_reads_but_upright(tmp_path, server, part):
    from torchvision.datasets import EMNIST

    name = f"emnist:{part}"
    assert not is_available(name, tmp_path)
    with pytest.raises(DataError, match=f"download {name}"):
        load_dataset(name, tmp_path)
    fetch(tmp_path, server, part)
    assert is_available(name, tmp_path)
    data, theirs = load_dataset(name, tmp_path), EMNIST(tmp_path, part, train=True)
    np.testing.assert_array_equal(data.train_images[:, 0], theirs.data.transpose(1, 2))
    assert list(data.classes) == [name for name in theirs.classes if name != "N/A"]
    assert [data.classes[n] for n in data.train_labels] == [theirs.classes[n] for n in theirs.targets]
    assert len(data.test_labels) == 100
    assert (data.preparation, data.warning) == ("drawing", "")


def test_another_part_comes_from_the_archive_that_is_there(tmp_path, server):
    fetch(tmp_path, server, "letters")
    server.asked.clear()
    fetch(tmp_path, server, "digits")
    assert server.asked == []
    assert is_available("emnist:digits", tmp_path)
    assert not is_available("emnist:balanced", tmp_path)
    (tmp_path / "EMNIST" / "raw" / "gzip.zip").write_bytes(b"damaged")
    fetch(tmp_path, server, "balanced")
    assert server.asked == ["/a/gzip.zip"]


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (b"no zip", "not a whole .zip"),
        (PACKED[:-1000], "not a whole .zip"),
        (gzip_zip().replace(b"emnist-letters-test-l", b"emnist-letterz-test-l"), "is missing"),
    ],
)
def test_a_damaged_archive_leaves_nothing(tmp_path, server, packed, said):
    with pytest.raises(DataError, match=said) as caught:
        fetch(tmp_path, server, "letters", packed)
    assert "put gzip.zip, got in another way, by hand" in str(caught.value)
    assert [path.name for path in (tmp_path / "EMNIST" / "raw").iterdir()] == [".download.lock"]


def write(data_dir, values, packed=True, folder="EMNIST/raw/gzip"):
    raw = data_dir / folder
    raw.mkdir(parents=True)
    for name, array in values.items():
        (raw / f"{name}{'.gz' * packed}").write_bytes(gzip.compress(idx(array)) if packed else idx(array))


def test_the_unzipped_archive_is_read_as_it_is(tmp_path):
    write(tmp_path, arrays("letters"))
    assert is_available("emnist:letters", tmp_path)
    np.testing.assert_array_equal(load_dataset("emnist:letters", tmp_path).train_images[:, 0], UPRIGHT[:300])


def test_labels_of_letters_begin_at_one(tmp_path):
    labels = {name: KINDS[:300] if "train" in name else KINDS[300:] for name in file_names("letters")[1::2]}
    write(tmp_path, arrays("letters") | labels)
    with pytest.raises(DataError, match="labels below 1"):
        load_dataset("emnist:letters", tmp_path)


def test_upright_digits_are_no_emnist(tmp_path):
    write(tmp_path, {n: v.transpose(0, 2, 1) if v.ndim == 3 else v for n, v in arrays("balanced").items()})
    assert "stand upright" in load_dataset("emnist:balanced", tmp_path).warning


def test_larger_characters_come_to_mnists_geometry():
    crop = torch.from_numpy(DIGITS.train_images[:200, :, 4:24, 4:24]).float()
    large = torch.nn.functional.interpolate(crop, size=(24, 24), mode="bicubic").clamp(0, 255)
    stored = torch.nn.functional.pad(large, (2, 2, 2, 2)).round().to(torch.uint8).numpy()
    images = in_mnists_geometry(stored)
    assert not any(is_prepared(image) for image in stored[:, 0] if image[:3].max() > 50)
    assert all(is_prepared(image) for image in images[:, 0])
    np.testing.assert_array_equal(in_mnists_geometry(images), images)
    noise = np.random.default_rng(0).integers(0, 256, (9, 1, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(in_mnists_geometry(noise), noise)  # no character on a ground
    empty = np.zeros((3, 1, 28, 28), np.uint8)
    np.testing.assert_array_equal(in_mnists_geometry(empty), empty)


def qmnist_files() -> dict[str, bytes]:
    def labels(values: np.ndarray) -> bytes:
        table = np.zeros((len(values), 8), ">i4")
        table[:, 0], table[:, 1] = values, 4
        return bytes([0, 0, 12, 2]) + np.array(table.shape, ">i4").tobytes() + table.tobytes()

    return {
        "qmnist-train-images-idx3-ubyte": idx(UPRIGHT[:300]),
        "qmnist-train-labels-idx2-int": labels(KINDS[:300]),
        "qmnist-test-images-idx3-ubyte": idx(UPRIGHT[300:]),
        "qmnist-test-labels-idx2-int": labels(KINDS[300:]),
    }


def test_qmnist_is_downloaded_and_what_torchvision_reads(tmp_path, server):
    from torchvision.datasets import QMNIST

    packed = {f"{name}.gz": gzip.compress(content) for name, content in qmnist_files().items()}
    for name, content in packed.items():
        server.on_both(name, body(content))
    resources = tuple(Resource(name, hashlib.md5(content).hexdigest()) for name, content in packed.items())
    source = replace(known_source("qmnist"), mirrors=tuple(server.mirrors), resources=resources)
    list(download("qmnist", tmp_path, source, timeout_s=5.0))
    assert list(download("qmnist", tmp_path, source)) == []
    data = load_dataset("qmnist", tmp_path)
    for train, images, labels in (
        (True, data.train_images, data.train_labels),
        (False, data.test_images, data.test_labels),
    ):
        theirs = QMNIST(tmp_path, train=train)
        np.testing.assert_array_equal(images[:, 0], theirs.data)
        np.testing.assert_array_equal(labels, theirs.targets[:, 0])
    assert (data.classes, data.preparation) == (DIGITS.classes, "drawing")
