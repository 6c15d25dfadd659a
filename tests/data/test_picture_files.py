"""Layouts of picture folders as they are found in the wild, and the options behind `#`."""

import unicodedata
import zipfile

import numpy as np
import pytest

from mnist_core.data.loading import load_dataset
from mnist_core.data.picture_files import Options, split_options
from mnist_core.data.zip_names import decoded_names
from mnist_core.errors import DataError
from tests.helpers.files import encoded, write_folder, write_zip

RNG = np.random.default_rng(0)


def picture(kind="PNG") -> bytes:
    return encoded(RNG.integers(0, 256, (8, 8), np.uint8), kind)


def classes(*names, count=5, above="") -> dict[str, bytes]:
    return {f"{above}{name}/{n}.png": picture() for name in names for n in range(count)}


def refusal(name) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(name)
    return str(caught.value)


@pytest.mark.parametrize("above", ["", "set/", "trainingSet/trainingSet/", "archive/a/b/c/"])
def test_folders_around_all_others_are_passed_over(tmp_path, above):
    path = write_folder(tmp_path, classes("0", "1", above=above) | {"README.md": b"hello"})
    assert load_dataset(f"folder:{path}").classes == ("0", "1")


def test_kaggles_layout_is_read_and_its_unlabelled_part_said(tmp_path):
    files = classes("0", "1", above="trainingSet/trainingSet/")
    files |= {f"testSet/testSet/img_{n}.jpg": picture("JPEG") for n in range(3)}
    files |= {f"more/{n}.png": picture() for n in range(2)}
    data = load_dataset(f"folder:{write_folder(tmp_path, files)}")
    assert "testSet has 3 pictures in no class folder" in data.warning
    assert "more has 2 pictures" in data.warning
    assert len(data.train_labels) + len(data.test_labels) == 10


def test_an_empty_class_folder_is_named(tmp_path):
    root = write_folder(tmp_path / "set", classes("cat", "dog"))
    (root / "owl").mkdir()
    assert "class folder 'owl'" in refusal(f"folder:{root}")
    packed = write_zip(tmp_path / "a.zip", classes("cat", "dog") | {"owl/": b""})
    assert "class folder 'owl'" in refusal(f"folder:{packed}")
    parted = write_folder(tmp_path / "b", classes("cat", "dog", above="train/") | classes("cat", above="test/"))
    (parted / "test" / "dog").mkdir()
    assert "'dog' has no test image" in refusal(f"folder:{parted}")


def test_classes_of_two_parts_differ_in_case_or_form_only(tmp_path):
    nfc, nfd = unicodedata.normalize("NFC", "Été"), unicodedata.normalize("NFD", "été")
    files = classes(nfd, "Cat", above="train/") | classes(nfc, "cat", above="test/")
    data = load_dataset(f"folder:{write_zip(tmp_path / 'a.zip', files)}")
    assert data.classes == ("Cat", unicodedata.normalize("NFC", nfd))
    said = refusal(f"folder:{write_zip(tmp_path / 'b.zip', classes('Cat', 'cat', 'dog'))}")
    assert "'Cat' and 'cat'" in said


def test_files_that_systems_leave_are_ignored(tmp_path):
    files = {
        "cat/@eaDir/1.png": b"x",
        "cat/Icon\r": b"",
        "cat/._1.png": b"x",
        "cat/labels.txt": b"x",
        "labels.txt": b"x",
    }
    assert load_dataset(f"folder:{write_folder(tmp_path, classes('cat', 'dog') | files)}").classes == ("cat", "dog")


def test_pictures_are_known_by_their_content(tmp_path):
    files = {
        f"{name}/{n}{end}": picture(kind)
        for name in "ab"
        for n, (end, kind) in enumerate(
            [(".jfif", "JPEG"), (".tif", "PNG"), ("", "PNG"), (".jpg", "BMP"), (".png", "GIF")]
        )
    }
    data = load_dataset(f"folder:{write_folder(tmp_path, files)}")
    assert len(data.train_labels) + len(data.test_labels) == 10


@pytest.mark.parametrize("above", ["", "set/", "train/"])
def test_labels_in_names_are_offered_and_read(tmp_path, above):
    files = {f"{above}{label}_{n}.png": picture() for label in (3, 7) for n in range(5)}
    path = write_folder(tmp_path, files)
    if above != "set/":  # which might be a class
        assert f"folder:{path}#labels=names" in refusal(f"folder:{path}")
    data = load_dataset(f"folder:{path}#labels=names")
    assert data.classes == ("3", "7")
    assert sorted((*data.train_labels.tolist(), *data.test_labels.tolist())) == [0] * 5 + [1] * 5


def test_all_unreadable_pictures_are_named_or_left_out(tmp_path):
    files = classes("a", "b", count=20) | {"a/7.png": b"no picture", "b/9.png": picture()[:-30]}
    path = write_zip(tmp_path / "a.zip", files)
    said = refusal(f"folder:{path}")
    assert "2 pictures" in said
    assert "a/7.png, b/9.png" in said
    assert "#unreadable=skip" in said
    data = load_dataset(f"folder:{path}#unreadable=skip")
    assert len(data.train_labels) + len(data.test_labels) == 38
    assert "2 unreadable pictures were left out" in data.warning


def write_raw_names(path, names: list[bytes], files: dict[str, bytes]):
    """A .zip whose names are the bytes `names`, as programs write them that do not say their encoding."""
    stand_ins = [f"Q{number:04d}".ljust(len(name), "_") for number, name in enumerate(names)]
    with zipfile.ZipFile(path, "w") as file:
        for stand_in, content in zip(stand_ins, files.values(), strict=True):
            file.writestr(stand_in, content)
    raw = path.read_bytes()
    for stand_in, name in zip(stand_ins, names, strict=True):
        raw = raw.replace(stand_in.encode(), name)
    path.write_bytes(raw)
    return path


NAMES = {
    "utf-8": ("零", "一", "二"),
    "gbk": ("零", "一", "二", "三", "四"),
    "shift_jis": ("あさひ", "零", "一", "カタカナ"),
    "big5": ("零", "一", "二", "貓", "狗"),
    "cp1252": ("Müller", "café", "naïve"),
    "cp437": ("für", "Größe", "später"),
}


@pytest.mark.parametrize(("encoding", "words"), NAMES.items(), ids=NAMES)
def test_names_without_an_encoding_are_told_by_their_bytes(tmp_path, encoding, words):
    files = {f"{word}/{n:03d}.png": picture() for word in words for n in range(5)}
    names = [name.encode(encoding) for name in files]
    path = write_raw_names(tmp_path / "a.zip", names, files)
    data = load_dataset(f"folder:{path}")
    assert set(data.classes) == set(words)
    assert (f"were read as {encoding}" in data.warning) == (encoding != "utf-8")
    chosen = load_dataset(f"folder:{path}#encoding={encoding}")
    assert (set(chosen.classes), chosen.warning) == (set(words), "")


def test_an_encoding_that_does_not_fit_is_refused(tmp_path):
    info = zipfile.ZipInfo(b"caf\xe9/1.png".decode("cp437"))
    with pytest.raises(DataError, match="not in the encoding utf-8"):
        decoded_names([info], "utf-8")
    with pytest.raises(DataError, match="is no encoding"):
        decoded_names([info], "koi8")


def test_options_stand_behind_a_hash(tmp_path):
    assert split_options("a/b.zip") == ("a/b.zip", Options())
    assert split_options("a#b/c.zip") == ("a#b/c.zip", Options())
    assert split_options("c#1.zip#encoding=GBK&unreadable=skip") == ("c#1.zip", Options("gbk", skip_unreadable=True))
    with pytest.raises(DataError, match="no option"):
        split_options("a.zip#colour=red")
