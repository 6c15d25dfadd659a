"""Mirrors: where a dataset is downloaded from, and which files it has there."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mnist_core.data.emnist import PARTS, file_names
from mnist_core.data.packed import Archive, Plain, Resource, ZipOfGzips
from mnist_core.errors import DataError
from mnist_core.system.settings import mirrors

SOURCES = {
    "mnist": "12 MB",
    "fashion-mnist": "31 MB",
    "kmnist": "21 MB",
    "cifar10": "170 MB",
    **{f"emnist:{part}": "562 MB (all its parts at once)" for part in PARTS},
    "qmnist": "20 MB",
    "usps": "8 MB",
}  # datasets that can be downloaded, and their packed size


@dataclass(frozen=True)
class Source:
    """A dataset to download: its title, folder within the data folder, mirrors to try in turn, and files."""

    title: str
    folder: str
    mirrors: tuple[str, ...]
    resources: tuple[Resource, ...]


# as torchvision has them, which a test compares: to import it takes 160 MB and 1.3 s
_MNIST = Source(
    "MNIST",
    "MNIST/raw",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"),
    (
        Resource("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        Resource("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        Resource("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        Resource("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ),
)
_FASHION = Source(
    "Fashion-MNIST",
    "FashionMNIST/raw",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    (
        Resource("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        Resource("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        Resource("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        Resource("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ),
)
_KMNIST = Source(
    "KMNIST",
    "KMNIST/raw",
    ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    (
        Resource("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        Resource("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        Resource("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        Resource("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ),
)
_CIFAR10 = Source(
    "CIFAR-10",
    "cifar-10-batches-py",
    ("https://www.cs.toronto.edu/~kriz/",),
    (
        Archive(
            "cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a",
            256 * 2**20,
            (
                ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                ("data_batch_4", "634d18415352ddfa80567beed471001a"),
                ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                ("test_batch", "40351d587109b95175f43aff81a1287e"),
                ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
            ),
            "cifar-10-batches-py",
        ),
    ),
)

_QMNIST = Source(
    "QMNIST",
    "QMNIST/raw",
    ("https://raw.githubusercontent.com/facebookresearch/qmnist/master/",),
    (
        Resource("qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
        Resource("qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        Resource("qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
        Resource("qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
    ),
)
_USPS = Source(  # torchvision has its files in the data folder itself
    "USPS",
    "",
    ("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/",),
    (
        Plain("usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197"),
        Plain("usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118"),
    ),
)


def _emnist(part: str) -> Source:
    """One archive has all parts."""
    archive = ZipOfGzips("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", 2**30, file_names(part), "gzip")
    return Source(f"EMNIST {part}", "EMNIST/raw", ("https://biometrics.nist.gov/cs_links/EMNIST/",), (archive,))


_KNOWN = {
    "mnist": _MNIST,
    "fashion-mnist": _FASHION,
    "kmnist": _KMNIST,
    "cifar10": _CIFAR10,
    "qmnist": _QMNIST,
    "usps": _USPS,
    **{f"emnist:{part}": _emnist(part) for part in PARTS},
}


def known_source(name: str) -> Source:
    """The source of one of SOURCES: the files, checksums and mirrors that torchvision names.

    `settings.mirrors()` replaces the mirrors, for copies within an own network. Raises DataError for any other name.
    """
    if name not in SOURCES:
        raise DataError(f"'{name}' cannot be downloaded; these can: {', '.join(SOURCES)}.")
    source = _KNOWN[name]
    return replace(source, mirrors=mirrors() or source.mirrors)
