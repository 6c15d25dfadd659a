"""What `evaluate` and `predict` say of the same picture is the same, for every kind of dataset."""

import bz2
import json

import numpy as np
import pytest
import torch
from PIL import Image

from mnist_core.config import Shape, TrainConfig
from mnist_core.data.emnist import file_names
from mnist_core.data.loading import load_dataset
from mnist_core.data.prepare import load_for
from mnist_core.drawing.images import read_picture
from mnist_core.drawing.strokes import render_strokes
from mnist_core.inference.metrics import evaluate
from mnist_core.inference.network import Network
from mnist_core.inference.predictor import Predictor
from mnist_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mnist_core.models.classifier import build_model
from mnist_core.training.state import TrainState
from tests.helpers.drawing import SEVEN
from tests.helpers.files import encoded, write_folder
from tests.helpers.mirror import idx


def new_model(folder, dataset: str, data_dir=None, **settings) -> Checkpoint:
    """A model as a training of `dataset` begins it; its weights are random, its card is a training's."""
    config = TrainConfig(dataset=dataset, model="small-cnn", **settings)
    data = load_for(config, data_dir)
    state = TrainState(config, data)
    save_checkpoint(
        folder,
        state.best_model,
        name="a test",
        architecture=config.model,
        classes=list(data.classes),
        input_shape=(data.shape.channels, data.shape.height, data.shape.width),
        dataset=dataset,
        config=state.config,
        epoch=1,
        step=1,
        train_seconds=1,
    )
    return load_checkpoint(folder)


def differing(checkpoint: Checkpoint, files: list, data_dir=None, dataset: str | None = None, rows=None) -> list:
    """The test pictures, or those of `rows`, of which `evaluate` and `predict` do not say the same."""
    data = load_for(checkpoint.card.config, data_dir, dataset=dataset, shape=checkpoint.card.shape)
    rows = list(range(len(data.test_labels)) if rows is None else rows)
    evaluated = evaluate(Network(checkpoint), data.test_images[rows], data.test_labels[rows]).probabilities
    assert len(files) == len(evaluated)
    predictor = Predictor(checkpoint)
    said = [predictor.predict(read_picture(file)).probabilities for file in files]
    return [file for file, a, b in zip(files, evaluated, said, strict=True) if not np.allclose(a, b, atol=1e-4)]


def as_files(folder, images: np.ndarray) -> list:
    """(N, C, H, W) uint8 → the paths of N PNG files."""
    paths = []
    for number, image in enumerate(images):
        path = folder / f"{number}.png"
        Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(path)
        paths.append(path)
    return paths


def drawings(kind: str = "PNG", ink: int = 30, paper: int = 230) -> dict[str, bytes]:
    """Dark strokes on light paper of many sizes: a set of sevens and of ones."""
    random, files = np.random.default_rng(0), {}
    shapes = {"seven": SEVEN, "one": [[(70, 20), (50, 90)]]}
    for part, count in (("train", 6), ("test", 4)):
        for name, strokes in shapes.items():
            for number in range(count):
                brush, height = random.uniform(12, 24), random.uniform(0.4, 0.8)
                drawn = render_strokes(strokes, (100, 100), brush=brush, height=height)
                picture = Image.fromarray(np.uint8(paper + (ink - paper) * (drawn / 255)))
                side = int(random.integers(40, 500))
                files[f"{part}/{name}/{number}.{kind.lower()}"] = encoded(np.array(picture.resize((side, side))), kind)
    return files


def photos(channels: int = 3, side: int = 90) -> dict[str, bytes]:
    """Textures without a ground, of any size."""
    random = np.random.default_rng(1)

    def photo() -> bytes:
        coarse = random.integers(0, 255, (6, 6, 3)[: 2 + (channels > 1)], dtype=np.uint8)
        return encoded(np.array(Image.fromarray(coarse).resize((side, int(random.integers(side, 2 * side))))))

    return {f"{part}/{name}/{n}.png": photo() for part in ("train", "test") for name in "ab" for n in range(5)}


FOLDERS = {
    "dark drawings": (lambda: drawings(), "drawing"),
    "light drawings": (lambda: drawings(ink=220, paper=10), "drawing"),
    "photos of drawings": (lambda: drawings("JPEG"), "drawing"),
    "colour photos": (lambda: photos(), "whole"),
    "grey photos": (lambda: photos(1), "whole"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_evaluate_and_predict_agree_on_a_folder(tmp_path, name):
    make, preparation = FOLDERS[name]
    root = write_folder(tmp_path / "set", make())
    checkpoint = new_model(tmp_path / "model", f"folder:{root}")
    assert checkpoint.card.preparation == preparation
    assert differing(checkpoint, sorted(root.glob("test/*/*"))) == []


@pytest.mark.parametrize("preparation", ["drawing", "whole"])
def test_the_preparation_can_be_chosen(tmp_path, preparation):
    root = write_folder(tmp_path / "set", drawings())
    checkpoint = new_model(tmp_path / "model", f"folder:{root}", preparation=preparation)
    assert checkpoint.card.preparation == preparation
    assert differing(checkpoint, sorted(root.glob("test/*/*"))) == []


@pytest.mark.parametrize("dataset", ["mnist", "digits"])
def test_evaluate_and_predict_agree_on_built_in_digits(tmp_path, request, dataset):
    data_dir = request.getfixturevalue("mnist_dir") if dataset == "mnist" else None
    checkpoint = new_model(tmp_path / "model", dataset, data_dir)
    assert checkpoint.card.preparation == "drawing"
    images = load_dataset(dataset, data_dir).test_images
    predictor = Predictor(checkpoint)
    changed = [n for n, image in enumerate(images[:, 0]) if not np.array_equal(predictor.prepare(image), image)]
    assert changed == []
    some = range(0, len(images), 20)
    assert differing(checkpoint, as_files(tmp_path, images[some]), data_dir, rows=some) == []


@pytest.mark.parametrize("dataset", ["emnist:letters", "usps"])
def test_evaluate_and_predict_agree_on_other_collections(tmp_path, dataset):
    digits = load_dataset("digits")
    images, labels = digits.train_images[:300, 0, 4:24, 4:24], digits.train_labels[:300]
    if dataset == "usps":
        rows = np.asarray(images[:, 2:18, 2:18], float).reshape(300, -1) / 127.5 - 1
        text = "".join(
            f"{label + 1} {' '.join(f'{n + 1}:{value:.5f}' for n, value in enumerate(row))}\n"
            for row, label in zip(rows, labels, strict=True)
        )
        for name in ("usps.bz2", "usps.t.bz2"):
            (tmp_path / name).write_bytes(bz2.compress(text.encode()))
    else:
        large = torch.nn.functional.interpolate(
            torch.from_numpy(images[:, None]).float(), size=(24, 24), mode="bilinear"
        )[:, 0]
        stored = np.pad(large.numpy().astype(np.uint8), ((0, 0), (2, 2), (2, 2))).transpose(0, 2, 1)
        (tmp_path / "EMNIST" / "raw").mkdir(parents=True)
        for name in file_names("letters"):
            (tmp_path / "EMNIST" / "raw" / name).write_bytes(idx(stored if "images" in name else labels + 1))
    checkpoint = new_model(tmp_path / "model", dataset, tmp_path)
    data = load_dataset(dataset, tmp_path)
    assert checkpoint.card.preparation == "drawing"
    assert differing(checkpoint, as_files(tmp_path, data.test_images), tmp_path) == []


def test_a_model_reads_pictures_of_another_size(tmp_path):
    small = write_folder(tmp_path / "small", photos(3, 40))
    checkpoint = new_model(tmp_path / "model", f"folder:{small}")
    random = np.random.default_rng(2)
    files = {
        f"{part}/{name}/{n}.png": encoded(random.integers(0, 255, (40, 40, 3), dtype=np.uint8))
        for part in ("train", "test")
        for name in "ab"
        for n in range(4)
    }
    other = write_folder(tmp_path / "other", files)
    assert differing(checkpoint, sorted(other.glob("test/*/*")), dataset=f"folder:{other}") == []


def test_a_card_without_preparation_keeps_its_behaviour(tmp_path):
    root = write_folder(tmp_path / "set", drawings())
    checkpoint = new_model(tmp_path / "model", f"folder:{root}", preparation="whole")
    path = tmp_path / "model" / "card.json"
    card = json.loads(path.read_text())
    del card["config"]["preparation"]
    path.write_text(json.dumps(card))
    old = load_checkpoint(tmp_path / "model")
    assert old.card.preparation == "unrecorded"
    picture = read_picture(next(root.glob("test/*/*")))
    assert Predictor(old).prepare(picture).mean() < 100 < Predictor(checkpoint).prepare(picture).mean()
    images = [load_for(c.card.config, shape=c.card.shape).test_images for c in (old, checkpoint)]
    np.testing.assert_array_equal(*images)


def test_shape_says_nothing_of_a_picture_read_as_a_whole(tmp_path):
    config = TrainConfig(dataset="digits", preparation="whole")
    model = build_model(config, Shape(), [0.5], [0.5])
    fields = {"architecture": config.model, "classes": list("0123456789"), "input_shape": (1, 28, 28)}
    save_checkpoint(
        tmp_path / "m", model, name="m", dataset="digits", config=config, epoch=1, step=1, train_seconds=1, **fields
    )
    page = np.full((60, 60), 255, np.uint8)
    page[10:50, 28:32] = 0
    assert Predictor(tmp_path / "m").predict(page).rejection is None
