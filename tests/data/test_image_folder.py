import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mnist_core.config import Shape
from mnist_core.data.image_folder import load_pictures
from mnist_core.data.loading import load_dataset
from mnist_core.data.splits import split
from mnist_core.errors import DataError
from tests.helpers.files import encoded, write_folder, write_zip

RNG = np.random.default_rng(0)


def noise(*shape) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def small_set(make=lambda: noise(8, 6), classes=("cat", "dog"), train=3, test=2) -> dict[str, bytes]:
    """train/CLASS/0.png, …, test/CLASS/0.png, …"""
    parts = {"train": train, "test": test}
    return {
        f"{part}/{name}/{n}.png": encoded(make())
        for part, count in parts.items()
        for name in classes
        for n in range(count)
    }


def refusal(path) -> str:
    with pytest.raises(DataError) as caught:
        load_pictures(path)
    return str(caught.value)


@pytest.mark.parametrize("pack", [write_folder, lambda path, files: write_zip(path.with_suffix(".zip"), files)])
@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3)], ids=["grey", "colour"])
def test_pictures_of_one_size_come_back_pixel_by_pixel(tmp_path, pack, shape):
    pictures = {
        f"{part}/{name}/{n}.png": noise(*shape) for part in ("train", "test") for name in ("10", "9") for n in range(12)
    }
    path = pack(tmp_path / "set", {name: encoded(pixels) for name, pixels in pictures.items()})
    data = load_dataset(f"folder:{path}")
    assert data.classes == ("9", "10")
    assert data.shape == Shape(1 if len(shape) == 2 else 3, 8, 6, 2)
    assert (data.train_images.dtype, data.train_labels.dtype) == (np.uint8, np.int64)
    for part, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        assert labels.tolist() == [0] * 12 + [1] * 12
        expected = [pictures[f"{part}/{name}/{n}.png"] for name in ("9", "10") for n in range(12)]  # 2 before 10
        shown = images[:, 0] if len(shape) == 2 else images.transpose(0, 2, 3, 1)
        np.testing.assert_array_equal(shown, expected)


def test_one_coloured_image_makes_all_images_rgb(tmp_path):
    grey = noise(8, 8)
    files = small_set(lambda: np.repeat(grey[:, :, None], 3, axis=2))
    classes, images, *_ = load_pictures(write_folder(tmp_path / "grey", files))
    assert classes == ("cat", "dog")
    assert images.shape == (10, 1, 8, 8)
    np.testing.assert_array_equal(images[0, 0], grey)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    files |= {"train/cat/red.png": encoded(red), "train/cat/grey.png": encoded(grey)}
    _, images, *_ = load_pictures(write_folder(tmp_path / "red", files))
    assert images.shape == (12, 3, 8, 8)
    assert any(np.array_equal(image, red.transpose(2, 0, 1)) for image in images)
    assert any(np.array_equal(image, [grey] * 3) for image in images)


def test_other_sizes_become_a_square_with_their_proportions(tmp_path):
    wide = np.full((50, 100), 250, np.uint8)
    wide[10:40, 20:80] = 30
    files = small_set() | {"train/cat/wide.png": encoded(wide)}
    _, images, labels, test, *_ = load_pictures(write_folder(tmp_path / "set", files))
    assert images.shape == (11, 1, 28, 28)
    (picture,) = [image[0] for image in images if image[0, :7].min() > 240 and image[0, 14, 14] < 60]
    assert picture[21:].min() > 240  # 28 × 14 in the middle, filled up with its border's tone
    dark = np.argwhere(picture < 128)
    assert np.abs(dark.min(0) - (9.8, 5.6)).max() <= 1
    assert np.abs(dark.max(0) - (17.2, 21.4)).max() <= 1
    assert labels.tolist() == [0] * 4 + [1] * 3 + [0] * 2 + [1] * 2
    assert test.tolist() == [False] * 7 + [True] * 4


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (1, 1), (3, 100)])
def test_images_of_extreme_proportions_become_squares(tmp_path, size):
    files = small_set(lambda: noise(70, 70, 3)) | {"train/cat/x.png": encoded(noise(*size, 3))}
    assert load_pictures(write_folder(tmp_path / "set", files))[1].shape == (11, 3, 32, 32)


def test_a_photo_is_upright_as_its_exif_says(tmp_path):
    stored = np.zeros((60, 40), np.uint8)
    stored[:30] = 255  # light above
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise: light on the right, and wider than high
    files = small_set(lambda: stored.T) | {"train/cat/turned.jpg": encoded(stored, "JPEG", exif=exif, quality=95)}
    _, images, *_ = load_pictures(write_folder(tmp_path / "set", files))
    assert images.shape[2:] == (40, 60)
    assert any(image[0, :, 35:].min() > 200 and image[0, :, :25].max() < 50 for image in images)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [*(("TIFF", mode) for mode in ("1", "LA", "P", "RGBA", "CMYK", "I;16", "I")), ("PNG", "P"), ("PNG", "I;16")],
)
def test_pictures_of_any_mode_are_read(tmp_path, mode, kind):
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 30, dtype=np.uint8), (8, 1)))
    if mode.startswith("I"):
        picture = Image.fromarray(
            (np.asarray(ramp).astype(np.uint16) * 257).astype(np.int32 if mode == "I" else np.uint16)
        )
    else:
        picture = ramp.convert(mode)
    content = encoded(picture, kind)
    files = {f"{name}/{n}.{kind.lower()}": content for name in ("a", "b") for n in range(5)}
    _, images, *_ = load_pictures(write_folder(tmp_path / "set", files))
    expected = np.asarray(ramp.convert("1").convert("L") if mode == "1" else ramp)
    assert np.abs(images[0, 0].astype(int) - expected).max() <= 2


def test_what_is_transparent_is_white(tmp_path):
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[2:4, :, 3] = 255
    files = {f"{name}/{n}.png": encoded(picture) for name in "ab" for n in range(5)}
    _, images, *_ = load_pictures(write_folder(tmp_path / "set", files))
    assert images[0, 0, :, 0].tolist() == [255, 255, 0, 0, 255, 255, 255, 255]


@pytest.mark.parametrize("top", ["", "my set/"])
@pytest.mark.parametrize("parted", [True, False])
def test_class_folders_may_lie_at_the_root_or_in_one_folder(tmp_path, top, parted):
    files = {"README.txt": b"hello"} if not top else {f"{top}README.txt": b"hello"}
    for number, (name, content) in enumerate(small_set(train=10, test=5).items()):
        files[top + (name if parted else f"{name.split('/')[1]}/{number}.png")] = content
    for path in (write_folder(tmp_path / "set", files), write_zip(tmp_path / "set.zip", files)):
        data = load_dataset(f"folder:{path}")
        assert data.classes == ("cat", "dog")
        held_out = 10 if parted else 6
        assert (len(data.train_labels), len(data.test_labels)) == (30 - held_out, held_out)
        assert np.bincount(data.test_labels).tolist() == [held_out // 2] * 2


def test_a_validation_folder_is_training_data(tmp_path):
    files = {name.replace("test", "Val"): content for name, content in small_set(train=7, test=3).items()}
    data = load_dataset(f"folder:{write_folder(tmp_path / 'set', files)}")
    assert (len(data.train_labels), len(data.test_labels)) == (16, 4)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"train/cat/notes.txt": b"hello"}, "train/cat/notes.txt"),
        ({"train/cat/7.png": b"hello"}, "train/cat/7.png"),
        ({"train/cat/7.png": b""}, "train/cat/7.png"),
        ({"train/cat/7.png": encoded(noise(8, 8))[:-30]}, "train/cat/7.png"),
        ({"train/7.png": encoded(noise(8, 8))}, "train/7.png"),
        ({"7.png": encoded(noise(8, 8))}, "7.png"),
        ({"other/cat/7.png": encoded(noise(8, 8))}, "other/cat/7.png"),
        ({"train/cat/more/7.png": encoded(noise(8, 8))}, "train/cat/more/7.png"),
        ({"train/bird/7.png": encoded(noise(8, 8)), "train/bird/8.png": encoded(noise(8, 8))}, "'bird' has no test"),
        ({"test/bird/7.png": encoded(noise(8, 8))}, "'bird' has no training"),
        ({f"train/{'x' * 61}/7.png": encoded(noise(8, 8))}, "over 60 characters"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, extra, said):
    files = small_set() | extra
    assert said in refusal(write_folder(tmp_path / "set", files))
    assert said in refusal(write_zip(tmp_path / "set.zip", files))


def test_the_first_of_several_bad_files_is_named(tmp_path):
    files = small_set(train=200) | {f"train/cat/{n}.png": b"bad" for n in (150, 33, 199)}
    assert "train/cat/33.png" in refusal(write_zip(tmp_path / "set.zip", files))


def test_an_empty_folder_has_no_pictures(tmp_path):
    assert "no pictures" in refusal(tmp_path)
    assert "no pictures" in refusal(write_zip(tmp_path / "set.zip", {"a.zip": b"x"}))


def test_a_picture_of_too_many_pixels_is_refused_from_its_header(tmp_path):
    def png_of(side):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        chunk = b"IHDR" + header
        return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))

    for side in (10_001, 30_000):
        files = small_set() | {"train/cat/bomb.png": png_of(side) + encoded(noise(8, 8))[33:]}
        said = refusal(write_zip(tmp_path / "set.zip", files))
        assert "train/cat/bomb.png" in said
        assert "100 megapixels" in said


def test_progress_ends_at_one(tmp_path):
    shares = []
    load_pictures(write_folder(tmp_path / "set", small_set(train=100)), shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 1
    assert shares[-1] == 1


def test_a_set_is_read_again_when_a_file_has_changed(tmp_path):
    path = write_folder(tmp_path / "set", small_set())
    first = load_dataset(f"folder:{path}")
    assert load_dataset(f"folder:{path}") is first
    (path / "train" / "cat" / "new.png").write_bytes(encoded(noise(8, 6)))
    again = load_dataset(f"folder:{path}")
    assert len(again.train_labels) == len(first.train_labels) + 1


def test_a_path_may_be_relative_or_begin_at_home(tmp_path, monkeypatch):
    write_folder(tmp_path / "set", small_set())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_dataset("folder:set").name == "folder:set"
    assert load_dataset("folder:~/set").classes == ("cat", "dog")


@pytest.mark.parametrize(
    "name", ["folder:", "folder: ", "folder:nowhere/at/all", "folder:a\0b", f"folder:{'x' * 5000}"]
)
def test_a_path_to_nothing_is_a_sentence(name):
    with pytest.raises(DataError, match=r"needs a path|nothing at"):
        load_dataset(name)


def test_the_smallest_set_can_be_split_for_a_training(tmp_path):
    data = load_dataset(f"folder:{write_folder(tmp_path / 'set', small_set(train=2, test=1))}")
    train, validation = split(data.train_labels, 1 / 12, seed=0)
    assert sorted(data.train_labels[train].tolist()) == [0, 1]
    assert sorted(data.train_labels[validation].tolist()) == [0, 1]


@pytest.mark.slow
def test_cifar_as_jpegs_is_a_folder_dataset(cifar_jpeg_path):
    data = load_dataset(f"folder:{cifar_jpeg_path}")
    assert data.shape == Shape(3, 32, 32, 10)
    assert np.bincount(data.train_labels).tolist() == [5000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    assert (data.classes[0], data.classes[-1]) == ("airplane", "truck")
    assert data.train_images.mean() / 255 == pytest.approx(0.473, abs=0.01)  # of CIFAR-10, as published


@pytest.mark.parametrize("turned", [False, True])
def test_transposed_digits_are_said(tmp_path, turned):
    digits = load_dataset("digits")
    images, labels = digits.train_images[:300, 0], digits.train_labels[:300].tolist()
    files = {
        f"{label}/{n}.png": encoded(image.T if turned else image)
        for n, (image, label) in enumerate(zip(images, labels, strict=True))
    }
    data = load_dataset(f"folder:{write_folder(tmp_path / 'set', files)}")
    assert data.preparation == "drawing"
    assert ("transposed" in data.warning) is turned


@pytest.mark.parametrize("make", [lambda: noise(30, 30, 3), lambda: np.pad(np.full((16, 4), 255, np.uint8), 12)])
def test_what_auto_has_chosen_is_read_once(tmp_path, make):
    name = f"folder:{write_folder(tmp_path, small_set(make))}"
    first = load_dataset(name)
    seen: list[float] = []
    assert load_dataset(name, None, seen.append, first.preparation) is first
    assert load_dataset(name, None, seen.append) is first
    assert seen == []
